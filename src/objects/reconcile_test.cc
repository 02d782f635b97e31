// The reconciler of several nodes in one simulated world.
#include <gtest/gtest.h>

#include "objects/reconcile_scene.h"

namespace hamster::objects {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): its own scene

std::size_t unsettled(SimCluster* cluster) { return view_of(cluster).layout()->unsettled(); }

// --- what is missing comes back ---

Task<void> an_emptied_node(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3, 4});
    co_await put_all(cluster, 1);
    co_await expect_sound(cluster);
    for (std::uint64_t number = 1; number <= 4; ++number) {
        co_await empty_disk(cluster->node(number));
        co_await expect_all(cluster, 1, number);
        co_await reconcile_on(cluster->node(number));
        co_await expect_sound(cluster);
        EXPECT_GE(cluster->metric("hamster_missing_slices_total"), number);
        const ReconcileReport report = cluster->node(number)->objects->reconcile_report();
        EXPECT_GT(report.bytes_per_s, 0U);
        EXPECT_GE(cluster->metric("hamster_repair_bytes_per_second"), report.bytes_per_s);
        EXPECT_EQ(cluster->metric("hamster_repair_seconds_left"), 0U) << "nothing is left";
    }
    EXPECT_GT(cluster->metric("hamster_repaired_shards_total"), 7U);
}
TEST(Reconcile, AnEmptiedNodeGetsItsShardsBack) {
    run_scene({.nodes = 4, .seed = 1, .grace_ms = kGraceMs}, an_emptied_node);
}

Task<void> wide_profile(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    co_await put_all(cluster, 1);
    co_await empty_disk(cluster->node(2));
    co_await empty_disk(cluster->node(5));
    co_await expect_all(cluster, 1, 2);
    co_await reconcile_on(cluster->node(2));
    co_await reconcile_on(cluster->node(5));
    co_await expect_sound(cluster);
}
TEST(Reconcile, TwoEmptiedNodesOfSix) {
    run_scene({.nodes = 6, .seed = 2, .grace_ms = kGraceMs}, wide_profile);
}

