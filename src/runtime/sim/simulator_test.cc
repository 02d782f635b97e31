#include "runtime/sim/simulator.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "runtime/sync.h"

namespace hamster::runtime::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Counts itself: shows whether the frame that holds it is gone.
struct Counted {
    explicit Counted(int* count) : count_(count) { ++*count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --*count_; }
    int* count_;
};

Task<void> sleep_and_log(World* world, int id, std::vector<int>* log) {
    for (int i = 0; i < 5; ++i) {
        const auto us = static_cast<std::int64_t>(world->random.below(1000));
        co_await world->clock.sleep(Micros(us));
        log->push_back(id);
    }
}

std::uint64_t run_some(std::uint64_t seed, std::vector<int>* log) {
    Simulator sim(seed);
    World& world = sim.machine("a").boot();
    Gate gate;
    for (int id = 0; id < 8; ++id) {
        spawn(world.executor, gate, "logger", sleep_and_log(&world, id, log));
    }
    sim.run_on(sim.machine("a"), gate.close());
    return sim.trace_hash();
}

TEST(Simulator, SameSeedSameTrace) {
    std::vector<int> first;
    std::vector<int> second;
    EXPECT_EQ(run_some(7, &first), run_some(7, &second));
    EXPECT_EQ(first, second);
    EXPECT_EQ(first.size(), 40U);
}

TEST(Simulator, DifferentSeedsDiffer) {
    std::vector<int> first;
    std::vector<int> second;
    EXPECT_NE(run_some(7, &first), run_some(8, &second));
    EXPECT_NE(first, second);
}

Task<void> log_at_once(int id, std::vector<int>* log) {
    log->push_back(id);
    co_return;
}

std::vector<int> order_of_ready(std::uint64_t seed, bool permute) {
    Simulator sim(seed);
    sim.set_permute(permute);
    World& world = sim.harness();
    std::vector<int> log;
    Gate gate;
    for (int id = 0; id < 6; ++id) {
        spawn(world.executor, gate, "logger", log_at_once(id, &log));
    }
    sim.run(gate.close());
    return log;
}

TEST(Simulator, ReadyHandlersRunInOrderOrPermuted) {
    const std::vector<int> in_order{0, 1, 2, 3, 4, 5};
    EXPECT_EQ(order_of_ready(1, false), in_order);
    EXPECT_NE(order_of_ready(1, true), in_order);
}

TEST(Simulator, SleepTakesVirtualTime) {
    Simulator sim(1);
    const Time before = sim.now();
    sim.run(sim.harness().clock.sleep(std::chrono::hours(3)));
    EXPECT_EQ(sim.now() - before, Micros(std::chrono::hours(3)));
}

TEST(Simulator, RunForPassesTimeWhenIdle) {
    Simulator sim(1);
    const Time before = sim.now();
    sim.run_for(seconds(5));
    EXPECT_EQ(sim.now() - before, Micros(seconds(5)));
    EXPECT_FALSE(sim.run_until([] { return false; }, seconds(1)));
}

TEST(Simulator, WallClockOffsetMovesOnlyWallClock) {
    Simulator sim(1);
    World& world = sim.machine("a").boot();
    const std::uint64_t before = world.clock.unix_ms();
    const Time now = world.clock.now();
    sim.machine("a").set_clock_offset_ms(-5000);
    EXPECT_EQ(world.clock.unix_ms(), before - 5000);
    EXPECT_EQ(world.clock.now(), now);
}

Task<void> wait_for(Event* event, int* count) {
    const Counted counted(count);
    co_await event->wait();
    ADD_FAILURE() << "resumed";
}

Task<void> sleep_long(World* world, int* count) {
    const Counted counted(count);
    co_await world->clock.sleep(std::chrono::hours(1));
    ADD_FAILURE() << "resumed";
}

Task<void> wait_in_children(World* world, Event* event, int* count) {
    const Counted counted(count);
    Gate gate;
    spawn(world->executor, gate, "child", wait_for(event, count));
    spawn(world->executor, gate, "child", sleep_long(world, count));
    co_await gate.close();
}

Task<void> work_in_pool(World* world, int* count) {
    const Counted counted(count);
    for (;;) {
        auto done = co_await run_blocking(&world->pool, [] { return Result<int>(1); });
        EXPECT_TRUE(done.has_value());
    }
}

// The parts of a node that live outside frames.
struct Owned {
    Gate gate;
    Event event;
};

TEST(Simulator, CrashDestroysEveryFrameAndResumesNone) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Simulator sim(seed);
        Machine& machine = sim.machine("a");
        World& world = machine.boot();
        int count = 0;
        auto node = std::make_unique<Owned>();
        spawn(world.executor, node->gate, "waiter", wait_for(&node->event, &count));
        spawn(world.executor, node->gate, "sleeper", sleep_long(&world, &count));
        spawn(world.executor, node->gate, "parent", wait_in_children(&world, &node->event, &count));
        spawn(world.executor, node->gate, "pool", work_in_pool(&world, &count));
        sim.run_for(Micros(static_cast<std::int64_t>(seed * 20)));
        if (seed > 0) EXPECT_EQ(count, 6);
        machine.crash([&] { node.reset(); });
        EXPECT_EQ(count, 0);
        EXPECT_FALSE(machine.is_up());
        sim.run_for(std::chrono::hours(2));
    }
}

TEST(Simulator, CrashWithQueuedHandlersRunsNone) {
    Simulator sim(3);
    Machine& machine = sim.machine("a");
    World& world = machine.boot();
    int count = 0;
    auto node = std::make_unique<Owned>();
    spawn(world.executor, node->gate, "waiter", wait_for(&node->event, &count));
    sim.run_for(Micros(1));
    node->event.set();  // its resumption is queued now
    machine.crash([&] { node.reset(); });
    EXPECT_EQ(count, 0);
    machine.boot();
    sim.run_for(seconds(1));
}

Task<void> never_ends(World* world) {
    for (;;) {
        co_await world->clock.sleep(milliseconds(1));
    }
}

TEST(Simulator, RunOnEndsWhenTheMachineCrashes) {
    Simulator sim(5);
    Machine& machine = sim.machine("a");
    World& world = machine.boot();
    Gate gate;
    bool crashed = false;
    auto node = std::make_unique<Owned>();
    machine.crash_at_io(3, [&] {
        crashed = true;
        machine.crash([&] { node.reset(); });
    });
    spawn(world.executor, node->gate, "ticker", never_ends(&world));
    EXPECT_FALSE(sim.run_on(machine, [](World* on) -> Task<void> {
        auto made = co_await on->disk.make_dir("x");  // boundaries 1 and 2
        EXPECT_TRUE(made.has_value());
        auto synced = co_await on->disk.sync_dir("");  // 3 comes first
        ADD_FAILURE() << "passed the boundary" << synced.has_value();
    }(&world)));
    EXPECT_TRUE(crashed);
    machine.boot();
    EXPECT_EQ(machine.io_count(), 0U);
}

TEST(SimulatorDeathTest, DeadlockIsReported) {
    EXPECT_DEATH(
        {
            Simulator sim(1);
            Event never;
            sim.run(never.wait());
        },
        "deadlock");
}

}  // namespace
}  // namespace hamster::runtime::sim
