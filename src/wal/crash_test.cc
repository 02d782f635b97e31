// The log under crashes at every I/O boundary, against a model.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "base/assert.h"
#include "runtime/sim/simulator.h"
#include "wal/wal.h"

namespace hamster::wal {
namespace {

using runtime::Task;
using runtime::sim::Machine;
using runtime::sim::Simulator;

constexpr Options kTiny{.file_bytes = 6 * base::kBlock, .max_group_bytes = 8192, .spare_files = 1};

// What the log holds: record `first + i` is records[i].
struct Content {
    std::uint64_t first = 1;
    std::deque<std::string> records;
    [[nodiscard]] std::uint64_t next() const { return first + records.size(); }
};

// One change, in the order of the calls.
struct Change {
    enum class Kind { kAppend, kDropFrom, kReset } kind = Kind::kAppend;
    std::string record;
    std::uint64_t seq = 0;
    bool acknowledged = false;
};

void apply(Content& content, const Change& change) {
    switch (change.kind) {
        case Change::Kind::kAppend:
            content.records.push_back(change.record);
            break;
        case Change::Kind::kDropFrom:
            content.records.resize(change.seq - content.first);
            break;
        case Change::Kind::kReset:
            content.first = change.seq;
            content.records.clear();
            break;
    }
}

struct Scene {
    runtime::World* world = nullptr;
    std::unique_ptr<Wal> wal;
    base::Metrics metrics;
    Content base;    // when this incarnation began
    Content latest;  // with every change called for
    std::deque<Change> changes;
    std::uint64_t dropped_before = 0;
    int stamp = 0;
    bool broken = false;
};

Change choose(Scene* run) {
    auto& random = run->world->random;
    Change change;
    const std::uint64_t dice = random.below(100);
    const std::uint64_t lowest = std::max(run->latest.first, run->dropped_before);
    if (dice < 4 && run->latest.next() > lowest) {
        change.kind = Change::Kind::kDropFrom;
        change.seq = lowest + random.below(run->latest.next() - lowest);
    } else if (dice < 5) {
        change.kind = Change::Kind::kReset;
        change.seq = run->latest.next() + random.below(50);
    } else {
        const std::uint64_t size = dice < 20 ? random.below(12000) : random.below(300);
        change.record = fmt::format("{}:{}", run->stamp++, std::string(size, 'r'));
    }
    return change;
}

Task<Result<void>> perform(Wal* wal, Change change) {
    if (change.kind == Change::Kind::kDropFrom) {
        co_return co_await wal->drop_from(change.seq);
    }
    if (change.kind == Change::Kind::kReset) {
        co_return co_await wal->reset(change.seq);
    }
    auto number = co_await wal->append(std::move(change.record));
    CO_TRY(number);
    co_return Result<void>{};
}

Task<void> client(Scene* run, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        run->changes.push_back(choose(run));
        Change& change = run->changes.back();  // a deque: stays where it is
        apply(run->latest, change);
        auto done = co_await perform(run->wal.get(), change);
        change.acknowledged = done.has_value();
        run->broken = run->broken || !done.has_value();
    }
}

Task<void> dropper(Scene* run, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        const auto us = static_cast<std::int64_t>(run->world->random.below(3000));
        co_await run->world->clock.sleep(runtime::Micros(us));
        std::uint64_t limit = run->wal->next();
        for (const Change& change : run->changes) {  // never past a drop that is still queued
            if (!change.acknowledged && change.kind == Change::Kind::kDropFrom) {
                limit = std::min(limit, change.seq);
            }
        }
        run->dropped_before = std::max(run->dropped_before, limit);
        auto dropped = co_await run->wal->drop_before(limit);
        run->broken = run->broken || !dropped.has_value();
    }
}

Task<void> work(Scene* run) {
    runtime::Gate gate;
    for (int i = 0; i < 4; ++i) {
        runtime::spawn(run->world->executor, gate, "client", client(run, 12));
    }
    runtime::spawn(run->world->executor, gate, "dropper", dropper(run, 4));
    co_await gate.close();
}

Task<void> open_and_read(Scene* run, Content* found, std::string* failure) {
    auto opened = co_await Wal::open(run->world, "log", kTiny, &run->metrics);
    if (!opened) {
        *failure = opened.error().context;
        co_return;
    }
    run->wal = std::move(*opened);
    found->first = run->wal->first();
    auto read = co_await run->wal->read(run->wal->first(), run->wal->next(),
                                        [found](std::uint64_t seq, base::Bytes record) {
                                            HAMSTER_ASSERT(seq == found->next(), seq);
                                            found->records.emplace_back(base::as_text(record));
                                            return Result<void>{};
                                        });
    if (!read) {
        *failure = read.error().context;
    } else if (found->next() != run->wal->next()) {
        *failure = "read() misses records";
    }
}