// A shard of another length than the metadata says is no shard.
Task<void> wrong_length(SimCluster* cluster) {
    co_await cluster->lay(1, 1, {1, 2});
    auto put = co_await put_on(cluster->node(1), "key", 1, 50'000);
    EXPECT_TRUE(put.has_value());
    const ShardId shard = shards_on(cluster->node(2)).at(0);
    auto replaced = co_await runtime::run_on(
        cluster->node(2)->world->executor,
        cluster->node(2)->shards->put(shard, base::Buffer::copy_of(base::as_bytes("short")),
                                      shards::Mode::kReplace));
    EXPECT_TRUE(replaced.has_value());
    co_await reconcile_on(cluster->node(2));
    co_await expect_sound(cluster);
}
TEST(Reconcile, AShardOfTheWrongLengthIsReplaced) {
    run_scene({.nodes = 2, .seed = 3, .grace_ms = kGraceMs}, wrong_length);
}

// --- damage ---

// Shards of one blob, damaged in different stripes: each is repaired with what is good of the
// others, and of itself.
Task<void> different_stripes(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto put = co_await put_on(cluster->node(1), "key", 1, 3'000'000);
    EXPECT_TRUE(put.has_value());
    const auto entry = blobs_of(view_of(cluster)).at(0);
    const auto places = *view_of(cluster).places(base::partition_of(entry.id));
    EXPECT_EQ(shape_of(entry.blob)->stripes(), 6U);
    for (std::uint8_t slot = 0; slot < 3; ++slot) {
        const std::uint64_t number = cluster->number_of(places.nodes[slot]);
        co_await damage(cluster, number, {entry.id, base::Slot{slot}}, slot * 2U);
    }
    // A read that meets the damage rebuilds what it needs, and tells whose shard it is.
    for (std::uint64_t reader = 1; reader <= 3; ++reader) {
        auto text = co_await get_on(cluster->node(reader), "key");
        EXPECT_TRUE(text && *text == pattern_text(1, {0, 3'000'000}));
    }
    std::uint64_t damaged = 0;
    for (const auto& node : cluster->nodes)
        damaged += node->objects->reconcile_report().damaged.blobs;
    EXPECT_GE(damaged, 2U);  // parity is not read
    co_await reconcile_all(cluster);
    co_await reconcile_all(cluster);  // what was asked of a source that has nothing is no damage
    for (std::uint8_t slot = 0; slot < 2; ++slot) {
        SimNode* const node = cluster->network.nodes.at(places.nodes[slot]);
        for (std::uint32_t stripe = 0; stripe < 6; ++stripe) {
            auto read = co_await read_on(node, {entry.id, base::Slot{slot}}, stripe);
            EXPECT_TRUE(read.has_value()) << int{slot} << " " << stripe;
        }
        EXPECT_EQ(node->objects->reconcile_report().damaged.blobs, 0U) << int{slot};
    }
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
}
TEST(Reconcile, DamageInDifferentStripesIsRepaired) {
    run_scene({.nodes = 3, .seed = 4, .grace_ms = kGraceMs}, different_stripes);
}

// A reader that meets an I/O error gets the bytes from others, and repair looks at the shard.
Task<void> a_bad_sector(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto put = co_await put_on(cluster->node(1), "key", 1, 3'000'000);
    EXPECT_TRUE(put.has_value());
    for (std::uint64_t bad = 1; bad <= 3; ++bad) {
        SimNode* const node = cluster->node(bad);
        cluster->machine(bad)->set_faults({.read_eio_ppm = 1'000'000});
        for (const std::uint64_t reader : {bad, bad % 3 + 1}) {
            auto text = co_await get_on(cluster->node(reader), "key");
            EXPECT_TRUE(text && *text == pattern_text(1, {0, 3'000'000}));
        }
        const ShardId shard = shards_on(node).at(0);
        const bool has_data = shard.slot.value < 2;  // parity is not read
        EXPECT_EQ(node->objects->reconcile_report().damaged.blobs, has_data ? 1U : 0U);
        cluster->machine(bad)->set_faults({});
        co_await reconcile_on(node);
        EXPECT_EQ(node->objects->reconcile_report().damaged.blobs, 0U);
    }
    co_await expect_sound(cluster);
}
TEST(Reconcile, AShardThatFailsToReadIsLookedAt) {
    run_scene({.nodes = 3, .seed = 17, .grace_ms = kGraceMs}, a_bad_sector);
}

// The same stripe of two shards, with one parity: nothing can be done, and nothing is done.
Task<void> beyond_repair(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto put = co_await put_on(cluster->node(1), "key", 1, 3'000'000);
    EXPECT_TRUE(put.has_value());
    co_await put_all(cluster, 5);
    meta::BlobEntry entry;
    for (auto& blob : blobs_of(view_of(cluster))) {
        if (blob.blob.size() == 3'000'000) entry = blob;
    }
    const auto places = *view_of(cluster).places(base::partition_of(entry.id));
    for (std::uint8_t slot = 0; slot < 2; ++slot) {
        co_await damage(cluster, cluster->number_of(places.nodes[slot]),
                        {entry.id, base::Slot{slot}}, 3);
    }
    const std::uint64_t shards = cluster->shards();
    auto text = co_await get_on(cluster->node(1), "key");
    EXPECT_FALSE(text.has_value());
    for (int i = 0; i < 3; ++i) {
        co_await reconcile_all(cluster);
        co_await cluster->sleep_ms(kGraceMs + 70'000);
    }
    EXPECT_EQ(cluster->shards(), shards);
    EXPECT_GE(cluster->metric("hamster_shards_beyond_repair"), 1U);
    // What is good of it is still given out, and everything else as well.
    auto part = co_await get_on(cluster->node(1), "key", ByteRange{0, 500'000});
    EXPECT_TRUE(part && *part == pattern_text(1, {0, 500'000}));
    co_await expect_all(cluster, 5, 2);
    // The alarm ends with the object.
    co_await erase_on(cluster->node(1), "key");
    co_await reconcile_all(cluster);
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
}
TEST(Reconcile, BeyondRepairIsAnAlarmAndNothingIsDeleted) {
    run_scene({.nodes = 3, .seed = 5, .grace_ms = kGraceMs}, beyond_repair);
}

// Nodes that do not answer may have what it takes: no alarm.
Task<void> holders_out_of_reach(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto put = co_await put_on(cluster->node(1), "key", 1, 600'000);
    EXPECT_TRUE(put.has_value());
    co_await empty_disk(cluster->node(1));
    cluster->network.take_down(2);
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 0U);
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
    EXPECT_EQ(cluster->node(1)->objects->reconcile_report().missing.blobs, 1U);
    EXPECT_EQ(cluster->node(1)->objects->reconcile_report().missing.bytes, 300'000U);
    cluster->network.forget();
    co_await reconcile_on(cluster->node(1));
    EXPECT_EQ(cluster->node(1)->objects->reconcile_report().backlog_blobs(), 0U);
    co_await expect_sound(cluster);
}
TEST(Reconcile, ANodeThatIsDownIsWaitedFor) {
    run_scene({.nodes = 3, .seed = 6, .grace_ms = kGraceMs}, holders_out_of_reach);
}

// --- degraded writes ---

Task<void> degraded_writes(SimCluster* cluster) {
    co_await cluster->lay(1, 2, {1, 2, 3});  // no choice of ids helps
    cluster->network.take_down(3);
    co_await put_all(cluster, 1);
    cluster->network.forget();
    EXPECT_EQ(view_of(cluster).degraded(std::nullopt, 100)->size(), std::size(kSizes));
    co_await reconcile_on(cluster->node(2));  // not its business
    EXPECT_EQ(view_of(cluster).degraded(std::nullopt, 100)->size(), std::size(kSizes));
    EXPECT_EQ(cluster->node(2)->objects->reconcile_report().degraded_blobs, std::size(kSizes));
    co_await reconcile_on(cluster->node(3));
    EXPECT_EQ(view_of(cluster).degraded(std::nullopt, 100)->size(), 0U);
    co_await expect_sound(cluster);
    co_await reconcile_on(cluster->node(2));
    EXPECT_EQ(cluster->node(2)->objects->reconcile_report().degraded_blobs, 0U);
}
TEST(Reconcile, TheShardsThatDegradedWritesLackAreMade) {
    run_scene({.nodes = 3, .seed = 7, .grace_ms = kGraceMs}, degraded_writes);
}

// --- moves ---

Task<void> a_move(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    co_await put_all(cluster, 1);
    co_await cluster->lay(2, 1, {2, 3, 4});
    EXPECT_GT(unsettled(cluster), 0U);
    co_await put_all(cluster, 20);  // under the new layout
    co_await reconcile_on(cluster->node(2));
    co_await put_all(cluster, 40);
    co_await expect_all(cluster, 1, 4);  // asks nodes that have not got them yet
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(unsettled(cluster), 0U);
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 0U);
    co_await expect_sound(cluster);
    EXPECT_EQ(cluster->metric("hamster_missing_slices_total"), 0U);
    cluster->network.take_down(1);
    for (const std::uint64_t first : {1U, 20U, 40U}) co_await expect_all(cluster, first, 3);
}
TEST(Reconcile, SlotsSettleAfterAMoveWithWritesInBetween) {
    run_scene({.nodes = 4, .seed = 8, .grace_ms = kGraceMs}, a_move);
}

// While the nodes that had the shards do not answer, nothing settles: the others suffice to
// rebuild, but not all of it can be.
Task<void> a_move_without_sources(SimCluster* cluster) {
    co_await cluster->lay(1, 0, {1});
    co_await put_all(cluster, 1);
    co_await cluster->lay(1, 0, {2});
    cluster->network.take_down(1);
    co_await reconcile_on(cluster->node(2));
    EXPECT_GT(unsettled(cluster), 0U);
    EXPECT_EQ(cluster->node(2)->objects->reconcile_report().moving.blobs, std::size(kSizes));
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
    cluster->network.forget();
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(unsettled(cluster), 0U);
    co_await expect_sound(cluster);
}
TEST(Reconcile, NothingSettlesBeforeAllOfItIsThere) {
    run_scene({.nodes = 2, .seed = 9, .grace_ms = kGraceMs}, a_move_without_sources);
}

// A slot that comes back to the node that had it before, whose copy is damaged by then: the good
// one is not let go.
Task<void> there_and_back(SimCluster* cluster) {
    co_await cluster->lay(1, 0, {1});
    auto put = co_await put_on(cluster->node(1), "key", 1, 100'000);
    EXPECT_TRUE(put.has_value());
    const ShardId shard = shards_on(cluster->node(1)).at(0);
    co_await cluster->lay(1, 0, {2});
    co_await reconcile_on(cluster->node(2));
    EXPECT_EQ(unsettled(cluster), 0U);
    co_await damage(cluster, 1, shard, 0);
    co_await cluster->lay(1, 0, {1});
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(unsettled(cluster), 0U);
    co_await expect_sound(cluster);
    auto text = co_await get_on(cluster->node(1), "key");
    EXPECT_TRUE(text && *text == pattern_text(1, {0, 100'000}));
}
TEST(Reconcile, TheOnlyGoodCopyIsNotLetGo) {
    run_scene({.nodes = 2, .seed = 10, .grace_ms = kGraceMs}, there_and_back);
}

// What cannot be restored keeps its slot from settling, and so stays where it is; others settle.
Task<void> a_move_beyond_repair(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    co_await reconcile_all(cluster);
    EXPECT_EQ(unsettled(cluster), 0U);
    auto put = co_await put_on(cluster->node(1), "key", 1, 3'000'000);
    EXPECT_TRUE(put.has_value());
    const auto entry = blobs_of(view_of(cluster)).at(0);
    const auto places = *view_of(cluster).places(base::partition_of(entry.id));
    for (std::uint8_t slot = 0; slot < 3; ++slot) {
        const std::uint64_t number = cluster->number_of(places.nodes[slot]);
        if (number != 3) co_await damage(cluster, number, {entry.id, base::Slot{slot}}, 3);
    }
    const auto mine = std::ranges::find(places.nodes, node_id(1)) - places.nodes.begin();
    const ShardId moving{entry.id, base::Slot{static_cast<std::uint8_t>(mine)}};
    co_await cluster->lay(2, 1, {4, 2, 3});
    for (int i = 0; i < 3; ++i) {
        co_await collect_all(cluster, kGraceMs);
        EXPECT_EQ(unsettled(cluster), 1U);
        EXPECT_EQ(shards_on(cluster->node(1)), std::vector{moving});
        EXPECT_EQ(cluster->node(4)->objects->reconcile_report().beyond_repair, 1U);
        EXPECT_EQ(shards_on(cluster->node(4)).size(), 0U);
        auto part = co_await get_on(cluster->node(4), "key", ByteRange{0, 500'000});
        EXPECT_TRUE(part && *part == pattern_text(1, {0, 500'000}));
    }
    co_await erase_on(cluster->node(1), "key");
    co_await collect_all(cluster, kGraceMs);
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(unsettled(cluster), 0U);
    EXPECT_EQ(cluster->shards(), 0U);
}
TEST(Reconcile, WhatIsBeyondRepairKeepsItsSlotFromSettling) {
    run_scene({.nodes = 4, .seed = 16, .grace_ms = kGraceMs}, a_move_beyond_repair);
}

// Blobs from before there was a layout lie with their holder.
Task<void> blobs_from_before(SimCluster* cluster) {
    for (std::uint64_t number = 1; number <= 2; ++number) {
        const std::string bytes = pattern_text(number, {0, 60'000});
        base::BlobId blob = cluster->node(1)->world->random.id<base::BlobId>();
        auto stored = co_await runtime::run_on(
            cluster->node(number)->world->executor,
            cluster->node(number)->shards->put({blob, base::Slot{0}},
                                               base::Buffer::copy_of(base::as_bytes(bytes))));
        EXPECT_TRUE(stored.has_value());
        co_await commit_unplaced(cluster, "old" + std::to_string(number), blob, bytes.size(),
                                 number);
    }
    co_await cluster->lay(2, 1, {2, 3, 1});
    for (int i = 0; i < 2; ++i) {
        for (std::uint64_t number = 1; number <= 2; ++number) {
            for (std::uint64_t reader = 1; reader <= 3; ++reader) {
                auto text = co_await get_on(cluster->node(reader), "old" + std::to_string(number));
                EXPECT_TRUE(text && *text == pattern_text(number, {0, 60'000}));
            }
        }
        co_await collect_all(cluster, kGraceMs);
        co_await expect_sound(cluster);
    }
}
TEST(Reconcile, BlobsFromBeforeArePlaced) {
    run_scene({.nodes = 3, .seed = 11, .grace_ms = kGraceMs}, blobs_from_before);
}

// --- without a layout ---

Task<void> put_everywhere(SimCluster* cluster) {
    for (std::uint64_t number = 1; number <= 3; ++number) {
        auto put = co_await put_on(cluster->node(number), std::to_string(number), number, 700'000);
        EXPECT_TRUE(put.has_value());
    }
}

// Everything stays where it was taken in, and needs no other node.
Task<void> without_layout(SimCluster* cluster) {
    co_await put_everywhere(cluster);
    for (int i = 0; i < 2; ++i) {
        co_await collect_all(cluster, kGraceMs);
        for (const auto& node : cluster->nodes) EXPECT_EQ(shards_on(node.get()).size(), 1U);
    }
    for (const auto& [what, count] : cluster->network.calls) EXPECT_EQ(count, 0) << int(what);
    for (const meta::BlobEntry& entry : blobs_of(view_of(cluster))) {
        EXPECT_FALSE(entry.blob.placed());
    }
    cluster->network.take_down(1);  // the founder
    co_await erase_on(cluster->node(3), "3");
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(shards_on(cluster->node(3)).size(), 0U);
    EXPECT_EQ(view_of(cluster).garbage(std::nullopt, 10)->size(), 0U);
    auto text = co_await get_on(cluster->node(3), "2");
    EXPECT_TRUE(text && *text == pattern_text(2, {0, 700'000}));
}
TEST(Reconcile, WithoutALayoutEverythingStays) {
    run_scene({.nodes = 3, .seed = 14, .grace_ms = kGraceMs}, without_layout);
}

// There is nothing to repair it from.
Task<void> damage_without_layout(SimCluster* cluster) {
    co_await put_everywhere(cluster);
    const ShardId shard = shards_on(cluster->node(2)).at(0);
    co_await damage(cluster, 2, shard, 1);
    auto text = co_await get_on(cluster->node(3), "2");
    EXPECT_FALSE(text.has_value());
    co_await reconcile_all(cluster);
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 1U);
    EXPECT_EQ(cluster->node(2)->objects->reconcile_report().beyond_repair, 1U);
    EXPECT_EQ(shards_on(cluster->node(2)).size(), 1U);
    auto part = co_await get_on(cluster->node(3), "2", ByteRange{0, 200'000});
    EXPECT_TRUE(part && *part == pattern_text(2, {0, 200'000}));
    co_await erase_on(cluster->node(1), "2");
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
    EXPECT_EQ(shards_on(cluster->node(2)).size(), 0U);
}
TEST(Reconcile, DamageWithoutALayoutIsAnAlarm) {
    run_scene({.nodes = 3, .seed = 15, .grace_ms = kGraceMs}, damage_without_layout);
}

// --- re-encoding ---

Task<void> reencoding(SimCluster* cluster) {
    co_await cluster->lay(1, 1, {1, 2, 3});
    co_await put_all(cluster, 1);
    co_await cluster->lay(2, 1, {1, 2, 3});
    co_await collect_all(cluster, kGraceMs);
    proto::Command command;
    command.mutable_set_reencode()->mutable_reencode()->set_k(2);
    command.mutable_set_reencode()->mutable_reencode()->set_m(1);
    const auto wanted = co_await cluster->propose(std::move(command));
    EXPECT_EQ(wanted, proto::Answer::OK);
    co_await reconcile_all(cluster);
    for (const meta::BlobEntry& entry : blobs_of(view_of(cluster))) {
        EXPECT_EQ(entry.blob.k(), entry.blob.size() <= 131'072 ? 1U : 2U);
        EXPECT_EQ(entry.blob.m(), 1U);
    }
    co_await expect_all(cluster, 1, 2);
    EXPECT_EQ(cluster->metric("hamster_reencoded_blobs_total"), 3U);
    co_await collect_all(cluster, kGraceMs);
    co_await expect_sound(cluster);
    EXPECT_EQ(view_of(cluster).garbage(std::nullopt, 100)->size(), 0U);
    co_await expect_all(cluster, 1, 3);
    EXPECT_EQ(cluster->metric("hamster_reencoded_blobs_total"), 3U);
}
TEST(Reconcile, BlobsAreReencoded) {
    run_scene({.nodes = 3, .seed = 12, .grace_ms = kGraceMs}, reencoding);
}

std::set<base::BlobId> large_blobs(SimCluster* cluster) {
    std::set<base::BlobId> blobs;
    for (const meta::BlobEntry& entry : blobs_of(view_of(cluster))) {
        if (entry.blob.size() > 131'072) blobs.insert(entry.id);
    }
    return blobs;
}

// With a node down the new blob would be worse than the old one. Small ones find two nodes.
Task<void> reencoding_waits(SimCluster* cluster) {
    co_await cluster->lay(1, 2, {1, 2, 3});
    co_await put_all(cluster, 1);
    co_await cluster->lay(2, 1, {1, 2, 3});
    proto::Command command;
    command.mutable_set_reencode()->mutable_reencode()->set_k(2);
    command.mutable_set_reencode()->mutable_reencode()->set_m(1);
    const auto wanted = co_await cluster->propose(std::move(command));
    EXPECT_EQ(wanted, proto::Answer::OK);
    cluster->network.take_down(3);
    const std::set<base::BlobId> before = large_blobs(cluster);
    co_await reconcile_on(cluster->node(1));
    co_await reconcile_on(cluster->node(2));
    EXPECT_EQ(large_blobs(cluster), before);
    EXPECT_EQ(view_of(cluster).degraded(std::nullopt, 100)->size(), 0U);
    cluster->network.forget();
    co_await collect_all(cluster, kGraceMs);
    for (const meta::BlobEntry& entry : blobs_of(view_of(cluster))) EXPECT_EQ(entry.blob.m(), 1U);
    co_await expect_sound(cluster);
    co_await expect_all(cluster, 1, 1);
}
TEST(Reconcile, ReencodingWaitsForAllNodes) {
    run_scene({.nodes = 3, .seed = 13, .grace_ms = kGraceMs}, reencoding_waits);
}

Task<void> want_geometry(SimCluster* cluster, std::uint32_t k, std::uint32_t m) {
    proto::Command command;
    command.mutable_set_reencode()->mutable_reencode()->set_k(k);
    command.mutable_set_reencode()->mutable_reencode()->set_m(m);
    const auto wanted = co_await cluster->propose(std::move(command));
    EXPECT_EQ(wanted, proto::Answer::OK);
}

// New bodies are narrower than the table, which still has places for the old ones.
Task<void> lay_narrower(SimCluster* cluster) {
    auto table = placement::Table::of_width(3);
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        for (std::uint8_t slot = 0; slot < 3; ++slot) {
            table.set({partition, slot}, node_id(1 + (partition + slot) % 3U));
        }
    }
    co_await cluster->lay_table(1, 1, std::move(table));
    co_await want_geometry(cluster, 1, 1);
}

std::set<base::BlobId> wide_blobs(SimCluster* cluster) {
    std::set<base::BlobId> blobs;
    for (const meta::BlobEntry& entry : blobs_of(view_of(cluster))) {
        if (entry.blob.k() > 1) blobs.insert(entry.id);
    }
    return blobs;
}

// Who has slot 0 may be gone for good: the cluster becomes narrower to do without it.
Task<void> reencoding_without_one(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    for (std::uint64_t i = 1; i <= 6; ++i) co_await put_all(cluster, i);
    bool is_first_anywhere = false;
    for (const base::BlobId& blob : wide_blobs(cluster)) {
        const auto places = *view_of(cluster).places(base::partition_of(blob));
        is_first_anywhere = is_first_anywhere || places.nodes.front() == node_id(3);
    }
    EXPECT_TRUE(is_first_anywhere) << "another seed";
    co_await lay_narrower(cluster);
    cluster->network.take_down(3);
    co_await reconcile_on(cluster->node(1));
    co_await reconcile_on(cluster->node(2));
    EXPECT_EQ(wide_blobs(cluster).size(), 0U);
    for (std::uint64_t i = 1; i <= 6; ++i) co_await expect_all(cluster, i, 1);
}
TEST(Reconcile, ReencodingGoesOnWithoutTheFirstNode) {
    run_scene({.nodes = 3, .seed = 14, .grace_ms = kGraceMs}, reencoding_without_one);
}

Task<void> reencoding_past_a_lost_one(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    for (std::uint64_t i = 1; i <= 6; ++i) co_await put_all(cluster, i);
    const base::BlobId lost = *wide_blobs(cluster).begin();  // the first one of its node
    const auto places = *view_of(cluster).places(base::partition_of(lost));
    for (std::uint8_t slot = 0; slot < 2; ++slot) {
        co_await damage(cluster, cluster->number_of(places.nodes[slot]), {lost, base::Slot{slot}},
                        0);
    }
    co_await lay_narrower(cluster);
    co_await reconcile_all(cluster);
    EXPECT_EQ(wide_blobs(cluster), std::set<base::BlobId>{lost});
}
TEST(Reconcile, ReencodingGoesOnAfterABlobThatCannotBeRead) {
    run_scene({.nodes = 3, .seed = 15, .grace_ms = kGraceMs}, reencoding_past_a_lost_one);
}

Task<bool> reconcile_first(SimCluster* cluster) {
    co_await reconcile_on(cluster->node(1));
    co_return true;
}
Task<bool> erase_and_collect(SimCluster* cluster) {
    co_await cluster->sleep_ms(1000);  // the walk has begun
    co_await erase_on(cluster->node(2), "key");
    co_await cluster->sleep_ms(kGraceMs + 70'000);
    co_await reconcile_on(cluster->node(2));
    co_await reconcile_on(cluster->node(3));
    co_return cluster->shards() == 0;
}

// What a walk wanted to restore may have been deleted before it came to it.
Task<void> deleted_meanwhile(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto put = co_await put_on(cluster->node(1), "key", 1, 600'000);
    EXPECT_TRUE(put.has_value());
    co_await empty_disk(cluster->node(1));
    std::uint64_t reads = 0;
    cluster->network.delay = [&reads](const Traffic& traffic) {
        const bool is_slow = traffic.what == RemoteMethod::kReadSlice;
        reads += is_slow ? 1 : 0;
        return runtime::Micros(std::chrono::seconds(is_slow ? 400 : 0));
    };
    std::vector<Task<bool>> both;
    both.push_back(reconcile_first(cluster));
    both.push_back(erase_and_collect(cluster));
    const std::vector<bool> done = co_await runtime::when_all(std::move(both));
    EXPECT_EQ(done, std::vector<bool>({true, true}));
    cluster->network.forget();
    EXPECT_GE(reads, 2U);
    EXPECT_EQ(cluster->metric("hamster_shards_beyond_repair"), 0U);
}
TEST(Reconcile, WhatIsDeletedMeanwhileIsNoAlarm) {
    run_scene({.nodes = 3, .seed = 16, .grace_ms = kGraceMs}, deleted_meanwhile);
}

}  // namespace
}  // namespace hamster::objects
