#include "cluster_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "meta/replica.h"

namespace hamster::simulation {

using runtime::Micros;
using runtime::Time;
using std::chrono::milliseconds;

SimCluster::SimCluster(runtime::sim::Simulator* sim, Report* report, const ClusterPlan* plan,
                       bool verbose)
    : sim_(sim),
      report_(report),
      plan_(plan),
      verbose_(verbose),
      random_(runtime::Prng::split(plan->seed, "cluster operator")),
      giving_up_(runtime::Prng::split(plan->seed, "giving up")) {
    constexpr std::array<std::string_view, 4> kZones = {"", "a", "b", "c"};
    const bool has_zones = chance(50);
    for (int i = 1; i <= plan->nodes; ++i) {
        node::Options options = plan->options;
        if (has_zones) options.zone = std::string(kZones[below(kZones.size())]);
        members_.push_back(
            std::make_unique<Member>(sim, fmt::format("n{}", i), std::move(options)));
    }
}

void SimCluster::say(const std::string& text) {
    if (verbose_) fmt::print(stderr, "[{:>10} us] {}\n", now().us, text);
}

Micros SimCluster::some(std::int64_t low_ms, std::int64_t high_ms) {
    const auto span = static_cast<std::uint64_t>((high_ms - low_ms) * 1000 + 1);
    return Micros(low_ms * 1000 + static_cast<std::int64_t>(random_.below(span)));
}

std::uint64_t SimCluster::began(Activity what, Member& at, std::uint64_t bytes) {
    const UnderWay request{what, &at, bytes, now()};
    under_way_.emplace(++requests_, request);
    if (on_begin) on_begin(request);
    return requests_;
}

void SimCluster::found() { members_.front()->has_begun = true; }

bool SimCluster::grow() {
    for (const auto& member : members_) {
        if (member->has_begun || member->is_on()) continue;
        say(member->name() + " is to join");
        member->has_begun = true;
        return true;
    }
    return false;
}

std::vector<Member*> SimCluster::serving() {
    std::vector<Member*> out;
    for (const auto& member : members_) {
        if (member->node() != nullptr && !member->is_stopping) out.push_back(member.get());
    }
    return out;
}

std::vector<Member*> SimCluster::taking_part() {
    std::vector<Member*> all = serving();
    std::erase_if(all, [](const Member* member) { return member->is_removed; });
    return all;
}

Member* SimCluster::any_serving() {
    const std::vector<Member*> all = serving();
    return all.empty() ? nullptr : all[below(all.size())];
}

Member* SimCluster::most_advanced() {
    for (Member* member : serving()) {
        const raft::Driver& driver = member->node()->metadata().driver();
        if (driver.applied().value >= highest_applied_) return member;
    }
    return nullptr;
}

Member* SimCluster::leader() {
    Member* best = nullptr;
    std::uint64_t best_term = 0;
    for (Member* member : serving()) {
        const raft::Core& core = member->node()->metadata().driver().core();
        if (core.role() != raft::Role::kLeader || core.term().value <= best_term) continue;
        best = member;
        best_term = core.term().value;
    }
    return best;
}

void SimCluster::catch_up_clocks() {
    std::int64_t ahead_ms = 0;
    for (Member* member : taking_part()) {
        const std::int64_t shown_ms =
            static_cast<std::int64_t>(member->process()->world->clock.unix_ms());
        const auto stamp_ms =
            static_cast<std::int64_t>(member->node()->objects().router().system().stamp_now());
        ahead_ms = std::max(ahead_ms, stamp_ms - (shown_ms - *member->clock_offset_ms()));
    }
    for (const auto& member : members_) {
        if (ahead_ms > *member->clock_offset_ms()) member->set_clock(ahead_ms);
    }
}

// A member, that no other one is to replace. Nullopt: nobody is there who knows.
std::optional<bool> SimCluster::may_replace(const base::NodeId& target) {
    Member* const best = most_advanced();
    if (best == nullptr) return std::nullopt;
    const auto nodes = best->node()->metadata().here().nodes();
    bool is_member = false;
    for (const proto::Node& node : nodes.value_or(std::vector<proto::Node>{})) {
        if (node.replaces() == target.view()) return false;
        is_member = is_member || node.node_id() == target.view();
    }
    return is_member;
}

// Whom it came to replace is still a member, as far as anybody knows: after a power cut a view may
// be older than what was agreed.
bool SimCluster::is_heir(const Member& member) {
    Member* const best = most_advanced();
    if (member.replaces.is_zero()) return false;
    if (best == nullptr) return true;
    return !best->node()->metadata().here().is_removed(member.replaces).value_or(false);
}

void SimCluster::watch() {
    for (const auto& member : members_) {
        node::Node* const node = member->node();
        if (node == nullptr) continue;
        const raft::Driver& driver = node->metadata().driver();
        highest_applied_ = std::max(highest_applied_, driver.applied().value);
        const raft::Core& core = driver.core();
        if (core.role() != raft::Role::kLeader) continue;
        const auto [known, is_new] = leader_of_.try_emplace(core.term().value, member->name());
        if (is_new) say(fmt::format("{} leads in term {}", member->name(), core.term().value));
        if (known->second == member->name()) continue;
        report_->violation("I9", fmt::format("{} and {} both lead in term {}", known->second,
                                             member->name(), core.term().value));
    }
}

void SimCluster::power_off(Member& member, Micros for_time) {
    if (!member.is_on()) return;
    say(member.name() + " is down");
    member.crash();
    member.boot_at = now() + for_time;
}

void SimCluster::arm_crash(Member& member, std::uint64_t most_ios) {
    const Micros away = some(0, 3000);
    member.arm_crash(below(most_ios) + 1, [this, &member, away] {
        say(member.name() + ": power cut at an I/O boundary");
        report_->reached("crash.at-io");
        power_off(member, away);
    });
}

void SimCluster::revive_all() {
    for (const auto& member : members_) {
        member->set_paused(false);
        member->disarm_crash();
        member->boot_at = std::min(member->boot_at, now());
        if (member->is_suspect) power_off(*member, Micros(0));
    }
}

void SimCluster::tend() {
    look_after_errands();
    for (const auto& member : members_) tend(*member);
}

void SimCluster::tend(Member& member) {
    if (member.is_paused()) return;
    Process* const process = member.process();
    if (process == nullptr) {
        if (member.has_begun && member.wants_up && now() >= member.boot_at) boot(member);
        return;
    }
    if (process->error) return failed_to_start(member, *process->error);
    if (process->is_ended) return power_off(member, member.is_stopping ? some(0, 1000) : Micros(0));
    if (process->node == nullptr) return;
    // The time of a cluster stands still while it is ahead of all clocks: then nothing expires.
    if (member.has_expired_token && clock_jumped) member.has_bad_token = false;
    if (member.has_bad_token) {
        return report_->violation("I13", member.name() + " got in with a token that must not do");
    }
    if (member.id.is_zero()) {
        member.id = process->node->identity().node;
        say(fmt::format("{} serves, node {}", member.name(), member.id.hex().substr(0, 8)));
        if (!member.token.empty()) used_token_ = std::exchange(member.token, {});
    }
    give_up(member);
    const auto& failure = process->node->metadata().driver().failure();
    if (!failure || member.is_stopping) return;
    if (!member.is_suspect && !member.is_removed) {
        report_->violation("I10", fmt::format("{} takes no part any more, without reason: {}",
                                              member.name(), failure->context));
    }
    report_->reached("restart.poisoned");
    power_off(member, some(0, 2000));
}

void SimCluster::boot(Member& member) {
    const bool is_first = &member == members_.front().get() && member.former.is_zero();
    if (member.has_directory()) {
        say(member.name() + " boots");
        member.start(Start::kOpen, {});
    } else if (is_first) {
        member.start(Start::kInit, {});
    } else if (!member.token.empty()) {
        say(member.name() + " joins");
        member.start(Start::kJoin, member.token);
    } else {
        return ask_for_token(member);
    }
    const bool crashes = is_first && member.lives() == 1 ? plan_->crash_in_init
                                                         : plan_->crash_in_start && chance(25);
    if (has_healed || !crashes) return;
    report_->reached("crash.armed-in-start");
    arm_crash(member, 80);
}

void SimCluster::failed_to_start(Member& member, const Error& error) {
    const bool was_joining = !member.has_directory();
    say(fmt::format("{} does not start: {}: {}", member.name(), base::to_string(error.code),
                    error.context));
    report_->reached(fmt::format("{}.{}", was_joining ? "join-error" : "open-error",
                                 base::to_string(error.code)));
    const bool is_full =
        error.code == Code::kNoSpace && member.disk().capacity_bytes < kMemberCapacity;
    const bool is_excused = is_full || (error.code == Code::kIo && member.is_suspect);
    if (was_joining && !is_excused) {
        join_failed(member, error);
    } else if (!is_excused) {
        report_->violation("I1", fmt::format("{} does not open: {}: {}", member.name(),
                                             base::to_string(error.code), error.context));
    }
    power_off(member, some(100, 1000));
}

// Only who was cut off, or shows a bad token, stays outside.
void SimCluster::join_failed(Member& member, const Error& error) {
    if (error.code == Code::kUnavailable) return;
    if (member.has_bad_token) {
        report_->reached("token.refused");
        member.has_bad_token = false;
        member.token.clear();
        member.has_begun = false;
        return;
    }
    const bool has_expired = error.context.find("expired") != std::string::npos;
    member.token.clear();  // another one next time
    if (!member.replaces.is_zero()) {
        const auto may = may_replace(member.replaces);
        if (!may) return;  // it tries again
        if (!*may) {
            report_->reached("replace.too-late");
            return member.set_replaces({});  // it joins as itself
        }
    }
    if (has_expired && clock_jumped) return;
    report_->violation("I13", fmt::format("{} is not let in: {}: {}", member.name(),
                                          base::to_string(error.code), error.context));
}

}  // namespace hamster::simulation