// `found` may begin earlier or later than the model's content (files are dropped whole), but what
// both hold agrees, and it ends at the same place.
bool agrees(const Content& found, const Content& model, std::uint64_t dropped_before) {
    if (found.next() != model.next() || found.first > std::max(model.first, dropped_before)) {
        return false;
    }
    for (std::uint64_t seq = std::max(found.first, model.first); seq < found.next(); ++seq) {
        if (found.records[seq - found.first] != model.records[seq - model.first]) {
            return false;
        }
    }
    return true;
}

// Some prefix of the changes that includes every acknowledged one explains what was found.
bool explained(const Scene& run, const Content& found) {
    std::size_t acknowledged = 0;
    for (std::size_t i = 0; i < run.changes.size(); ++i) {
        if (run.changes[i].acknowledged) {
            acknowledged = i + 1;
        }
    }
    Content content = run.base;
    for (std::size_t i = 0; i <= run.changes.size(); ++i) {
        if (i >= acknowledged && agrees(found, content, run.dropped_before)) {
            return true;
        }
        if (i < run.changes.size()) {
            apply(content, run.changes[i]);
        }
    }
    return false;
}

void crash_and_check(std::uint64_t seed, int incarnations, int* crashes) {
    Simulator sim(seed);
    Machine& machine = sim.machine("m");
    Scene run;
    run.world = &machine.boot();
    const auto crash = [&] { machine.crash([&] { run.wal.reset(); }); };
    for (int i = 0; i < incarnations; ++i) {
        // Now and then the crash comes while the log is being opened.
        const std::uint64_t at = 1 + sim.random().below(i % 3 == 2 ? 30 : 250);
        Content found;
        std::string failure;
        if (i % 3 == 2) {
            machine.crash_at_io(at, crash);
        }
        if (!sim.run_on(machine, open_and_read(&run, &found, &failure))) {
            run.world = &machine.boot();
            ++*crashes;
            continue;
        }
        ASSERT_EQ(failure, "") << "seed " << seed << " incarnation " << i;
        ASSERT_TRUE(explained(run, found)) << "seed " << seed << " incarnation " << i << ": "
                                           << found.first << ".." << found.next();
        run.base = run.latest = found;
        run.changes.clear();
        run.dropped_before = std::max(found.first, std::min(run.dropped_before, found.next()));
        machine.crash_at_io(at, crash);
        if (sim.run_on(machine, work(&run))) {
            ASSERT_FALSE(run.broken) << "seed " << seed;
            machine.disarm_crash();
            crash();
        } else {
            ++*crashes;
        }
        run.world = &machine.boot();
    }
    crash();
}

TEST(WalCrash, WhatWasAcknowledgedIsThereAndNothingElse) {
    int crashes = 0;
    for (std::uint64_t seed = 1; seed <= 250; ++seed) {
        crash_and_check(seed, 8, &crashes);
        if (testing::Test::HasFatalFailure()) {
            return;
        }
    }
    EXPECT_GT(crashes, 800);
}

Task<void> fixed_work(Scene* run) {
    for (int i = 0; i < 12; ++i) {
        Change change;
        change.record =
            fmt::format("{}:{}", i, std::string(static_cast<std::size_t>(i) * 700, 's'));
        run->changes.push_back(change);
        apply(run->latest, change);
        auto done = co_await perform(run->wal.get(), change);
        run->changes.back().acknowledged = done.has_value();
    }
    auto dropped = co_await run->wal->drop_before(8);
    run->dropped_before = 8;
    run->broken = !dropped.has_value();
}

TEST(WalCrash, EveryBoundaryOfAFixedRun) {
    std::uint64_t boundaries = 0;
    for (bool finished = false; !finished; ++boundaries) {
        for (std::uint64_t seed = 1; seed <= 4; ++seed) {
            Simulator sim(seed);
            Machine& machine = sim.machine("m");
            Scene run;
            run.world = &machine.boot();
            run.dropped_before = 8;
            const auto crash = [&] { machine.crash([&] { run.wal.reset(); }); };
            machine.crash_at_io(boundaries + 1, crash);
            Content found;
            std::string failure;
            if (sim.run_on(machine, open_and_read(&run, &found, &failure)) &&
                sim.run_on(machine, fixed_work(&run))) {
                finished = true;
                machine.disarm_crash();
                crash();
            }
            run.world = &machine.boot();
            found = Content{};
            ASSERT_TRUE(sim.run_on(machine, open_and_read(&run, &found, &failure)));
            ASSERT_EQ(failure, "") << "boundary " << boundaries << " seed " << seed;
            ASSERT_TRUE(explained(run, found)) << "boundary " << boundaries << " seed " << seed;
            crash();
        }
    }
    EXPECT_GT(boundaries, 60U);
}

}  // namespace
}  // namespace hamster::wal
