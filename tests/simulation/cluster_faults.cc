#include "cluster_faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace hamster::simulation {

using runtime::Micros;
using runtime::sim::DiskFaults;
using runtime::sim::LinkFaults;
using std::chrono::milliseconds;

namespace {
constexpr Micros kAmbushPatience = std::chrono::seconds(3);
}

ClusterFaults::ClusterFaults(SimCluster* cluster, ClusterStorage* storage)
    : cluster_(cluster), storage_(storage) {
    cluster_->on_begin = [this](const UnderWay& request) { notice(request); };
}

void ClusterFaults::ambush(Activity what, std::uint64_t least_bytes, bool is_quick,
                           std::function<void(const UnderWay&)> action) {
    ambushes_.push_back(
        {what, least_bytes, is_quick, cluster_->now() + kAmbushPatience, std::move(action)});
}

// Called from within a client: what is done is done from tick().
void ClusterFaults::notice(const UnderWay& request) {
    const auto found = std::ranges::find_if(ambushes_, [&](const Ambush& ambush) {
        return ambush.what == request.what && ambush.least_bytes <= request.bytes;
    });
    if (found == ambushes_.end()) return;
    // A body of some hundred KiB takes some ten milliseconds.
    const std::uint64_t most_us = found->is_quick ? 10'000 : chance(70) ? 40'000 : 300'000;
    const Micros after(static_cast<std::int64_t>(below(most_us)));
    at(after, [request, action = std::move(found->action)] { action(request); });
    ambushes_.erase(found);
}

runtime::Time ClusterFaults::next_due() const {
    return agenda_.empty() ? runtime::Time::never() : agenda_.begin()->first;
}

void ClusterFaults::at(Micros after, std::function<void()> action) {
    agenda_.emplace(cluster_->now() + after, std::move(action));
}

void ClusterFaults::tick() {
    storage_->look();
    std::erase_if(ambushes_, [&](const Ambush& a) { return a.until <= cluster_->now(); });
    while (!agenda_.empty() && agenda_.begin()->first <= cluster_->now()) {
        const auto action = std::move(agenda_.begin()->second);
        agenda_.erase(agenda_.begin());
        action();
    }
}

void ClusterFaults::end_all() {
    agenda_.clear();
    ambushes_.clear();
    cluster_->sim().heal_links();
    cluster_->sim().set_network_faults({});
    for (const auto& member : cluster_->members()) {
        DiskFaults good;
        good.capacity_bytes = kMemberCapacity;
        member->set_disk(good);
        member->set_clock(0);
    }
}

Member& ClusterFaults::some_begun() {
    std::vector<Member*> begun;
    for (const auto& member : cluster_->members()) {
        if (member->has_begun) begun.push_back(member.get());
    }
    return *begun[below(begun.size())];
}

Member* ClusterFaults::some_on() {
    std::vector<Member*> on;
    for (const auto& member : cluster_->members()) {
        if (member->is_on()) on.push_back(member.get());
    }
    return on.empty() ? nullptr : on[below(on.size())];
}

void ClusterFaults::inject() {
    const auto& kinds = cluster_->plan().kinds;
    const ClusterFault fault = kinds[below(kinds.size())];
    cluster_->say(fmt::format("fault: {}", name_of(fault)));
    cluster_->report().reached(fmt::format("fault.{}", name_of(fault)));
    apply(fault);
}

void ClusterFaults::apply(ClusterFault fault) {
    Member* const member = some_on();
    if (member == nullptr) return;
    switch (fault) {
        case ClusterFault::kCrashAtIo:
            return cluster_->arm_crash(*member, chance(50) ? 10 : 60);
        case ClusterFault::kCrashNow:
            return cluster_->power_off(*member, cluster_->some(0, 5000));
        case ClusterFault::kCleanRestart:
            if (member->node() != nullptr && !member->is_stopping) member->stop();
            return;
        case ClusterFault::kPowerCut:
            return power_cut();
        case ClusterFault::kCutOneWay:
            return cut(member->name(), some_begun().name(), cluster_->some(50, 8000));
        case ClusterFault::kCutTwoWays: {
            const std::string other = some_begun().name();
            const Micros time = cluster_->some(50, 8000);
            cut(member->name(), other, time);
            return cut(other, member->name(), time);
        }
        case ClusterFault::kIsolateLeader:
            return isolate();
        case ClusterFault::kFlapping:
            return flap();
        case ClusterFault::kPause: {
            Member* const leader = cluster_->leader();
            return pause(leader != nullptr && chance(50) ? *leader : *member);
        }
        case ClusterFault::kSlowLinks:
            return slow_links();
        case ClusterFault::kResets:
            return reset_links();
        case ClusterFault::kClockJump:
            return jump(*member);
        case ClusterFault::kFullDisk:
        case ClusterFault::kSlowDisk:
        case ClusterFault::kDiskErrors:
            return hurt_disk(*member, fault);
        case ClusterFault::kGrow:
            (void)cluster_->grow();
            return;
        case ClusterFault::kTransfer:
            return cluster_->transfer();
        case ClusterFault::kRemove:
            return cluster_->remove();
        case ClusterFault::kBadToken:
            return cluster_->intrude();
        case ClusterFault::kHolderDies:
            return kill_holder();
        case ClusterFault::kCoordinatorDies:
            return kill_coordinator();
        case ClusterFault::kSlowNode:
            return slow_node(*member);
        case ClusterFault::kDiskLost:
            (void)storage_->lose_disk(*member);
            return;
        case ClusterFault::kDiskRots:
            (void)storage_->rot_disk(*member);
            return;
        case ClusterFault::kShardsRot:
            (void)storage_->rot_shards(static_cast<int>(1 + below(4)));
            return;
        case ClusterFault::kSlotsMove:
            return move_slots();
        case ClusterFault::kDrain:
            return drain(*member);
        case ClusterFault::kReplace:
            return cluster_->replace(*member);
        case ClusterFault::kProfile:
            return cluster_->set_profile();
        case ClusterFault::kOptimize:
            return cluster_->optimize();
    }
}

