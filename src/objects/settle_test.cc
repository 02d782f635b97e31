// The layout changes between the moment a body was stored and its commit.
#include <gtest/gtest.h>

#include <bit>

#include "base/partitions.h"
#include "objects/exchange.h"
#include "objects/sim_cluster.h"

namespace hamster::objects {
namespace {

using runtime::Task;
using testing::get_on;
using testing::node_id;
using testing::pattern_text;
using testing::run_scene;
using testing::SimCluster;
using testing::SimNode;
using testing::store_on;
using testing::Traffic;

constexpr std::uint64_t kSize = 3'000'000;

Task<Result<StoredBody>> settle_on(SimNode* node, StoredBody body) {
    auto settled =
        co_await runtime::run_on(node->world->executor, node->objects->settle(std::move(body)));
    co_return settled;
}

Task<proto::Answer::Status> propose(SimCluster* cluster, std::string key, StoredBody body) {
    proto::Command command;
    proto::PutObject& put = *command.mutable_put_object();
    put.set_bucket_id(std::string(cluster->node(1)->bucket.view()));
    put.set_key(key);
    put.mutable_version()->set_size(body.size);
    put.mutable_version()->set_etag("etag");
    proto::Part& part = *put.mutable_version()->add_parts();
    part.set_size(body.size);
    part.set_blob_id(body.blob->blob_id());
    *put.add_new_blobs() = *body.blob;
    const auto status = co_await cluster->propose(std::move(command));
    co_return status;
}

Task<void> expect_discarded(SimCluster* cluster, StoredBody body) {
    SimNode* const node = cluster->node(1);
    co_await runtime::run_on(node->world->executor, node->objects->discard(std::move(body)));
    co_await cluster->sleep_ms(5000);
    EXPECT_EQ(cluster->shards(), 0U);
}

// Orders to pull that nodes got. They are answered as told; the shards stay where they are.
struct Pulls {
    std::map<base::NodeId, PullOrder> orders;
    std::set<base::NodeId> failing;

    void listen(SimCluster* cluster) {
        cluster->network.instead = [this](const Traffic& traffic,
                                          const std::string& payload) -> std::optional<Error> {
            if (traffic.what != RemoteMethod::kPull) return std::nullopt;
            orders[traffic.to] = *decode_pull(payload);
            if (failing.contains(traffic.to)) return Error{Code::kUnavailable, "not now"};
            return Error{Code::kNotFound, ""};  // done
        };
    }
};

Task<void> one_slot_moves(SimCluster* cluster) {
    Pulls pulls;
    pulls.listen(cluster);
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto body = co_await store_on(cluster->node(1), 1, kSize);
    EXPECT_TRUE(body.has_value());
    const StoredBody& before = *body;
    co_await cluster->lay(2, 1, {1, 2, 4});
    const auto refused = co_await propose(cluster, "key", before);
    EXPECT_EQ(refused, proto::Answer::LAYOUT_CHANGED);
    auto settled = co_await settle_on(cluster->node(1), before);
    EXPECT_TRUE(settled.has_value());
    EXPECT_EQ(settled->blob->layout_version(), 2U);
    EXPECT_EQ(settled->blob->geometry().missing(), 0U);
    EXPECT_EQ(pulls.orders.size(), 1U) << "the other slots are where they were";
    const PullOrder& order = pulls.orders.at(node_id(4));
    EXPECT_EQ(before.nodes[order.slot.value], node_id(3));
    EXPECT_EQ(settled->nodes[order.slot.value], node_id(4));
    EXPECT_EQ(order.blob.blob.view(), before.blob->blob_id());
    EXPECT_EQ(order.blob.shape, *shape_of(before.blob->geometry()));
    for (std::uint8_t slot = 0; slot < 3; ++slot) {
        EXPECT_EQ(order.blob.shards[slot], (BlobPlace::Shard{{slot}, before.nodes[slot]}));
    }
    const auto accepted = co_await propose(cluster, "key", *settled);
    EXPECT_EQ(accepted, proto::Answer::OK);
    // The new node has not got it in truth: it is asked first, then the source, or it is rebuilt.
    for (std::uint64_t reader = 1; reader <= 4; ++reader) {
        auto text = co_await get_on(cluster->node(reader), "key");
        EXPECT_TRUE(text == pattern_text(1, {0, kSize}));
    }
}
TEST(Settle, ANodeFetchesTheShardOfTheSlotItGot) { run_scene({.nodes = 4}, one_slot_moves); }

Task<void> some_cannot(SimCluster* cluster) {
    Pulls pulls;
    pulls.listen(cluster);
    pulls.failing = {node_id(7)};
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    auto body = co_await store_on(cluster->node(1), 1, kSize);
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 7, 8});
    auto settled = co_await settle_on(cluster->node(1), *body);
    EXPECT_TRUE(settled.has_value());
    EXPECT_EQ(pulls.orders.size(), 2U);
    const std::uint64_t missing = settled->blob->geometry().missing();
    EXPECT_EQ(std::popcount(missing), 1);
    EXPECT_EQ(settled->nodes[static_cast<std::size_t>(std::countr_zero(missing))], node_id(7));
    // It changes once more, back: who has the shard already is asked for it all the same.
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 8});
    pulls.orders.clear();
    auto again = co_await settle_on(cluster->node(1), *settled);
    EXPECT_TRUE(again.has_value());
    EXPECT_EQ(again->blob->geometry().missing(), 0U) << "it was fetched after all";
    EXPECT_EQ(pulls.orders.size(), 1U);
    EXPECT_EQ(pulls.orders.at(node_id(5)).blob.shards.size(), 5U) << "those that are there";
    const auto accepted = co_await propose(cluster, "key", *again);
    EXPECT_EQ(accepted, proto::Answer::OK);
}
TEST(Settle, WhatCannotBeFetchedIsMissing) { run_scene({.nodes = 8, .seed = 2}, some_cannot); }

