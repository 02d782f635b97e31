#include "cluster_scenario.h"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "cluster_clients.h"
#include "cluster_faults.h"

namespace hamster::simulation {

namespace {

using runtime::Micros;
using runtime::sim::Simulator;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Micros kFoundLimit = seconds(120);  // to the first bucket, before the faults
constexpr Micros kWorkLimit = seconds(300);   // of clients under faults
constexpr Micros kRequestLimit = seconds(5);  // I10
constexpr Micros kSettleLimit = seconds(30);  // after healing: members up, replicas equal
constexpr Micros kSlowestDisk = seconds(12);  // operations that began before may last so long

class ClusterScenario {
  public:
    ClusterScenario(std::uint64_t seed, bool verbose)
        : plan_(draw_cluster_plan(seed)),
          sim_(seed),
          cluster_(&sim_, &report_, &plan_, verbose),
          faults_(&cluster_),
          stage_(&cluster_, &sim_.harness()) {
        stage_.pace = milliseconds(plan_.pace_ms);
    }

    RunResult run();

  private:
    void grow_up();
    void work();
    void heal();
    void settle(std::string_view when);
    void finish_removals();
    void check_nodes();
    void judge();
    void end();
    void spawn(Task<void> task);
    Task<void> counted(Task<void> task);
    ClusterClient& new_client();
    // Runs until `done` or a violation, looking after the cluster meanwhile.
    template <class Done>
    bool wait(Done done, Micros limit);

