// The power fails at some step of a repair or a move, on all nodes at once: what was acknowledged
// is there as before, and the repair that begins anew comes to its end.
#include <gtest/gtest.h>

#include "objects/reconcile_scene.h"

namespace hamster::objects {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): its own scene
using runtime::sim::Machine;
using runtime::sim::Simulator;

constexpr std::uint64_t kNodes = 4;

// Before the power fails, and what is under way then.
struct Story {
    Task<void> (*before)(SimCluster* cluster);
    Task<void> (*during)(SimCluster* cluster);
};

// All nodes share one machine, and so its fate.
Task<void> open_all(SimCluster* cluster, runtime::World* world, bool* opened) {
    const SceneOptions scene{.grace_ms = kGraceMs};
    for (std::uint64_t number = 1; number <= kNodes; ++number) {
        SimNode* const node = add_node(cluster, scene, world);
        const std::string dir = "n" + std::to_string(number);
        node->dir = dir + "/";
        auto made = co_await world->disk.make_dir(dir);
        EXPECT_TRUE(made.has_value());
        auto synced = co_await world->disk.sync_dir("");
        EXPECT_TRUE(synced.has_value());
        const bool is_open = co_await node->open();
        EXPECT_TRUE(is_open);
        if (!is_open) co_return;
    }
    *opened = true;
}

Task<void> begin(SimCluster* cluster, const Story* story) {
    co_await cluster->found();
    co_await story->before(cluster);
}

Task<void> check(SimCluster* cluster) {
    for (std::uint64_t reader = 1; reader <= kNodes; ++reader) {
        co_await expect_all(cluster, 1, reader);
    }
    co_await collect_all(cluster, kGraceMs);
    co_await expect_sound(cluster);
    EXPECT_EQ(view_of(cluster).layout()->unsettled(), 0U);
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
    co_await expect_all(cluster, 1, 2);
}

// True when the story was over before so many disk operations.
bool crash_at(const Story& story, std::uint64_t boundary) {
    Simulator sim(boundary);
    Machine& machine = sim.machine("a");
    auto cluster = std::make_unique<SimCluster>();
    const auto fall = [&] { machine.crash([&] { cluster.reset(); }); };
    bool opened = false;
    EXPECT_TRUE(sim.run_on(machine, open_all(cluster.get(), &machine.boot(), &opened)) && opened);
    cluster->machines.assign(kNodes, &machine);
    EXPECT_TRUE(sim.run_on(machine, begin(cluster.get(), &story)));
    machine.crash_at_io(boundary, fall);
    const bool survived = sim.run_on(machine, story.during(cluster.get()));
    if (survived) {
        machine.disarm_crash();
        fall();
    }
    cluster = std::make_unique<SimCluster>();
    opened = false;
    EXPECT_TRUE(sim.run_on(machine, open_all(cluster.get(), &machine.boot(), &opened)) && opened);
    EXPECT_TRUE(sim.run_on(machine, check(cluster.get())));
    fall();
    return survived;
}

// At steps that lie further and further apart: the first ones are the delicate ones.
void crash_at_many(const Story& story) {
    std::uint64_t step = 1;
    for (std::uint64_t boundary = 1;; boundary += step) {
        SCOPED_TRACE(boundary);
        const bool done = crash_at(story, boundary);
        if (done || ::testing::Test::HasFailure()) break;
        ASSERT_LT(boundary, 100'000U);
        step = 1 + boundary / 4;
    }
}

Task<void> lay_and_put(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    co_await put_all(cluster, 1);
    co_await reconcile_all(cluster);
}
Task<void> lose_one(SimCluster* cluster) {
    co_await lay_and_put(cluster);
    co_await empty_disk(cluster->node(2));
}
Task<void> replace_one(SimCluster* cluster) {
    co_await lay_and_put(cluster);
    co_await cluster->lay(2, 1, {1, 2, 4});
}
Task<void> damage_one(SimCluster* cluster) {
    co_await lay_and_put(cluster);
    for (const ShardId& shard : shards_on(cluster->node(3))) co_await damage(cluster, 3, shard, 0);
    co_await expect_all(cluster, 1, 1);
    co_await expect_all(cluster, 1, 2);
}
Task<void> write_degraded(SimCluster* cluster) {
    co_await cluster->lay(1, 2, {1, 2, 3});
    cluster->network.take_down(3);
    co_await put_all(cluster, 1);
    cluster->network.forget();
}

Task<void> restore(SimCluster* cluster) { co_await reconcile_all(cluster); }
Task<void> collect(SimCluster* cluster) { co_await collect_all(cluster, kGraceMs); }

TEST(ReconcileCrash, ALostNodeIsRebuilt) { crash_at_many({lose_one, restore}); }
TEST(ReconcileCrash, SlotsMove) { crash_at_many({replace_one, restore}); }
TEST(ReconcileCrash, WhatMovedAwayIsCollected) { crash_at_many({replace_one, collect}); }
TEST(ReconcileCrash, DamageIsRepaired) { crash_at_many({damage_one, restore}); }
TEST(ReconcileCrash, DegradedWritesAreCompleted) { crash_at_many({write_degraded, restore}); }

}  // namespace
}  // namespace hamster::objects
