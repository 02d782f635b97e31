#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/sim/fault_scene.h"

namespace hamster::runtime::sim {
namespace {

Task<void> tick(World* world, std::vector<Time>* ticks) {
    for (;;) {
        co_await world->clock.sleep(milliseconds(10));
        ticks->push_back(world->clock.now());
    }
}

Task<void> sleep_once(World* world, Micros duration, std::vector<Time>* woken) {
    co_await world->clock.sleep(duration);
    woken->push_back(world->clock.now());
}

TEST(SimPause, TimersFireAtOnceAfterwardsAndOthersGoOn) {
    FaultScene scene;
    std::vector<Time> own;
    std::vector<Time> others;
    for (const int n : {3, 2, 1}) {
        scene.a->start(sleep_once(scene.a->world, seconds(n), &own));
    }
    scene.a->start(sleep_once(scene.a->world, seconds(30), &own));
    scene.b->start(tick(scene.b->world, &others));
    scene.sim.run_for(milliseconds(5));
    scene.a->machine->pause();
    EXPECT_TRUE(scene.a->machine->is_paused());
    scene.sim.run_for(seconds(10));
    EXPECT_TRUE(own.empty());
    EXPECT_GT(others.size(), 900U);
    const Time resumed = scene.sim.now();
    scene.a->machine->resume();
    EXPECT_FALSE(scene.a->machine->is_paused());
    scene.sim.run_for(milliseconds(1));
    EXPECT_EQ(own, (std::vector<Time>{resumed, resumed, resumed}));
    scene.sim.run_for(seconds(30));
    EXPECT_EQ(own.size(), 4U);  // the one that was not due yet
}

TEST(SimPause, BytesAndConnectsWait) {
    FaultScene scene;
    scene.meet();
    Outcome read;
    Outcome sent;
    Outcome ended;
    scene.a->start(read_into(scene.a.get(), &read));
    scene.settle();
    scene.a->machine->pause();
    scene.b->start(write_from(scene.b.get(), "x", &sent));
    scene.sim.run_for(seconds(100));
    EXPECT_TRUE(sent.done && !sent.failed);
    EXPECT_FALSE(read.done);
    scene.a->start(read_all_into(scene.a.get(), &ended));  // from outside: waits, too
    scene.a->machine->resume();
    scene.settle();
    EXPECT_EQ(read.text + ended.text, "x");
    Outcome connected;
    scene.a->start(accept_into(scene.a.get()));
    scene.settle();
    scene.a->machine->pause();
    scene.connect(&connected, scene.sim.now() + seconds(1));
    scene.sim.run_for(seconds(10));
    EXPECT_TRUE(connected.done && !connected.failed);  // the kernel accepts
}

TEST(SimPause, DeadlinesPassMeanwhile) {
    FaultScene scene;
    scene.meet();
    Outcome read;
    scene.b->stream->set_deadline(scene.sim.now() + seconds(1));
    scene.b->start(read_into(scene.b.get(), &read));
    scene.settle();
    scene.b->machine->pause();
    scene.sim.run_for(seconds(5));
    EXPECT_FALSE(read.done);
    scene.b->machine->resume();
    scene.settle();
    EXPECT_EQ(read.failed, Code::kTimeout);
}

Task<void> work(World* world, int* rounds) {
    for (;;) {
        auto done = co_await run_blocking(&world->pool, [] { return Result<int>(1); });
        EXPECT_TRUE(done.has_value());
        ++*rounds;
    }
}

TEST(SimPause, CrashOfAPausedMachine) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        FaultScene scene(seed);
        scene.meet();
        Outcome read;
        std::vector<Time> ticks;
        int rounds = 0;
        scene.b->start(read_into(scene.b.get(), &read));
        scene.a->start(tick(scene.a->world, &ticks));
        scene.a->start(work(scene.a->world, &rounds));
        scene.sim.run_for(milliseconds(20) + Micros(static_cast<std::int64_t>(seed * 7)));
        scene.a->machine->pause();
        const int before = rounds;
        scene.sim.run_for(seconds(1));
        EXPECT_EQ(rounds, before);
        EXPECT_FALSE(read.done);
        FaultScene::crash(scene.a);
        scene.settle();
        EXPECT_EQ(read.failed, Code::kClosed);
        scene.sim.machine("a").boot();
        EXPECT_FALSE(scene.sim.machine("a").is_paused());
        scene.sim.machine("a").crash({});
    }
}

std::uint64_t hash_of_run(std::uint64_t seed, std::vector<Time>* ticks) {
    FaultScene scene(seed);
    scene.a->start(tick(scene.a->world, ticks));
    scene.b->start(tick(scene.b->world, ticks));
    for (int i = 0; i < 10; ++i) {
        scene.sim.run_for(milliseconds(static_cast<std::int64_t>(scene.sim.random().below(50))));
        scene.a->machine->pause();
        scene.sim.run_for(milliseconds(static_cast<std::int64_t>(scene.sim.random().below(50))));
        scene.a->machine->resume();
    }
    return scene.sim.trace_hash();
}

TEST(SimPause, RunsOfASeedRepeat) {
    std::vector<Time> first;
    std::vector<Time> second;
    EXPECT_EQ(hash_of_run(7, &first), hash_of_run(7, &second));
    EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace hamster::runtime::sim