// Power cut of a node while others send it slices.
void ClusterFaults::kill_holder() {
    ambush(Activity::kWrite, cluster_->plan().small_bytes, false, [this](const UnderWay& request) {
        Member* const victim = some_on();
        if (victim == nullptr || victim == request.at) return;
        cluster_->report().reached("holder.killed");
        if (chance(50)) return cluster_->arm_crash(*victim, 25);
        cluster_->power_off(*victim, cluster_->some(0, 5000));
    });
}

// Power cut of the node that a client talks to, at any step of what it does for him.
void ClusterFaults::kill_coordinator() {
    constexpr std::array kSteps = {Activity::kWrite, Activity::kWrite, Activity::kComplete};
    ambush(kSteps[below(kSteps.size())], 0, false, [this](const UnderWay& request) {
        if (!request.at->is_on()) return;
        cluster_->report().reached(
            fmt::format("coordinator.killed.{}", static_cast<int>(request.what)));
        if (chance(50)) return cluster_->arm_crash(*request.at, 25);
        cluster_->power_off(*request.at, cluster_->some(0, 5000));
    });
}

// The layout changes while a client reads, writes or completes, or at once.
void ClusterFaults::move_slots() {
    if (chance(20)) return cluster_->swap_slots();
    // It takes some milliseconds until the layout has changed.
    const auto swap = [this](const UnderWay& request) {
        cluster_->report().reached(
            fmt::format("slots-move.during.{}", static_cast<int>(request.what)));
        cluster_->swap_slots();
        // In some cases so long that the slots have settled when the body is committed.
        if (Member* const slow = some_on(); slow != nullptr && chance(30)) slow_node(*slow);
    };
    constexpr std::array kSteps = {Activity::kRead, Activity::kComplete, Activity::kWrite};
    if (chance(30)) return ambush(kSteps[below(kSteps.size())], 0, true, swap);
    ambush(Activity::kWrite, cluster_->plan().small_bytes, true, swap);
}

void ClusterFaults::drain(Member& member) {
    cluster_->drain(member);
    if (chance(50)) at(cluster_->some(100, 8000), [this, &member] { cluster_->undrain(member); });
}

// All that one node says and hears takes long, and its disk is slow now and then.
void ClusterFaults::slow_node(Member& member) {
    const Micros time = cluster_->some(500, 8000);
    LinkFaults faults;
    faults.extra_latency = cluster_->some(20, chance(50) ? 1500 : 200);
    cluster_->say(
        fmt::format("{} is slow, by {} ms", member.name(), faults.extra_latency.count() / 1000));
    DiskFaults disk;
    disk.capacity_bytes = kMemberCapacity;
    disk.slow_ppm = chance(50) ? 20'000 : 0;
    member.set_disk(disk);
    const auto set_links = [this, name = member.name()](const LinkFaults& as) {
        for (const auto& other : cluster_->members()) {
            if (other->name() == name) continue;
            cluster_->sim().set_link(name, other->name(), as);
            cluster_->sim().set_link(other->name(), name, as);
        }
    };
    set_links(faults);
    at(time, [set_links, &member] {
        set_links({});
        DiskFaults good;
        good.capacity_bytes = kMemberCapacity;
        member.set_disk(good);
    });
}

void ClusterFaults::cut(const std::string& from, const std::string& to, Micros for_time) {
    if (from == to) return;
    cluster_->say(fmt::format("{} -> {} is cut for {} ms", from, to, for_time.count() / 1000));
    LinkFaults faults;
    faults.cut = true;
    cluster_->sim().set_link(from, to, faults);
    at(for_time, [this, from, to] {
        cluster_->say(fmt::format("{} -> {} heals", from, to));
        cluster_->sim().set_link(from, to, {});
    });
}

