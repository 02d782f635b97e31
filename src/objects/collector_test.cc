// What goes, and what must not: garbage, orphans and extra shards on several nodes.
#include <gtest/gtest.h>

#include "objects/reconcile_scene.h"

namespace hamster::objects {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): its own scene

std::size_t garbage(SimCluster* cluster) {
    return view_of(cluster).garbage(std::nullopt, 1000)->size();
}

Task<void> garbage_goes(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3, 4});
    co_await put_all(cluster, 1);
    co_await put_all(cluster, 20);
    for (const std::uint64_t size : kSizes) {
        co_await erase_on(cluster->node(2), "1/" + std::to_string(size));
    }
    EXPECT_EQ(garbage(cluster), std::size(kSizes));
    const std::uint64_t shards = cluster->shards();
    co_await reconcile_all(cluster);  // too young
    EXPECT_EQ(cluster->shards(), shards);
    EXPECT_EQ(garbage(cluster), std::size(kSizes));
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(garbage(cluster), 0U);
    co_await expect_sound(cluster);
    co_await expect_all(cluster, 20, 3);
    EXPECT_EQ(cluster->metric("hamster_garbage_collected_blobs_total"), std::size(kSizes));
}
TEST(Collect, GarbageGoesFromAllNodes) {
    run_scene({.nodes = 4, .seed = 1, .grace_ms = kGraceMs}, garbage_goes);
}

Task<void> with_a_node_down(SimCluster* cluster) {
    co_await cluster->lay(1, 2, {1, 2, 3});
    co_await put_all(cluster, 1);
    for (const std::uint64_t size : kSizes) {
        co_await erase_on(cluster->node(1), "1/" + std::to_string(size));
    }
    for (std::uint64_t down = 1; down <= 3; ++down) {
        cluster->network.forget();
        cluster->network.take_down(down);
        if (down == 3) cluster->network.doubted.clear();  // nobody knows it
        co_await collect_all(cluster, kGraceMs);
        EXPECT_EQ(garbage(cluster), std::size(kSizes));  // the row stays
        EXPECT_EQ(cluster->node(down)->shards->stats().shards, down == 1 ? std::size(kSizes) : 0U);
    }
    cluster->network.forget();
    const int removals = cluster->network.calls[RemoteMethod::kRemove];
    co_await reconcile_all(cluster);
    EXPECT_EQ(garbage(cluster), 0U);
    EXPECT_EQ(cluster->shards(), 0U);
    EXPECT_GT(cluster->network.calls[RemoteMethod::kRemove], removals);
}
TEST(Collect, ANodeThatIsDownKeepsTheRow) {
    run_scene({.nodes = 3, .seed = 2, .grace_ms = kGraceMs}, with_a_node_down);
}

// What the layout waits for must not wait for the node that it is to let go.
Task<void> with_a_leaving_node_down(SimCluster* cluster) {
    co_await cluster->lay(1, 2, {1, 2, 3});
    co_await put_all(cluster, 1);
    for (const std::uint64_t size : kSizes) {
        co_await erase_on(cluster->node(1), "1/" + std::to_string(size));
    }
    cluster->network.take_down(3);
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(garbage(cluster), std::size(kSizes));
    const auto left = co_await cluster->propose(meta::testing::set_leaving(3));
    EXPECT_EQ(left, proto::Answer::OK);
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(garbage(cluster), 0U);
    EXPECT_EQ(cluster->shards(), std::size(kSizes));  // its own
    cluster->network.forget();
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(cluster->shards(), 0U);
}
TEST(Collect, ALeavingNodeThatIsDownKeepsNoRow) {
    run_scene({.nodes = 3, .seed = 8, .grace_ms = kGraceMs}, with_a_leaving_node_down);
}

