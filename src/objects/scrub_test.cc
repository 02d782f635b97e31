// Damage that nobody reads is found and repaired, by nodes that run by themselves.
#include "objects/scrub.h"

#include <gtest/gtest.h>

#include "objects/reconcile_scene.h"

namespace hamster::objects {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): its own scene

constexpr SceneOptions kScene{
    .nodes = 5, .grace_ms = 60'000, .reconcile_interval_ms = 1000, .scrub_period_ms = 600'000};

// Long enough for a pass, which begins a seventh of the period after the one before at the latest.
Task<void> wait_for_a_pass(SimCluster* cluster) { co_await cluster->sleep_ms(300'000); }

Task<void> verify_home(SimNode* node, ShardId shard, bool* is_good) {
    auto home = co_await node->shards->verify_home(shard);
    *is_good = home.has_value();
}

// A bit of the record that makes the shard exist.
Task<void> damage_home(SimCluster* cluster, std::uint64_t number, ShardId shard) {
    SimNode* const node = cluster->node(number);
    for (int i = 0; i < 100; ++i) {
        cluster->machine(number)->set_faults({.bit_rot_ppm = 1'000'000});
        bool is_good = true;
        co_await runtime::run_on(node->world->executor, verify_home(node, shard, &is_good));
        cluster->machine(number)->set_faults({});
        if (!is_good) co_return;
    }
    ADD_FAILURE() << "no damage was done";
}

// Of each stripe as many slices as there is parity, at random.
Task<void> rot(SimCluster* cluster, std::uint32_t m) {
    const meta::View view = view_of(cluster);
    runtime::Random& random = cluster->node(1)->world->random;
    for (const meta::BlobEntry& entry : blobs_of(view)) {
        const auto places = *view.places(base::partition_of(entry.id));
        const Shape shape = *shape_of(entry.blob);
        for (std::uint32_t stripe = 0; stripe < shape.stripes(); ++stripe) {
            std::set<std::uint8_t> slots;
            while (slots.size() < m) {
                slots.insert(static_cast<std::uint8_t>(random.below(shape.width())));
            }
            for (const std::uint8_t slot : slots) {
                const std::uint64_t number = cluster->number_of(places.nodes[slot]);
                co_await damage(cluster, number, {entry.id, base::Slot{slot}}, stripe);
            }
        }
    }
}

Task<void> rots(SimCluster* cluster) {
    co_await cluster->lay(3, 2, {1, 2, 3, 4, 5});
    co_await put_all(cluster, 1);
    for (int i = 0; i < 3; ++i) {
        co_await rot(cluster, 2);
        co_await wait_for_a_pass(cluster);
        co_await expect_sound(cluster);
    }
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
    EXPECT_GT(cluster->metric("hamster_scrub_damaged_shards_total"), 0U);
    const ReconcileReport report = cluster->node(1)->objects->reconcile_report();
    EXPECT_GE(report.scrub_passes, 3U);
    EXPECT_EQ(report.backlog_blobs(), 0U);
    co_await expect_all(cluster, 1, 4);
}
TEST(Scrub, WhatRotsIsRepaired) {
    SceneOptions scene = kScene;
    for (scene.seed = 1; scene.seed <= 3; ++scene.seed) run_scene(scene, rots);
}

// Nobody has to wait for the next pass.
Task<void> asked_for(SimCluster* cluster) {
    co_await cluster->lay(3, 2, {1, 2, 3, 4, 5});
    co_await put_all(cluster, 1);
    co_await wait_for_a_pass(cluster);
    const std::uint64_t before = cluster->node(2)->objects->reconcile_report().scrub_passes;
    co_await rot(cluster, 2);
    for (const auto& node : cluster->nodes) {
        const std::uint64_t at_end = node->objects->scrub_now();
        EXPECT_EQ(at_end, node->objects->reconcile_report().scrub_passes + 1);
    }
    co_await cluster->sleep_ms(10'000);
    EXPECT_EQ(cluster->node(2)->objects->reconcile_report().scrub_passes, before + 1);
    EXPECT_GT(cluster->metric("hamster_scrub_damaged_shards_total"), 0U);
    co_await expect_sound(cluster);
}
TEST(Scrub, BeginsWhenAskedFor) { run_scene(kScene, asked_for); }

// Readers never look at it, but a lost index is rebuilt from it.
Task<void> seals(SimCluster* cluster) {
    co_await cluster->lay(3, 2, {1, 2, 3, 4, 5});
    auto put = co_await put_on(cluster->node(1), "key", 1, 3'000'000);
    EXPECT_TRUE(put.has_value());
    for (std::uint64_t number = 1; number <= 5; ++number) {
        co_await damage_home(cluster, number, shards_on(cluster->node(number)).at(0));
    }
    co_await wait_for_a_pass(cluster);
    for (const auto& node : cluster->nodes) {
        bool is_good = false;
        co_await runtime::run_on(node->world->executor,
                                 verify_home(node.get(), shards_on(node.get()).at(0), &is_good));
        EXPECT_TRUE(is_good);
    }
    EXPECT_EQ(cluster->metric("hamster_scrub_damaged_shards_total"), 5U);
    co_await expect_sound(cluster);
}
TEST(Scrub, SealsAreReadAsWell) { run_scene(kScene, seals); }

// More than parity can make up for.
Task<void> too_much(SimCluster* cluster) {
    co_await cluster->lay(3, 2, {1, 2, 3, 4, 5});
    auto put = co_await put_on(cluster->node(1), "key", 1, 3'000'000);
    EXPECT_TRUE(put.has_value());
    const std::uint64_t shards = cluster->shards();
    for (std::uint64_t number = 1; number <= 3; ++number) {
        co_await damage(cluster, number, shards_on(cluster->node(number)).at(0), 2);
    }
    co_await wait_for_a_pass(cluster);
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 3U);
    EXPECT_EQ(cluster->shards(), shards);
    auto text = co_await get_on(cluster->node(2), "key");
    EXPECT_FALSE(text.has_value());
    co_await erase_on(cluster->node(1), "key");
    co_await cluster->sleep_ms(900'000);
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
    EXPECT_EQ(cluster->shards(), 0U);
}
TEST(Scrub, TooMuchDamageIsAnAlarm) { run_scene(kScene, too_much); }

}  // namespace
}  // namespace hamster::objects