Task<void> too_few_can(SimCluster* cluster) {
    Pulls pulls;
    pulls.listen(cluster);
    pulls.failing = {node_id(7), node_id(8)};
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    auto body = co_await store_on(cluster->node(1), 1, kSize);
    const StoredBody& before = *body;
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 7, 8});
    auto settled = co_await settle_on(cluster->node(1), before);
    EXPECT_TRUE(settled.has_value());
    EXPECT_NE(settled->blob->blob_id(), before.blob->blob_id());
    const auto accepted = co_await propose(cluster, "key", *settled);
    EXPECT_EQ(accepted, proto::Answer::OK);
    auto text = co_await get_on(cluster->node(2), "key");
    EXPECT_TRUE(text == pattern_text(1, {0, kSize}));
    co_await cluster->sleep_ms(5000);
    EXPECT_EQ(cluster->shards(), 6U) << "the first one is gone";
}
TEST(Settle, BelowTheFloorTheBodyIsStoredAnew) { run_scene({.nodes = 8, .seed = 3}, too_few_can); }

Task<void> too_few_can_and_nobody_takes_it(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    auto body = co_await store_on(cluster->node(1), 1, kSize);
    const StoredBody& before = *body;
    co_await cluster->lay(4, 2, {1, 2, 3, 8, 7, 9});
    cluster->network.instead = [](const Traffic& traffic,
                                  const std::string&) -> std::optional<Error> {
        const bool fails = traffic.what == RemoteMethod::kPutSlice ||
                           (traffic.what == RemoteMethod::kPull && traffic.to != node_id(8));
        if (!fails) return std::nullopt;
        return Error{Code::kUnavailable, "not now"};
    };
    auto settled = co_await settle_on(cluster->node(1), before);
    EXPECT_EQ(settled.error().code, Code::kUnavailable);
    co_await expect_discarded(cluster, before);  // and so is what node 8 has fetched
}
TEST(Settle, BelowTheFloorABodyThatNobodyTakesIsGivenUp) {
    run_scene({.nodes = 9, .seed = 8}, too_few_can_and_nobody_takes_it);
}