// Those that have never called the node believe that it is up, and the others believe that these
// look after the garbage: nobody may leave it to the node for ever.
Task<void> with_a_leaving_node_down_unnoticed(SimCluster* cluster) {
    for (const std::uint64_t size : kSizes) {
        const std::string key = std::to_string(size);
        auto put = co_await put_on(cluster->node(3), key, 1, size);
        EXPECT_TRUE(put.has_value());
        co_await erase_on(cluster->node(1), key);
    }
    EXPECT_EQ(view_of(cluster).blobs_held(node_id(3)).value_or(0), std::size(kSizes));
    cluster->network.take_down(3);
    const auto left = co_await cluster->propose(meta::testing::set_leaving(3));
    EXPECT_EQ(left, proto::Answer::OK);
    co_await cluster->lay(1, 1, {1, 2});
    cluster->network.hopeful = {node_id(1)};
    co_await collect_all(cluster, kGraceMs);
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(garbage(cluster), 0U);
    EXPECT_EQ(view_of(cluster).blobs_held(node_id(3)).value_or(1), 0U);  // may be dismissed
}
TEST(Collect, ALeavingNodeThatOnlySomeKnowToBeDownKeepsNoRow) {
    run_scene({.nodes = 3, .seed = 9, .grace_ms = kGraceMs}, with_a_leaving_node_down_unnoticed);
}

// While somebody reads, on whatever node, everything stays.
Task<void> while_it_is_read(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3, 4});
    constexpr std::uint64_t kSize = 6'000'000;
    for (std::uint64_t reader = 1; reader <= 4; ++reader) {
        const std::string key = "read" + std::to_string(reader);
        auto put = co_await put_on(cluster->node(1), key, reader, kSize);
        EXPECT_TRUE(put.has_value());
        const std::uint64_t before = cluster->shards();
        auto opened =
            co_await runtime::run_on(cluster->node(reader)->world->executor,
                                     cluster->node(reader)->open_object(key, std::nullopt));
        EXPECT_TRUE(opened.has_value());
        co_await erase_on(cluster->node(2), key);
        for (int i = 0; i < 4; ++i) {
            co_await cluster->sleep_ms(kGraceMs);
            co_await reconcile_all(cluster);
            EXPECT_EQ(cluster->shards(), before) << reader;
        }
        std::string text;
        while (opened) {
            auto next =
                co_await runtime::run_on(cluster->node(reader)->world->executor, (*opened)->next());
            EXPECT_TRUE(next.has_value());
            if (!next || next->empty()) break;
            text += base::as_text(next->bytes());
        }
        EXPECT_TRUE(text == pattern_text(reader, {0, kSize})) << reader;
        co_await drop_on(cluster->node(reader), std::move(*opened));
        co_await collect_all(cluster, kGraceMs);
        EXPECT_EQ(cluster->shards(), 0U) << reader;
    }
}
TEST(Collect, WhatIsReadAnywhereStays) {
    run_scene({.nodes = 4, .seed = 3, .grace_ms = kGraceMs}, while_it_is_read);
}

Task<Result<std::string>> ask_removal(SimCluster* cluster, std::uint64_t number,
                                      std::vector<base::BlobId> blobs) {
    SimNode* const node = cluster->node(number);
    auto answer = co_await runtime::run_on(
        node->world->executor,
        node->objects->serve(node_id(2), RemoteMethod::kRemove, encode_remove(blobs)));
    co_return answer;
}

