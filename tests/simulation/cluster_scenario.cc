#include "cluster_scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "cluster_clients.h"
#include "cluster_faults.h"
#include "cluster_storage.h"
#include "meta/limits.h"

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
// Until every shard is where it should be and all garbage is gone: what was read from a holder, and
// all that it has when it starts, stays for up to two minutes (objects/pins.h).
constexpr Micros kRepairLimit = seconds(180);
constexpr Micros kOrphansSeen = seconds(30);  // every node has begun a scan and ended it
constexpr Micros kSlowestDisk = seconds(12);  // operations that began before may last so long

class ClusterScenario {
  public:
    ClusterScenario(std::uint64_t seed, bool verbose)
        : plan_(draw_cluster_plan(seed)),
          sim_(seed),
          cluster_(&sim_, &report_, &plan_, verbose),
          storage_(&cluster_),
          faults_(&cluster_, &storage_),
          stage_(&cluster_, &sim_.harness()) {
        stage_.pace = milliseconds(plan_.pace_ms);
    }

    RunResult run();

  private:
    void grow_up();
    void work();
    void heal();
    void settle(std::string_view when);
    void finish_leaving();
    void stay_or_go(Member& member);
    void check_nodes(Writes writes);
    void read_through(const std::vector<Member*>& members, bool may_fail);
    void become_redundant(std::string_view when, Tidiness wanted);
    std::vector<Member*> some_spare();
    void wait_for_leader();
    void let_them_ask();
    void outage();
    void calamity();
    void catastrophe();
    void leap();
    void look_at_disks();
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
    ClusterStorage storage_;
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
    if (plan_.is_laid_out && plan_.at_start > 1 && !report_.failed()) {
        if (!wait([this] { return cluster_.is_laid_out(); }, kFoundLimit) && !report_.failed()) {
            report_.violation("I10", "the first members get no layout");
        }
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

// Whoever gives its places away does so to the end, and is removed then, or gets them back. One
// that is replaced goes by itself, and who is to replace it stays: without it a lost node's places
// would wait for another one.
void ClusterScenario::finish_leaving() {
    const runtime::Time end = sim_.now() + kRepairLimit;
    if (cluster_.leaving().empty()) return;
    while (!report_.failed() && sim_.now() < end) {
        const std::vector<Member*> leaving = cluster_.leaving();
        if (leaving.empty() && cluster_.leader() != nullptr) break;
        for (Member* member : leaving) stay_or_go(*member);
        (void)wait([this] { return !cluster_.has_errands(); }, seconds(60));
        (void)wait([] { return false; }, seconds(1));
    }
    if (!cluster_.leaving().empty() && !report_.failed()) {
        report_.violation("I10", cluster_.leaving().front()->name() +
                                     " stays leaving: " + storage_.gap(Tidiness::kComplete));
    }
    if (!report_.failed()) settle("after somebody left");
}

void ClusterScenario::stay_or_go(Member& member) {
    Member* const head = cluster_.leader();
    if (head == nullptr) return;
    if (!member.is_to_stay) member.is_to_stay = cluster_.chance(40) || cluster_.is_heir(member);
    if (*member.is_to_stay) return cluster_.undrain(member);
    if (!head->node()->cluster().keeper().layout().is_drained(member.id)) return;
    report_.reached("drained");
    cluster_.remove(member);
}

void ClusterScenario::check_nodes(Writes writes) {
    ClusterClient& client = new_client();
    for (const auto& member : cluster_.members()) {
        if (report_.failed() || member->node() == nullptr || member->is_removed) continue;
        spawn(client.check_node(member.get(), kRequestLimit, writes));
        (void)wait([this] { return working_ == 0; }, seconds(120));
    }
    read_through(cluster_.taking_part(), false);
}

void ClusterScenario::read_through(const std::vector<Member*>& members, bool may_fail) {
    ClusterClient& client = new_client();
    for (Member* member : members) {
        if (report_.failed() || member->node() == nullptr || member->is_removed) continue;
        spawn(client.read_all(member, may_fail));
        (void)wait([this] { return working_ == 0; }, seconds(120));
    }
}

void ClusterScenario::look_at_disks() {
    storage_.inspect();
    (void)wait([this] { return !storage_.is_inspecting(); }, seconds(60));
}

// Every shard lies where it should, as the metadata and the disks say.
void ClusterScenario::become_redundant(std::string_view when, Tidiness wanted) {
    cluster_.catch_up_clocks();
    const runtime::Time began = sim_.now();
    const runtime::Time end = began + kRepairLimit;
    runtime::Time looked{};
    std::string gap;
    const auto is_whole = [&] {
        if (sim_.now() < looked) return false;
        gap = storage_.gap(wanted);
        looked = sim_.now() + milliseconds(400);
        return gap.empty();
    };
    std::optional<Violation> found;
    while (!report_.failed() && sim_.now() < end) {
        if (!wait(is_whole, end - sim_.now())) break;
        look_at_disks();
        found = storage_.compare(wanted);
        if (!found) found = storage_.compare_with_disks();
        if (!found) break;
        (void)wait([] { return false; }, milliseconds(500));
    }
    if (report_.failed()) return;
    if (!gap.empty()) found = Violation{"I10", gap};
    if (!found) {
        const Micros took = sim_.now() - began;
        cluster_.say(fmt::format("redundant {} after {} ms", when, took.count() / 1000));
        report_.reached(took < seconds(15) ? "redundant.15s" : "redundant.late");
        return;
    }
    report_.violation(found->invariant, fmt::format("{} s {}: {}", kRepairLimit.count() / 1'000'000,
                                                    when, found->account));
}

// As many as may be missing at once, or fewer.
std::vector<Member*> ClusterScenario::some_spare() {
    std::vector<Member*> chosen;
    std::vector<Member*> all = cluster_.taking_part();
    const std::uint64_t most = 1 + cluster_.below(3);
    while (!all.empty() && chosen.size() < most) {
        const std::size_t i = cluster_.below(all.size());
        chosen.push_back(all[i]);
        all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
        if (!storage_.can_spare(chosen)) chosen.pop_back();
    }
    return chosen;
}

void ClusterScenario::wait_for_leader() {
    const auto all_know = [this] {
        Member* const head = cluster_.leader();
        return head != nullptr && std::ranges::all_of(cluster_.taking_part(), [&](Member* member) {
                   return member->node()->metadata().driver().core().leader() == head->id;
               });
    };
    if (!wait(all_know, seconds(20)) && !report_.failed()) {
        report_.violation("I10", "most members are up, and nobody leads");
    }
    let_them_ask();
}

// Who is down, or is back, is known to those that have asked it, which they do each second.
void ClusterScenario::let_them_ask() {
    (void)wait([] { return false; }, seconds(3));
}

// As many nodes are down as the objects can do without: everything reads, and is written to, unless
// there are no two nodes left that may hold copies of the same body: then it is refused.
void ClusterScenario::outage() {
    const std::vector<Member*> chosen = some_spare();
    if (chosen.empty()) return;
    report_.reached(fmt::format("outage.{}", chosen.size()));
    const bool takes_bodies = storage_.can_store(chosen);
    if (!takes_bodies) report_.reached("outage.read-only");
    for (Member* member : chosen) {
        member->wants_up = false;
        cluster_.power_off(*member, Micros(0));
    }
    wait_for_leader();
    read_through(cluster_.taking_part(), false);
    if (!report_.failed()) check_nodes(takes_bodies ? Writes::kTaken : Writes::kMayBeRefused);
    for (Member* member : chosen) member->wants_up = true;
    if (!report_.failed()) settle("after an outage");
    if (!report_.failed()) become_redundant("after an outage", Tidiness::kComplete);
}

// The same with disks, for good: the nodes come back under new identities.
void ClusterScenario::calamity() {
    const std::vector<Member*> chosen = some_spare();
    if (chosen.empty() || !storage_.lose_disks(chosen)) return;
    report_.reached(fmt::format("calamity.{}", chosen.size()));
    for (Member* member : chosen) member->wants_up = false;
    if (cluster_.chance(40)) (void)storage_.rot_shards(3);
    wait_for_leader();
    read_through(cluster_.taking_part(), false);
    for (Member* member : chosen) member->wants_up = true;
    if (!report_.failed()) settle("after a calamity");
    if (!report_.failed()) become_redundant("after a calamity", Tidiness::kComplete);
}

// More is lost than is promised: errors, but no wrong bytes, no missing keys, and what is left of
// the shards stays.
void ClusterScenario::catastrophe() {
    storage_.lose_too_much();
    look_at_disks();
    storage_.remember();
    wait_for_leader();
    read_through(cluster_.taking_part(), true);
    if (!report_.failed()) settle("after a catastrophe");
    (void)wait([] { return false; }, seconds(20));
    read_through(cluster_.taking_part(), true);
    look_at_disks();
    if (report_.failed()) return;
    if (const auto found = storage_.compare_with_remembered()) {
        report_.violation(found->invariant, found->account);
    }
}

// Hours pass, as far as clocks tell: what nobody refers to goes.
void ClusterScenario::leap() {
    constexpr std::int64_t kHoursMs = static_cast<std::int64_t>(meta::kOrphanGraceMs) + 60'000;
    report_.reached("leap");
    become_redundant("before hours pass", Tidiness::kCollected);
    // What is unnamed has been seen to be.
    (void)wait([] { return false; }, kOrphansSeen);
    for (const auto& member : cluster_.members()) {
        member->set_clock(*member->clock_offset_ms() + kHoursMs);
    }
    (void)wait([] { return false; }, seconds(5));
    become_redundant("after hours", Tidiness::kClean);
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
    if (!report_.failed()) finish_leaving();
    if (!report_.failed()) let_them_ask();
    if (!report_.failed()) {
        // A lost node's places may be with nobody yet.
        const bool takes_bodies = storage_.can_store({});
        check_nodes(takes_bodies ? Writes::kTaken : Writes::kMayBeRefused);
    }
    if (!report_.failed()) become_redundant("after healing", Tidiness::kComplete);
    if (!report_.failed() && plan_.has_outage) outage();
    if (!report_.failed() && plan_.has_calamity) calamity();
    if (!report_.failed() && plan_.has_leap) leap();
    if (!report_.failed() && plan_.has_catastrophe) catastrophe();
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
                                                  "op.copy",
                                                  "op.copy-anew",
                                                  "op.get-range",
                                                  "op.get-slowly",
                                                  "op.create-upload",
                                                  "op.upload-part",
                                                  "op.upload-part-copy",
                                                  "op.complete-upload",
                                                  "op.abort-upload",
                                                  "status.206",
                                                  "holder.killed",
                                                  "coordinator.killed.0",
                                                  "coordinator.killed.2",
                                                  "rot.shard",
                                                  "rot.disk",
                                                  "rot.two-shards-of-a-blob",
                                                  "redundant.15s",
                                                  "outage.1",
                                                  "outage.2",
                                                  "lost-too-much",
                                                  "leap",
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
                                                  "give-up.done",
                                                  "give-up.refused",
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