// Nothing that is wide is committed yet, so the layout may become narrow.
Task<void> too_narrow(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto body = co_await store_on(cluster->node(1), 1, kSize);
    const StoredBody& before = *body;
    co_await cluster->lay(1, 1, {2, 3});
    const auto refused = co_await propose(cluster, "key", before);
    EXPECT_EQ(refused, proto::Answer::LAYOUT_CHANGED);
    auto settled = co_await settle_on(cluster->node(1), before);
    EXPECT_TRUE(settled.has_value());
    EXPECT_NE(settled->blob->blob_id(), before.blob->blob_id());
    EXPECT_EQ(settled->blob->geometry().k(), 1U);
    const auto accepted = co_await propose(cluster, "key", *settled);
    EXPECT_EQ(accepted, proto::Answer::OK);
    for (std::uint64_t reader = 1; reader <= 3; ++reader) {
        auto text = co_await get_on(cluster->node(reader), "key");
        EXPECT_TRUE(text == pattern_text(1, {0, kSize}));
    }
    co_await cluster->sleep_ms(5000);
    EXPECT_EQ(cluster->shards(), 2U) << "the wide one is gone";
}
TEST(Settle, ABodyThatIsTooWideIsStoredAnew) { run_scene({.nodes = 3, .seed = 6}, too_narrow); }

Task<void> nobody_takes_it_anew(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto body = co_await store_on(cluster->node(1), 1, kSize);
    const StoredBody& before = *body;
    co_await cluster->lay(1, 1, {2, 3});
    cluster->network.instead = [](const Traffic& traffic,
                                  const std::string&) -> std::optional<Error> {
        if (traffic.what != RemoteMethod::kPutSlice) return std::nullopt;
        return Error{Code::kUnavailable, "not now"};
    };
    auto settled = co_await settle_on(cluster->node(1), before);
    EXPECT_EQ(settled.error().code, Code::kUnavailable);
    co_await expect_discarded(cluster, before);
}
TEST(Settle, ATooWideBodyThatNobodyTakesIsGivenUp) {
    run_scene({.nodes = 3, .seed = 7}, nobody_takes_it_anew);
}

// Other partitions change: that is none of this body's business.
Task<void> elsewhere(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto body = co_await store_on(cluster->node(1), 1, kSize);
    const auto blob = *base::BlobId::from_bytes(body->blob->blob_id());
    auto table = placement::Table::of_width(3);
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        for (std::uint8_t slot = 0; slot < 3; ++slot) {
            table.set({partition, slot}, node_id(1U + (partition + slot) % 3U));
        }
    }
    const auto other =
        static_cast<std::uint16_t>((base::partition_of(blob) + 1) % base::partitions());
    table.set({other, 0}, node_id(4));
    co_await cluster->lay_table(2, 1, std::move(table));
    const auto accepted = co_await propose(cluster, "key", *body);
    EXPECT_EQ(accepted, proto::Answer::OK);
    auto next = co_await store_on(cluster->node(1), 2, kSize);
    EXPECT_EQ(next->blob->layout_version(), 2U);
}
TEST(Settle, AChangeElsewhereDoesNotMatter) { run_scene({.nodes = 4, .seed = 4}, elsewhere); }

// Bodies that are on their way while the layout changes every other moment.
Task<void> races(SimCluster* cluster) {
    Pulls pulls;
    pulls.listen(cluster);
    co_await cluster->lay(2, 1, {1, 2, 3});
    int settles = 0;
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
        auto body = co_await store_on(cluster->node(1 + seed % 4), seed, 400'000);
        EXPECT_TRUE(body.has_value());
        if (seed % 3 == 1) co_await cluster->lay(2, 1, {1, 2, 3 + seed / 3 % 2});
        auto status = co_await propose(cluster, "key", *body);
        if (status == proto::Answer::LAYOUT_CHANGED) {
            ++settles;
            body = co_await settle_on(cluster->node(2), std::move(*body));
            EXPECT_TRUE(body.has_value());
            status = co_await propose(cluster, "key", *body);
        }
        EXPECT_EQ(status, proto::Answer::OK);
        auto text = co_await get_on(cluster->node(1 + (seed + 1) % 4), "key");
        EXPECT_TRUE(text == pattern_text(seed, {0, 400'000}));
    }
    EXPECT_GT(settles, 1);
}
TEST(Settle, BodiesFollowALayoutThatKeepsChanging) { run_scene({.nodes = 4, .seed = 5}, races); }

}  // namespace
}  // namespace hamster::objects