// Whoever asks for it, and however often: what is no garbage stays.
Task<void> of_what_is_no_garbage(SimCluster* cluster) {
    co_await cluster->lay(1, 1, {1, 2});
    co_await put_all(cluster, 1);
    auto uncommitted = co_await store_on(cluster->node(1), 9, 50'000);
    EXPECT_TRUE(uncommitted.has_value());
    co_await cluster->sleep_ms(200'000);
    const std::uint64_t shards = cluster->shards();
    std::vector<base::BlobId> blobs;
    for (const auto& entry : blobs_of(view_of(cluster))) blobs.push_back(entry.id);
    blobs.push_back(*base::BlobId::from_bytes(uncommitted->blob->blob_id()));
    for (std::uint64_t number = 1; number <= 2; ++number) {
        auto answer = co_await ask_removal(cluster, number, blobs);
        EXPECT_TRUE(answer.has_value());
        auto in_use = decode_in_use(*answer);
        EXPECT_TRUE(in_use.has_value());
        std::ranges::sort(*in_use);
        std::vector<base::BlobId> expected = blobs;
        std::ranges::sort(expected);
        EXPECT_EQ(*in_use, expected);
    }
    EXPECT_EQ(cluster->shards(), shards);
    // One that has nothing of it has nothing to refuse.
    auto unknown = co_await ask_removal(cluster, 1, {base::BlobId{}});
    EXPECT_TRUE(unknown && decode_in_use(*unknown)->empty());
    co_await erase_on(cluster->node(1), "1/4095");
    auto answer = co_await ask_removal(cluster, 1, blobs);
    EXPECT_TRUE(answer && decode_in_use(*answer)->size() == blobs.size() - 1);
    EXPECT_EQ(cluster->shards(), shards - 1);
    auto garbled = co_await runtime::run_on(
        cluster->node(1)->world->executor,
        cluster->node(1)->objects->serve(node_id(2), RemoteMethod::kRemove, "\x0a\x7f"));
    EXPECT_EQ(garbled.error().code, Code::kInvalid);
}
TEST(Collect, OnlyGarbageIsRemovedForOthers) {
    run_scene({.nodes = 2, .seed = 4, .grace_ms = kGraceMs}, of_what_is_no_garbage);
}

// Shards where they do not belong, of blobs that are there.
Task<void> extra_shards(SimCluster* cluster) {
    co_await cluster->lay(1, 1, {1, 2, 3});
    co_await put_all(cluster, 1);
    const std::uint64_t shards = cluster->shards();
    for (const auto& entry : blobs_of(view_of(cluster))) {
        if (entry.blob.size() > 1000) continue;
        for (const auto& node : cluster->nodes) {
            for (std::uint8_t slot = 0; slot < 5; ++slot) {
                (void)co_await runtime::run_on(
                    node->world->executor,
                    node->shards->put({entry.id, base::Slot{slot}},
                                      base::Buffer::copy_of(base::as_bytes("x"))));
            }
        }
    }
    EXPECT_EQ(cluster->shards(), shards + 13);
    co_await reconcile_all(cluster);
    EXPECT_EQ(cluster->shards(), shards + 13);  // readers with an older view may look for them
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(cluster->shards(), shards);
    co_await expect_sound(cluster);
    EXPECT_EQ(cluster->metric("hamster_extra_shards_removed_total"), 13U);
}
TEST(Collect, ExtraShardsGoAndNeededOnesDoNot) {
    run_scene({.nodes = 3, .seed = 5, .grace_ms = kGraceMs}, extra_shards);
}

// Sources keep what they have until the slot has settled, however long that takes.
Task<void> sources_keep(SimCluster* cluster) {
    co_await cluster->lay(1, 1, {1, 2});
    co_await put_all(cluster, 1);
    co_await cluster->lay(1, 1, {3, 4});
    for (int i = 0; i < 3; ++i) {
        co_await reconcile_on(cluster->node(1));
        co_await reconcile_on(cluster->node(2));
        co_await cluster->sleep_ms(kGraceMs * 10);
    }
    EXPECT_EQ(cluster->shards(), 2 * std::size(kSizes));
    co_await expect_all(cluster, 1, 3);
    co_await collect_all(cluster, kGraceMs);
    co_await expect_sound(cluster);
    EXPECT_EQ(cluster->shards(), 2 * std::size(kSizes));
    EXPECT_EQ(cluster->node(1)->shards->stats().shards, 0U);
}
TEST(Collect, SourcesKeepWhatTheyHave) {
    run_scene({.nodes = 4, .seed = 6, .grace_ms = kGraceMs}, sources_keep);
}

// Of writes that were never committed, on all nodes that took part.
Task<void> orphans(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto stored = co_await store_on(cluster->node(1), 1, 700'000);
    EXPECT_TRUE(stored.has_value());
    auto small = co_await store_on(cluster->node(2), 2, 700);
    EXPECT_TRUE(small.has_value());
    EXPECT_EQ(cluster->shards(), 5U);
    co_await reconcile_all(cluster);
    EXPECT_EQ(cluster->shards(), 5U);
    co_await collect_all(cluster, kGraceMs);
    EXPECT_EQ(cluster->shards(), 0U);
    EXPECT_EQ(cluster->metric("hamster_orphans_removed_total"), 5U);
}
TEST(Collect, OrphansGoFromAllNodes) {
    run_scene({.nodes = 3, .seed = 7, .grace_ms = kGraceMs}, orphans);
}

}  // namespace
}  // namespace hamster::objects
