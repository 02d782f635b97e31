// Drivers on simulated machines: real logs on disks that crash, messages that get lost, late and
// out of order. What a proposer was told must be so, on every node. For tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/driver/driver.h"
#include "runtime/sim/simulator.h"

namespace hamster::raft::testing {

using proto::Entry;
using runtime::Micros;
using runtime::Task;
using runtime::sim::Machine;
using runtime::sim::Simulator;

inline constexpr wal::Options kSmallFiles{
    .file_bytes = 8 * base::kBlock, .max_group_bytes = 8192, .spare_files = 1};

inline NodeId node_id(std::size_t number) {
    NodeId id;
    id.raw.back() = static_cast<std::byte>(number + 1);
    return id;
}

struct Cluster;
inline std::string describe(Cluster& cluster);

// One node: what lives in its process, and what its state machine has on its disk.
struct Member final : Transport, StateMachine {
    Cluster* cluster = nullptr;
    std::size_t number = 0;
    Machine* machine = nullptr;
    // The disk of the state machine, without faults.
    std::vector<std::string> flushed;
    Tail flushed_at;
    // The process.
    base::Metrics metrics;
    std::unique_ptr<runtime::Gate> gate;
    std::unique_ptr<Driver> driver;
    std::vector<std::string> applied;  // one per entry; empty where it was no command
    std::vector<Tail> tails;
    bool flushed_is_installed = false;
    std::vector<std::string> received;  // a snapshot, whole
    Tail received_at;
    std::size_t snapshots_installed = 0;
    std::map<NodeId, std::uint64_t> sending;  // which attempt is under way; each ends once
    std::uint64_t attempts = 0;
    std::size_t changes = 0;

    void send(proto::RaftMessage message) override;
    void send_snapshot(const NodeId& to) override;
    Task<Result<void>> install() override {
        flushed = applied = received;
        flushed_at = received_at;
        flushed_is_installed = true;
        tails.assign(applied.size(), Tail{});
        if (!tails.empty()) tails.back() = received_at;
        ++snapshots_installed;
        co_return Result<void>{};
    }
    Result<void> apply(const std::vector<Entry>& entries, const std::vector<bool>&) override;
    [[nodiscard]] bool is_up() const { return machine->is_up() && driver != nullptr; }
};

struct Cluster {
    Cluster(std::uint64_t seed, std::size_t voters, std::size_t newcomers = 0)
        : sim(seed), members(voters + newcomers) {
        for (std::size_t i = 0; i < members.size(); ++i) {
            members[i].cluster = this;
            members[i].number = i;
            members[i].machine = &sim.machine("n" + std::to_string(i));
            if (i < voters) first.voters.insert(node_id(i));
        }
        for (Member& member : members) boot(member);
    }
    ~Cluster() {
        for (Member& member : members) crash(member);
    }
    void boot(Member& member);
    void crash(Member& member) {
        if (!member.machine->is_up()) return;
        member.machine->crash([&member] {
            member.driver.reset();
            member.gate.reset();
        });
    }
    Member* leader() {
        for (Member& member : members) {
            if (member.is_up() && member.driver->core().role() == Role::kLeader) return &member;
        }
        return nullptr;
    }
    bool chance(std::uint64_t percent) { return sim.random().below(100) < percent; }