    ClusterPlan plan_;
    Report report_;
    Simulator sim_;
    SimCluster cluster_;
    ClusterFaults faults_;
    ClientStage stage_;
    std::vector<std::unique_ptr<ClusterClient>> clients_;
    int working_ = 0;
    runtime::Gate gate_;
};

template <class Done>
bool ClusterScenario::wait(Done done, Micros limit) {
    const runtime::Time end = sim_.now() + limit;
    bool is_done = false;
    while (!is_done && !report_.failed() && sim_.now() < end) {
        const runtime::Time until =
            std::min({sim_.now() + milliseconds(20), end,
                      std::max(faults_.next_due(), sim_.now() + Micros(1))});
        const Micros slice = until - sim_.now();
        (void)sim_.run_until(
            [&] {
                cluster_.watch();
                is_done = done();
                return is_done || report_.failed();
            },
            slice);
        if (!is_done && sim_.now() < until) sim_.run_for(until - sim_.now());
        faults_.tick();
        cluster_.tend();
    }
    return is_done;
}

ClusterClient& ClusterScenario::new_client() {
    clients_.push_back(
        std::make_unique<ClusterClient>(&stage_, static_cast<int>(clients_.size()) + 1));
    return *clients_.back();
}

Task<void> ClusterScenario::counted(Task<void> task) {
    co_await std::move(task);
    --working_;
}

void ClusterScenario::spawn(Task<void> task) {
    ++working_;
    runtime::spawn(stage_.world->executor, gate_, "client", counted(std::move(task)));
}

// The cluster as it is before anything goes wrong.
void ClusterScenario::grow_up() {
    cluster_.found();
    for (int i = 1; i < plan_.at_start; ++i) (void)cluster_.grow();
    const auto all_serve = [this] {
        return cluster_.serving().size() == static_cast<std::size_t>(plan_.at_start);
    };
    if (!wait(all_serve, kFoundLimit) && !report_.failed()) {
        report_.violation("I10", "the first members do not get together: " + cluster_.unsettled());
    }
    spawn(new_client().make_bucket());
    if (!wait([this] { return working_ == 0; }, kFoundLimit) && !report_.failed()) {
        report_.violation("I10", "the bucket cannot be made: " + cluster_.unsettled());
    }
    cluster_.say("the cluster is there");
}

void ClusterScenario::work() {
    for (int i = 0; i < plan_.workers; ++i) spawn(new_client().run(plan_.operations));
    const runtime::Time end = sim_.now() + kWorkLimit;
    int left = plan_.faults;
    while (!report_.failed() && sim_.now() < end) {
        const bool is_over = wait([this] { return working_ == 0; }, cluster_.some(1, plan_.gap_ms));
        if (is_over) return;
        if (left == 0 && faults_.is_quiet()) break;
        if (left == 0) continue;
        --left;
        faults_.inject();
    }
}

void ClusterScenario::heal() {
    cluster_.say("heal");
    faults_.end_all();
    cluster_.has_healed = true;
    stage_.stop = true;
    cluster_.revive_all();
    // Requests and errands under way still end as they may.
    if (!wait([this] { return working_ == 0 && !cluster_.has_errands(); }, seconds(62)) &&
        !report_.failed()) {
        report_.violation("I10", "clients or operators wait for ever");
    }
    // Slow operations end; a node notices late that its disk has room again.
    const Micros lingers = plan_.has(ClusterFault::kSlowDisk)   ? kSlowestDisk
                           : plan_.has(ClusterFault::kFullDisk) ? Micros(seconds(4))
                                                                : Micros(0);
    (void)wait([] { return false; }, lingers);
    stage_.stop = false;
}

void ClusterScenario::settle(std::string_view when) {
    const runtime::Time began = sim_.now();
    runtime::Time looked{};
    const auto settled = [&] {
        if (sim_.now() < looked) return false;
        const bool is_settled = cluster_.unsettled().empty();
        if (!is_settled) looked = sim_.now() + milliseconds(5);
        return is_settled;
    };
    if (wait(settled, kSettleLimit)) {
        const Micros took = sim_.now() - began;
        cluster_.say(fmt::format("settled {} after {} ms", when, took.count() / 1000));
        report_.reached(took < seconds(5) ? "settled.5s" : "settled.30s");
        return cluster_.compare_replicas();
    }
    if (report_.failed()) return;
    report_.violation("I10", fmt::format("{} {}: {}", kSettleLimit.count() / 1'000'000,
                                         "s after healing", cluster_.unsettled()));
}

// Who was being removed when the operator's node died is removed now, or stays for good.
void ClusterScenario::finish_removals() {
    const std::vector<Member*> leaving = cluster_.leaving();
    for (Member* member : leaving) cluster_.remove(*member);
    if (leaving.empty()) return;
    report_.reached("remove.again");
    if (!wait([this] { return !cluster_.has_errands(); }, seconds(60)) && !report_.failed()) {
        report_.violation("I10", "a removal does not end");
    }
    if (!report_.failed()) settle("after removals");
    if (!cluster_.leaving().empty() && !report_.failed()) {
        report_.violation("I10", cluster_.leaving().front()->name() + " stays leaving");
    }
}

void ClusterScenario::check_nodes() {
    ClusterClient& client = new_client();
    for (const auto& member : cluster_.members()) {
        if (report_.failed() || member->node() == nullptr || member->is_removed) continue;
        spawn(client.check_node(member.get(), kRequestLimit));
        (void)wait([this] { return working_ == 0; }, seconds(120));
        spawn(client.read_all(member.get(), false));
        (void)wait([this] { return working_ == 0; }, seconds(120));
    }
}

void ClusterScenario::judge() {
    const HistoryFinding found = check_history(stage_.history);
    if (found.key) report_.violation("I3", found.finding.account);
    if (found.undecided > 0) report_.reached("history.undecided");
}

void ClusterScenario::end() {
    stage_.stop = true;
    for (const auto& member : cluster_.members()) {
        member->set_paused(false);
        member->crash();
    }
    sim_.heal_links();
    const bool quiet = sim_.run_until([this] { return gate_.count() == 0; }, std::chrono::hours(1));
    HAMSTER_ASSERT(quiet, plan_.seed, gate_.count());
}

RunResult ClusterScenario::run() {
    cluster_.say(plan_.text());
    grow_up();
    if (!report_.failed()) work();
    if (!report_.failed()) heal();
    if (!report_.failed()) settle("after healing");
    if (!report_.failed()) finish_removals();
    if (!report_.failed()) check_nodes();
    if (!report_.failed()) settle("at the end");
    judge();
    end();
    RunResult result;
    result.trace_hash = sim_.trace_hash();
    result.simulated_us = static_cast<std::uint64_t>(sim_.now().us);
    result.requests = stage_.completed;
    result.violation = report_.first();
    result.points = report_.points();
    return result;
}

}  // namespace

RunResult run_cluster_seed(std::uint64_t seed, bool verbose) {
    ClusterScenario scenario(seed, verbose);
    return scenario.run();
}

const std::set<std::string, std::less<>>& expected_cluster_points() {
    static const std::set<std::string, std::less<>> points = [] {
        std::set<std::string, std::less<>> all = {"op.put",
                                                  "op.put-if-none-match",
                                                  "op.put-if-match",
                                                  "op.get",
                                                  "op.head",
                                                  "op.delete",
                                                  "op.list",
                                                  "op.create-bucket",
                                                  "status.0",
                                                  "status.200",
                                                  "status.204",
                                                  "status.404",
                                                  "status.412",
                                                  "status.503",
                                                  "crash.at-io",
                                                  "crash.armed-in-start",
                                                  "restart.poisoned",
                                                  "transfer.done",
                                                  "transfer.refused",
                                                  "remove.done",
                                                  "remove.refused",
                                                  "token.used",
                                                  "token.expired",
                                                  "token.wrong",
                                                  "token.refused",
                                                  "replicas.compared",
                                                  "settled.5s",
                                                  "settled.30s",
                                                  "join-error.unavailable"};
        for (int i = 0; i < kClusterFaults; ++i) {
            all.insert(fmt::format("fault.{}", name_of(static_cast<ClusterFault>(i))));
        }
        return all;
    }();
    return points;
}

}  // namespace hamster::simulation