void ClusterFaults::power_cut() {
    for (const auto& member : cluster_->members()) {
        cluster_->power_off(*member, cluster_->some(0, 2000));
    }
}

void ClusterFaults::isolate() {
    Member* const leader = cluster_->leader();
    if (leader == nullptr) return;
    const bool out = chance(75);
    const bool in = !out || chance(75);
    const Micros time = cluster_->some(500, 8000);
    for (const auto& member : cluster_->members()) {
        if (member.get() == leader || !member->has_begun) continue;
        if (out) cut(leader->name(), member->name(), time);
        if (in) cut(member->name(), leader->name(), time);
    }
}

// Links go down in one random order and come back in another.
void ClusterFaults::flap() {
    const Micros spread = cluster_->some(200, 4000);
    const auto moment = [&] {
        return Micros(static_cast<std::int64_t>(below(static_cast<std::uint64_t>(spread.count()))));
    };
    for (const auto& from : cluster_->members()) {
        for (const auto& to : cluster_->members()) {
            if (from == to || !from->has_begun || !to->has_begun || chance(30)) continue;
            const Micros begin = moment();
            const Micros length = moment();
            at(begin, [this, length, a = from->name(), b = to->name()] { cut(a, b, length); });
        }
    }
}

void ClusterFaults::slow_links() {
    const Micros time = cluster_->some(500, 6000);
    LinkFaults faults;
    faults.extra_latency = cluster_->some(1, chance(30) ? 2000 : 100);
    for (const auto& from : cluster_->members()) {
        for (const auto& to : cluster_->members()) {
            if (from == to || chance(50)) continue;
            cluster_->sim().set_link(from->name(), to->name(), faults);
            at(time,
               [this, a = from->name(), b = to->name()] { cluster_->sim().set_link(a, b, {}); });
        }
    }
}

void ClusterFaults::reset_links() {
    if (chance(50)) {
        const Member* const from = some_on();
        cluster_->sim().reset_connections(from->name(), some_begun().name());
        return;
    }
    const auto ppm = static_cast<std::uint32_t>(below(20'000));
    cluster_->sim().set_network_faults({ppm, 5000});
    at(cluster_->some(200, 4000), [this] { cluster_->sim().set_network_faults({}); });
}

void ClusterFaults::pause(Member& member) {
    if (member.is_paused()) return;
    const Micros time = chance(70) ? cluster_->some(10, 3000) : cluster_->some(1000, 120'000);
    cluster_->say(fmt::format("{} pauses for {} ms", member.name(), time.count() / 1000));
    member.set_paused(true);
    at(time, [this, &member] {
        cluster_->say(member.name() + " goes on");
        member.set_paused(false);
    });
}

void ClusterFaults::jump(Member& member) {
    // Clocks of most voters must be right.
    for (const auto& other : cluster_->members()) {
        if (other.get() != &member && *other->clock_offset_ms() != 0) return;
    }
    constexpr std::array<std::int64_t, 5> kSpans = {1'000, 20'000, 3'600'000, 86'400'000,
                                                    315'360'000'000};
    const std::int64_t span = kSpans[below(kSpans.size())];
    const auto by = static_cast<std::int64_t>(below(static_cast<std::uint64_t>(span)));
    cluster_->clock_jumped = true;
    member.set_clock(chance(60) ? by : -by);
    cluster_->say(
        fmt::format("{}: the clock jumps by {} ms", member.name(), *member.clock_offset_ms()));
    if (chance(60)) at(cluster_->some(500, 8000), [&member] { member.set_clock(0); });
}

void ClusterFaults::hurt_disk(Member& member, ClusterFault fault) {
    DiskFaults faults;
    faults.capacity_bytes = kMemberCapacity;
    if (fault == ClusterFault::kFullDisk) {
        faults.capacity_bytes = member.used_bytes() + below(256 << 10);
    } else if (fault == ClusterFault::kSlowDisk) {
        faults.slow_ppm = 50'000;
    } else {
        cluster_->disks_failed = true;
        faults.read_eio_ppm = chance(50) ? 20'000 : 0;
        faults.write_eio_ppm = chance(50) ? 20'000 : 0;
        faults.sync_eio_ppm = chance(50) ? 20'000 : 0;
    }
    cluster_->say(fmt::format("{}: {}", member.name(), name_of(fault)));
    member.set_disk(faults);
    at(cluster_->some(300, 6000), [this, &member] {
        cluster_->say(member.name() + ": the disk is good again");
        DiskFaults good;
        good.capacity_bytes = kMemberCapacity;
        member.set_disk(good);
        if (member.is_suspect && chance(50)) cluster_->power_off(member, Micros(0));
    });
}

}  // namespace hamster::simulation