    Simulator sim;
    Members first;
    std::vector<Member> members;
    std::uint64_t loss_percent = 0;
    std::int64_t max_delay_us = 5'000;
    std::set<std::size_t> cut_off;
    std::map<std::uint64_t, std::string> log;  // what was applied first at an index
    std::vector<std::string> acknowledged;
    std::set<std::string> refused;  // surely not proposed
    std::size_t proposed = 0;
    std::size_t reads = 0;
    std::size_t no_space = 0;
    std::set<std::size_t> damaged;
    bool flips_bits = true;
    std::size_t damages = 0;
    std::string broken;
};

inline Result<void> Member::apply(const std::vector<Entry>& entries, const std::vector<bool>&) {
    for (const Entry& entry : entries) {
        if (entry.index() != applied.size() + 1) cluster->broken = "entries are not contiguous";
        const std::string text = entry.kind() == Entry::COMMAND ? entry.payload() : std::string();
        const auto [known, is_first] = cluster->log.emplace(entry.index(), text);
        if (known->second != text) cluster->broken = "two entries at one index";
        applied.push_back(text);
        tails.push_back({LogIndex{entry.index()}, Term{entry.term()}, entry.chain()});
    }
    return {};
}

inline Task<void> deliver(runtime::World* world, Member* to, proto::RaftMessage message,
                          Micros delay) {
    co_await world->clock.sleep(delay);
    if (to->driver) to->driver->receive(message);
}

inline void Member::send(proto::RaftMessage message) {
    Member& to = cluster->members[static_cast<std::uint8_t>(message.to().back()) - 1U];
    const bool is_cut = cluster->cut_off.contains(number) || cluster->cut_off.contains(to.number);
    if (is_cut || !to.is_up() || cluster->chance(cluster->loss_percent)) return;
    const auto span = static_cast<std::uint64_t>(cluster->max_delay_us);
    const Micros delay(static_cast<std::int64_t>(cluster->sim.random().below(span)));
    runtime::World* const there = &to.machine->world();
    runtime::spawn(there->executor, *to.gate, "deliver",
                   deliver(there, &to, std::move(message), delay));
}

struct Attempt {
    Member* from = nullptr;
    NodeId to;
    LogIndex index;
    std::uint64_t number = 0;
};

inline Task<void> report(runtime::World* world, Attempt attempt, bool installed, Micros delay) {
    co_await world->clock.sleep(delay);
    Member& from = *attempt.from;
    if (!from.driver || from.sending[attempt.to] != attempt.number) co_return;
    from.sending[attempt.to] = 0;
    from.driver->snapshot_sent(attempt.to, attempt.index, installed);
}

inline void report_to(const Attempt& attempt, bool installed, Micros delay = Micros(1'000)) {
    if (!attempt.from->is_up()) return;
    runtime::World* const there = &attempt.from->machine->world();
    runtime::spawn(there->executor, *attempt.from->gate, "report",
                   report(there, attempt, installed, delay));
}

inline Task<void> receive_snapshot(runtime::World* world, Attempt attempt, Member* to,
                                   std::vector<std::string> state, Tail at) {
    co_await world->clock.sleep(Micros(50'000));
    if (!to->driver) co_return;
    to->received = std::move(state);
    to->received_at = at;
    auto done = co_await to->driver->install(at, to->cluster->first);
    report_to(attempt, done.has_value());
}

inline void Member::send_snapshot(const NodeId& to) {
    Member& target = cluster->members[static_cast<std::uint8_t>(to.raw.back()) - 1U];
    const Attempt attempt{this, to, flushed_at.index, ++attempts};
    sending[to] = attempt.number;
    if (!target.is_up() || cluster->cut_off.contains(number) || flushed_at.index.value == 0 ||
        cluster->cut_off.contains(target.number)) {
        report_to(attempt, false);
        return;
    }
    // Who goes down with half a snapshot says nothing any more.
    report_to(attempt, false, Micros(500'000));
    runtime::World* const there = &target.machine->world();
    runtime::spawn(there->executor, *target.gate, "snapshot",
                   receive_snapshot(there, attempt, &target, flushed, flushed_at));
}

inline Task<void> open(Member* member, std::optional<Error>* error) {
    runtime::World* const world = &member->machine->world();
    Cluster& cluster = *member->cluster;
    const Tail base = member->flushed_at;
    auto opening = cluster.first.voters.size() > 1
                       ? Log::open_or_rejoin(world, "raft", kSmallFiles, &member->metrics, base)
                       : Log::open(world, "raft", kSmallFiles, &member->metrics, base);
    auto log = co_await std::move(opening);
    if (!log) {
        *error = log.error();
        co_return;
    }
    DriverOptions options;
    options.core.self = node_id(member->number);
    options.core.seed = world->random.next();
    options.cache_bytes = 2000;
    options.message_bytes = 1000;
    options.on_change = [member] { ++member->changes; };
    auto driver =
        std::make_unique<Driver>(world, options, std::move(*log), member, member, &member->metrics);
    member->applied = member->flushed;
    member->tails.resize(member->flushed.size());
    if (!member->tails.empty()) member->tails.back() = member->flushed_at;
    const bool is_known = cluster.first.contains(node_id(member->number));
    auto started = co_await driver->start(
        {member->flushed_at, is_known ? cluster.first : Members{}, member->flushed_is_installed});
    if (!started) *error = started.error();
    member->driver = std::move(driver);
}

inline void Cluster::boot(Member& member) {
    member.machine->set_faults({});
    member.machine->boot();
    member.gate = std::make_unique<runtime::Gate>();
    std::optional<Error> error;
    if (!sim.run_on(*member.machine, open(&member, &error))) return;
    if (error) broken = "a node does not open: " + error->context;
}

inline Task<void> propose(Member* member, std::string text) {
    auto done = co_await member->driver->propose(text);
    Cluster& cluster = *member->cluster;
    if (done) {
        cluster.acknowledged.push_back(text);
        if (member->applied[done->index.value - 1] != text) {
            cluster.broken = "answered by another entry";
        }
    } else if (done.error().code != Code::kUnknownOutcome) {
        cluster.refused.insert(text);
        cluster.no_space += done.error().code == Code::kNoSpace ? 1U : 0U;
    }
}

inline Task<void> read(Member* member) {
    const std::size_t before = member->cluster->acknowledged.size();
    auto done = co_await member->driver->read_barrier();
    if (!done) co_return;
    ++member->cluster->reads;
    for (std::size_t i = 0; i < before; ++i) {
        const std::string& text = member->cluster->acknowledged[i];
        if (std::ranges::find(member->applied, text) == member->applied.end()) {
            member->cluster->broken = "a read missed " + text;
        }
    }
}

inline Task<void> flush(Member* member) {
    // Not in the middle of an installation: the state is ahead of the log until that is over.
    if (member->driver->applied().value != member->applied.size()) co_return;
    member->flushed = member->applied;
    member->flushed_at = member->tails.back();
    member->flushed_is_installed = false;
    auto done = co_await member->driver->flushed(member->flushed_at);
    (void)done;  // a disk that fails shows elsewhere
}

// A bit flips in the oldest file of a log, in its header or its first group. Once the log has
// another file, that is never its end, where a group that does not verify counts as a write that
// was cut short. Only as long as a majority is left, or the other one of two voters.
inline void damage(Cluster& cluster, Member& member) {
    std::erase_if(cluster.damaged, [&cluster](std::size_t number) {
        const Member& once = cluster.members[number];
        return once.is_up() && once.driver->core().has_caught_up();
    });
    const std::size_t voters = cluster.first.voters.size();
    if (cluster.damaged.size() >= (voters == 2 ? 1 : (voters - 1) / 2)) return;
    const auto file_of = [](std::uint64_t epoch) {
        return fmt::format("raft/log/{:016x}.wal", epoch);
    };
    std::uint64_t epoch = 1;
    while (epoch < 1000 && !member.machine->durable_content(file_of(epoch))) ++epoch;
    if (!member.machine->durable_content(file_of(epoch + 1))) return;
    const std::uint64_t at = cluster.chance(20) ? 0 : base::kBlock;
    member.machine->flip_bit(file_of(epoch), 8 * at + cluster.sim.random().below(128));
    cluster.damaged.insert(member.number);
    ++cluster.damages;
}

inline void act(Cluster& cluster, bool faults) {
    Member& member = cluster.members[cluster.sim.random().below(cluster.members.size())];
    const std::uint64_t what = cluster.sim.random().below(1000);
    if (!member.is_up()) {
        if (what >= 970 && cluster.flips_bits) damage(cluster, member);
        if (what < 300) cluster.boot(member);
        return;
    }
    runtime::World& world = member.machine->world();
    if (what < 700) {
        std::string text = "command " + std::to_string(++cluster.proposed);
        text.append(cluster.sim.random().below(300), '.');
        runtime::spawn(world.executor, *member.gate, "propose", propose(&member, std::move(text)));
    } else if (what < 850) {
        runtime::spawn(world.executor, *member.gate, "read", read(&member));
    } else if (what < 870) {
        if (!member.tails.empty()) {
            runtime::spawn(world.executor, *member.gate, "flush", flush(&member));
        }
    } else if (faults && what < 890) {
        cluster.crash(member);
    } else if (faults && what < 905) {
        cluster.cut_off.insert(member.number);
    } else if (faults && what < 930) {
        cluster.cut_off.clear();
    } else if (faults && what < 935) {
        if (Member* leader = cluster.leader())
            (void)!leader->driver->transfer(node_id(member.number));
    } else if (faults && what < 945) {
        member.machine->set_faults({.capacity_bytes = member.machine->allocated_bytes()});
    } else if (what < 970) {
        member.machine->set_faults({});
    }
}

inline std::string describe(Cluster& cluster) {
    std::string out;
    for (const Member& member : cluster.members) {
        if (!member.is_up()) {
            out += fmt::format("node {} is down\n", member.number);
            continue;
        }
        const Core& core = member.driver->core();
        out += fmt::format(
            "node {}: role {} term {} log {}..{} commit {} applied {}{}\n", member.number,
            static_cast<int>(core.role()), core.term().value, core.log().base().index.value,
            core.log().last().index.value, core.commit().value, member.driver->applied().value,
            member.driver->failure() ? " failed: " + member.driver->failure()->context
                                     : std::string());
        for (const auto& [id, peer] : core.progress()) {
            out += fmt::format(
                "  peer {}: state {} match {} next {} loading {} waits {} flight {}\n",
                static_cast<int>(id.raw.back()) - 1, static_cast<int>(peer.state), peer.match.value,
                peer.next.value, peer.is_loading, peer.waits_for_reply, peer.in_flight.size());
        }
    }
    return out;
}

inline void check_end(Cluster& cluster) {
    const Member& first = cluster.members.front();
    for (const Member& member : cluster.members) {
        ASSERT_EQ(member.applied, first.applied) << member.number;
    }
    for (const std::string& text : cluster.acknowledged) {
        EXPECT_EQ(std::ranges::count(first.applied, text), 1) << text;
    }
    for (const std::string& text : cluster.refused) {
        EXPECT_EQ(std::ranges::count(first.applied, text), 0) << text;
    }
}

}  // namespace hamster::raft::testing
