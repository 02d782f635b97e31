// Bodies on their way to several nodes, some of which are down, slow or full.
#include "objects/body_write.h"

#include <gtest/gtest.h>

#include <bit>

#include "base/partitions.h"
#include "objects/exchange.h"
#include "objects/sim_cluster.h"

namespace hamster::objects {
namespace {

using runtime::Micros;
using runtime::Task;
using testing::get_on;
using testing::node_id;
using testing::pattern_text;
using testing::PatternSource;
using testing::put_on;
using testing::run_scene;
using testing::SimCluster;
using testing::SimNode;
using testing::store_on;
using testing::Traffic;

constexpr std::uint64_t kSlice = shards::kSliceBytes;

Task<void> commit(SimCluster* cluster, std::string key, StoredBody body) {
    std::vector<StoredBody> bodies;
    bodies.push_back(std::move(body));
    auto committed = co_await cluster->node(1)->commit(std::move(key), std::move(bodies));
    EXPECT_TRUE(committed.has_value());
}

// Everything that was sent somewhere has come back, or gone.
Task<void> expect_shards(SimCluster* cluster, std::uint64_t shards) {
    cluster->network.forget();
    co_await cluster->sleep_ms(15'000);
    EXPECT_EQ(cluster->shards(), shards);
    EXPECT_EQ(cluster->metric("hamster_body_memory_bytes"), 0U);
}

Task<void> shards_on_nodes(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    for (const auto& [size, width] : {std::pair<std::uint64_t, std::uint32_t>{1000, 3},
                                      {131'072, 3},
                                      {131'073, 6},
                                      {3'000'000, 6}}) {
        auto body = co_await store_on(cluster->node(2), size, size);
        EXPECT_TRUE(body.has_value());
        if (!body) continue;
        const proto::Blob& blob = body->blob->geometry();
        EXPECT_EQ(blob.k(), width == 3 ? 1U : 4U);
        EXPECT_EQ(blob.m(), 2U);
        EXPECT_EQ(blob.slice_bytes(), kSlice);
        EXPECT_EQ(blob.missing(), 0U);
        EXPECT_TRUE(blob.placed());
        EXPECT_EQ(body->blob->layout_version(), 1U);
        EXPECT_EQ(body->nodes.size(), width);
        const Shape shape = *shape_of(blob);
        for (std::uint32_t slot = 0; slot < width; ++slot) {
            const SimNode* node = cluster->network.nodes.at(body->nodes[slot]);
            const auto found = node->shards->find({*base::BlobId::from_bytes(body->blob->blob_id()),
                                                   base::Slot{static_cast<std::uint8_t>(slot)}});
            EXPECT_TRUE(found && *found);
            if (found && *found) EXPECT_EQ((*found)->bytes, shape.shard_bytes());
        }
        co_await commit(cluster, "key" + std::to_string(size), std::move(*body));
    }
    EXPECT_EQ(cluster->shards(), 18U);
    EXPECT_EQ(cluster->metric("hamster_degraded_writes_total"), 0U);
    EXPECT_EQ(cluster->metric("hamster_dropped_holders_total"), 0U);
}
TEST(BodyWrite, EverySlotsNodeGetsItsShard) { run_scene({.nodes = 6}, shards_on_nodes); }

// Announced, unknown, and announced wrongly in both directions.
Task<void> wrong_hints(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    std::uint64_t seed = 0;
    for (const std::uint64_t size :
         {0UL, 1UL, 131'072UL, 131'073UL, 2 * kSlice, 2 * kSlice + 1, 4 * kSlice, 1'000'003UL}) {
        for (const std::optional<std::uint64_t> hint :
             {std::optional(size), std::optional<std::uint64_t>(), std::optional<std::uint64_t>(3),
              std::optional<std::uint64_t>(2 * kSlice), std::optional<std::uint64_t>(10U << 20U)}) {
            auto body = co_await cluster->node(1)->store(++seed, size, hint);
            EXPECT_TRUE(body.has_value());
            if (!body) continue;
            EXPECT_EQ(body->size, size);
            if (body->blob) EXPECT_EQ(body->blob->geometry().k(), size <= 131'072 ? 1U : 2U);
            co_await commit(cluster, "key", std::move(*body));
            for (std::uint64_t reader = 1; reader <= 3; ++reader) {
                auto text = co_await get_on(cluster->node(reader), "key");
                EXPECT_TRUE(text == pattern_text(seed, {0, size})) << size;
            }
        }
    }
}
TEST(BodyWrite, TheAnnouncedLengthIsAHint) { run_scene({.nodes = 3, .seed = 2}, wrong_hints); }

Task<void> broken_bodies(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    for (const std::uint64_t size : {0UL, 1UL, 131'073UL, 2 * kSlice, 5 * kSlice, 5 * kSlice + 9}) {
        PatternSource source(size, size, true);
        auto stored = co_await cluster->node(1)->objects->store(&source, size);
        EXPECT_EQ(stored.error().code, Code::kInvalid);
        EXPECT_EQ(stored.error().context, "the checksum is wrong");
    }
    co_await expect_shards(cluster, 0);
}
TEST(BodyWrite, NothingIsLeftOfABodyThatFailsVerification) {
    run_scene({.nodes = 3, .seed = 3}, broken_bodies);
}

Task<void> known_down(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    cluster->network.take_down(4);
    auto degraded = co_await store_on(cluster->node(1), 1, 2'000'000);
    EXPECT_TRUE(degraded.has_value());
    const proto::Blob& blob = degraded->blob->geometry();
    EXPECT_EQ(std::popcount(blob.missing()), 1);
    EXPECT_EQ(degraded->nodes[static_cast<std::size_t>(std::countr_zero(blob.missing()))],
              node_id(4));
    auto small = co_await store_on(cluster->node(1), 2, 2'000);
    EXPECT_EQ(small->blob->geometry().missing(), 0U) << "three of the others";
    co_await commit(cluster, "degraded", std::move(*degraded));
    co_await commit(cluster, "small", std::move(*small));
    cluster->network.take_down(5);  // four are not k + 1
    auto copies = co_await store_on(cluster->node(1), 3, 2'000'000);
    EXPECT_EQ(copies->blob->geometry().k(), 1U);
    EXPECT_EQ(copies->blob->geometry().m(), 2U);
    EXPECT_EQ(copies->blob->geometry().missing(), 0U);
    co_await commit(cluster, "copies", std::move(*copies));
    for (std::uint64_t reader = 1; reader <= 3; ++reader) {
        auto first = co_await get_on(cluster->node(reader), "degraded");
        EXPECT_TRUE(first == pattern_text(1, {0, 2'000'000}));
        auto second = co_await get_on(cluster->node(reader), "small");
        EXPECT_TRUE(second == pattern_text(2, {0, 2'000}));
        auto third = co_await get_on(cluster->node(reader), "copies");
        EXPECT_TRUE(third == pattern_text(3, {0, 2'000'000}));
    }
    for (const std::uint64_t number : {2U, 3U, 6U}) cluster->network.take_down(number);
    PatternSource unread(4, 2'000'000);
    auto refused = co_await cluster->node(1)->objects->store(&unread, 2'000'000);
    EXPECT_EQ(refused.error().code, Code::kUnavailable);
    std::array<std::byte, 16> head{};
    auto first_bytes = co_await unread.read(head);
    EXPECT_EQ(*first_bytes, 16U);
    EXPECT_EQ(base::as_text(head), pattern_text(4, {0, 16})) << "nothing had been read";
    EXPECT_EQ(cluster->metric("hamster_degraded_writes_total"), 1U);
    co_await expect_shards(cluster, 5 + 3 + 3);
}
TEST(BodyWrite, BodiesGoWhereNodesAreUp) { run_scene({.nodes = 6, .seed = 4}, known_down); }

// From its n-th slice on a node answers no more.
std::function<std::optional<Error>(const Traffic&)> fails_after(std::set<std::uint64_t> numbers,
                                                                int slices, Code code) {
    std::set<base::NodeId> nodes;
    for (const std::uint64_t number : numbers) nodes.insert(node_id(number));
    auto left = std::make_shared<std::map<base::NodeId, int>>();
    return [=](const Traffic& traffic) -> std::optional<Error> {
        if (traffic.what != RemoteMethod::kPutSlice || !nodes.contains(traffic.to)) return {};
        if ((*left)[traffic.to]++ < slices) return {};
        return Error{code, "no more"};
    };
}

// Until nodes that took nothing are given another chance.
Task<void> forgive(SimCluster* cluster) { co_await cluster->sleep_ms(11'000); }

Task<void> dies_in_mid_body(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    std::uint64_t objects = 0;
    for (const int slices : {0, 1, 2, 5}) {
        for (const Code code : {Code::kUnavailable, Code::kTimeout, Code::kIo, Code::kNoSpace}) {
            cluster->network.trouble = fails_after({3}, slices, code);
            const std::uint64_t seed = ++objects;
            auto body = co_await store_on(cluster->node(1), seed, 6'000'000);
            EXPECT_TRUE(body.has_value()) << body.error().context;
            if (!body) continue;
            EXPECT_EQ(std::popcount(body->blob->geometry().missing()), 1);
            co_await commit(cluster, "key", std::move(*body));
            cluster->network.forget();
            auto text = co_await get_on(cluster->node(2), "key");
            EXPECT_TRUE(text == pattern_text(seed, {0, 6'000'000}));
            co_await forgive(cluster);
        }
    }
    EXPECT_EQ(cluster->metric("hamster_degraded_writes_total"), objects);
    EXPECT_EQ(cluster->metric("hamster_dropped_holders_total"), objects);
    co_await cluster->sleep_ms(70'000);  // what a node had of a write that went on without it
    co_await expect_shards(cluster, objects * 5);
}
TEST(BodyWrite, ANodeThatDiesInMidBodyIsDropped) {
    run_scene({.nodes = 6, .seed = 5}, dies_in_mid_body);
}

Task<void> too_many_die(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    for (const int slices : {0, 1, 4}) {
        for (const std::uint64_t size : {2'000UL, 6'000'000UL}) {
            const std::set<std::uint64_t> dying = size > 131'072
                                                      ? std::set<std::uint64_t>{2, 5}
                                                      : std::set<std::uint64_t>{2, 3, 4, 5, 6};
            if (size <= 131'072 && slices > 0) continue;
            cluster->network.trouble = fails_after(dying, slices, Code::kUnavailable);
            auto body = co_await store_on(cluster->node(1), 1, size);
            EXPECT_EQ(body.has_value() ? Code::kNotFound : body.error().code, Code::kUnavailable);
            co_await forgive(cluster);
            cluster->network.trouble = fails_after({2, 3, 4, 5, 6}, slices, Code::kNoSpace);
            auto full = co_await store_on(cluster->node(1), 1, size);
            EXPECT_EQ(full.has_value() ? Code::kNotFound : full.error().code, Code::kNoSpace);
            auto again = co_await store_on(cluster->node(1), 1, size);
            EXPECT_EQ(again.has_value() ? Code::kNotFound : again.error().code, Code::kNoSpace);
            co_await forgive(cluster);
        }
    }
    co_await expect_shards(cluster, 0);
}
TEST(BodyWrite, BelowTheFloorItFailsAndNothingIsLeft) {
    run_scene({.nodes = 6, .seed = 6}, too_many_die);
}

// The last slices are durable on some nodes when the others fail: those shards go as well.
Task<void> fails_at_the_end(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    cluster->network.trouble = fails_after({2}, 4, Code::kUnavailable);
    auto body = co_await store_on(cluster->node(1), 1, 10 * kSlice);  // five stripes
    EXPECT_EQ(body.error().code, Code::kUnavailable);
    co_await expect_shards(cluster, 0);
}
TEST(BodyWrite, ShardsThatWereWholeGoToo) { run_scene({.nodes = 3, .seed = 7}, fails_at_the_end); }

// Two copies, and one of the nodes dies: that is found out by bodies that are stored nevertheless.
Task<void> dies_unnoticed(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    std::uint64_t stored = 0;
    for (const Code code : {Code::kUnavailable, Code::kNoSpace}) {
        for (std::uint64_t dying = 2; dying <= 3; ++dying) {
            cluster->network.trouble = fails_after({dying}, 0, code);
            for (std::uint64_t seed = 1; seed <= 8; ++seed) {
                auto body = co_await store_on(cluster->node(1), seed, 1000 * seed);
                EXPECT_TRUE(body.has_value());
                if (!body) continue;
                EXPECT_EQ(body->blob->geometry().missing(), 0U);
                co_await commit(cluster, "key" + std::to_string(++stored), std::move(*body));
                auto text = co_await get_on(cluster->node(1), "key" + std::to_string(stored));
                EXPECT_TRUE(text == pattern_text(seed, {0, 1000 * seed}));
            }
            co_await forgive(cluster);
        }
    }
    EXPECT_GE(cluster->metric("hamster_dropped_holders_total"), 4U) << "each was found out";
    co_await expect_shards(cluster, 2 * stored);
}
TEST(BodyWrite, ASmallBodyGoesElsewhereWhenANodeHasDied) {
    run_scene({.nodes = 3, .seed = 14}, dies_unnoticed);
}

Task<void> slow_holder(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    for (const std::uint64_t size : {2'000UL, 6'000'000UL}) {
        cluster->network.delay = [](const Traffic& traffic) {
            const bool is_slow =
                traffic.to == node_id(4) && traffic.what == RemoteMethod::kPutSlice;
            return is_slow ? Micros(std::chrono::seconds(9)) : Micros(1000);
        };
        const runtime::Time begun = cluster->node(1)->world->clock.now();
        int degraded = 0;
        for (int i = 0; i < 6; ++i) {
            auto body = co_await store_on(cluster->node(1), 1, size);
            EXPECT_TRUE(body.has_value());
            if (body && body->blob->geometry().missing() != 0) ++degraded;
            if (body) co_await commit(cluster, "key", std::move(*body));
        }
        EXPECT_GT(degraded, 0);
        const Micros took = cluster->node(1)->world->clock.now() - begun;
        EXPECT_LT(took, 6 * std::chrono::seconds(4)) << "the slow one holds nobody up for longer";
        cluster->network.forget();
        auto text = co_await get_on(cluster->node(2), "key");
        EXPECT_TRUE(text == pattern_text(1, {0, size}));
    }
}
TEST(BodyWrite, AStuckNodeIsGivenUpOn) { run_scene({.nodes = 6, .seed = 8}, slow_holder); }

// The first body finds out; the next ones go elsewhere, and try again after a while.
Task<void> full_holder(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3, 4});
    cluster->network.trouble = fails_after({4}, 0, Code::kNoSpace);
    int refused = 0;
    for (int i = 0; i < 12; ++i) {
        auto body = co_await store_on(cluster->node(1), 1, 500'000);
        if (!body) ++refused;
        if (body) EXPECT_EQ(body->blob->geometry().missing(), 0U);
    }
    EXPECT_EQ(refused, 1) << "2+1 needs all three";
    cluster->network.forget();
    co_await cluster->sleep_ms(12'000);
    const std::uint64_t before = cluster->node(4)->shards->stats().shards;
    for (int i = 0; i < 12; ++i) {
        auto body = co_await store_on(cluster->node(1), 1, 500'000);
        EXPECT_TRUE(body.has_value());
    }
    EXPECT_GT(cluster->node(4)->shards->stats().shards, before);
}
TEST(BodyWrite, ANodeWhoseDiskIsFullIsAvoidedForAWhile) {
    run_scene({.nodes = 4, .seed = 14}, full_holder);
}

// Sends little, and rests for longer than silence is suffered.
class SlowSource final : public BodySource {
  public:
    SlowSource(runtime::World* world, std::uint64_t size) : world_(world), source_(1, size) {}
    Task<Result<std::size_t>> read(base::MutableBytes out) override {
        co_await world_->clock.sleep(std::chrono::seconds(25));
        auto read = co_await source_.read(out.first(std::min<std::size_t>(out.size(), 100'000)));
        co_return read;
    }

  private:
    runtime::World* world_;
    PatternSource source_;
};

Task<Result<StoredBody>> store_slowly(SimNode* node, std::uint64_t size) {
    SlowSource source(node->world, size);
    auto stored = co_await node->objects->store(&source, size);
    co_return stored;
}

Task<void> slow_client(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    SimNode* const node = cluster->node(1);
    auto body = co_await runtime::run_on(node->world->executor, store_slowly(node, 3'000'000));
    EXPECT_TRUE(body.has_value());
    if (!body) co_return;
    EXPECT_EQ(body->blob->geometry().missing(), 0U);
    EXPECT_EQ(cluster->metric("hamster_dropped_holders_total"), 0U);
    co_await commit(cluster, "key", std::move(*body));
    auto text = co_await get_on(cluster->node(2), "key");
    EXPECT_TRUE(text == pattern_text(1, {0, 3'000'000}));
}
TEST(BodyWrite, ASlowClientIsWaitedFor) { run_scene({.nodes = 6, .seed = 15}, slow_client); }

// All are equally slow: nobody is dropped.
Task<void> slow_network(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    cluster->network.delay = [](const Traffic&) { return Micros(std::chrono::seconds(5)); };
    auto body = co_await store_on(cluster->node(1), 1, 3'000'000);
    EXPECT_TRUE(body.has_value());
    EXPECT_EQ(body->blob->geometry().missing(), 0U);
    EXPECT_EQ(cluster->metric("hamster_dropped_holders_total"), 0U);
}
TEST(BodyWrite, ASlowNetworkOnlyTakesLonger) { run_scene({.nodes = 3, .seed = 9}, slow_network); }

Task<void> damaged_on_the_way(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    int slices = 0;
    cluster->network.tamper_request = [&](const Traffic& traffic, std::string& payload) {
        if (traffic.what != RemoteMethod::kPutSlice || traffic.to != node_id(5)) return;
        if (++slices == 3) payload[payload.size() / 2] ^= 1;
    };
    auto body = co_await store_on(cluster->node(1), 1, 6'000'000);
    EXPECT_TRUE(body.has_value());
    EXPECT_EQ(std::popcount(body->blob->geometry().missing()), 1);
    co_await commit(cluster, "key", std::move(*body));
    cluster->network.forget();
    auto text = co_await get_on(cluster->node(5), "key");
    EXPECT_TRUE(text == pattern_text(1, {0, 6'000'000}));
}
TEST(BodyWrite, ASliceThatIsDamagedOnItsWayIsNotTaken) {
    run_scene({.nodes = 6, .seed = 10}, damaged_on_the_way);
}

Task<void> discarded(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    auto kept = co_await put_on(cluster->node(1), "kept", 1, 2'000'000);
    EXPECT_TRUE(kept.has_value());
    for (const std::uint64_t size : {2'000UL, 2'000'000UL}) {
        auto body = co_await store_on(cluster->node(2), 2, size);
        EXPECT_TRUE(body.has_value());
        SimNode* const node = cluster->node(2);
        co_await runtime::run_on(node->world->executor, node->objects->discard(std::move(*body)));
    }
    co_await expect_shards(cluster, 6);
}
TEST(BodyWrite, WhatIsDiscardedGoesEverywhere) { run_scene({.nodes = 6, .seed = 11}, discarded); }

// A node that is asked to give up what was committed does not.
Task<void> stray_abandon(SimCluster* cluster) {
    co_await cluster->lay(2, 1, {1, 2, 3});
    auto body = co_await store_on(cluster->node(1), 1, 2'000'000);
    EXPECT_TRUE(body.has_value());
    const StoredBody copy = *body;
    co_await commit(cluster, "key", std::move(*body));
    for (std::uint8_t slot = 0; slot < 3; ++slot) {
        SimNode* const node = cluster->network.nodes.at(copy.nodes[slot]);
        const shards::ShardId shard{*base::BlobId::from_bytes(copy.blob->blob_id()),
                                    base::Slot{slot}};
        auto answer = co_await runtime::run_on(
            node->world->executor,
            node->objects->serve(node_id(1), RemoteMethod::kAbandon, encode_abandon(shard)));
        EXPECT_EQ(answer.error().code, Code::kConflict);
    }
    co_await expect_shards(cluster, 3);
}
TEST(BodyWrite, WhatWasCommittedIsNotAbandoned) {
    run_scene({.nodes = 3, .seed = 12}, stray_abandon);
}

// Faults of all kinds at random: what was acknowledged reads back everywhere, with as many shards
// as it says; of what failed nothing is left.
struct Chaos {
    SimCluster* cluster;
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> acknowledged;  // seed, size
    int failures = 0;

    void begin() {
        runtime::Random* const random = &cluster->node(1)->world->random;
        cluster->network.delay = [random](const Traffic&) {
            const bool is_slow = random->below(60) == 0;
            return Micros(static_cast<std::int64_t>(is_slow ? random->below(8'000'000)
                                                            : random->below(3'000)));
        };
        cluster->network.trouble = [random](const Traffic& traffic) -> std::optional<Error> {
            constexpr Code kCodes[] = {Code::kUnavailable, Code::kTimeout, Code::kIo,
                                       Code::kNoSpace};
            const bool is_put = traffic.what == RemoteMethod::kPutSlice;
            if (!is_put || random->below(25) != 0) return std::nullopt;
            return Error{kCodes[random->below(4)], "by chance"};
        };
        cluster->network.tamper_request = [random](const Traffic& traffic, std::string& payload) {
            const bool is_put = traffic.what == RemoteMethod::kPutSlice;
            if (is_put && random->below(50) == 0) payload.back() ^= 1;
        };
    }
    Task<void> store_one(std::uint64_t seed) {
        runtime::Random& random = cluster->node(1)->world->random;
        const std::uint64_t size = 1 + random.below(random.below(2) == 0 ? 200'000 : 5'000'000);
        auto body = co_await store_on(cluster->node(1 + seed % 6), seed, size);
        if (!body) {
            ++failures;
            const bool is_plain =
                body.error().code == Code::kUnavailable || body.error().code == Code::kNoSpace;
            EXPECT_TRUE(is_plain) << body.error().context;
            co_return;
        }
        const std::string key = "key" + std::to_string(seed);
        acknowledged[key] = {seed, size};
        co_await commit(cluster, key, std::move(*body));
    }
    Task<void> check() {
        for (const auto& [key, what] : acknowledged) {
            for (std::uint64_t reader = 1; reader <= 6; reader += 2) {
                auto text = co_await get_on(cluster->node(reader), key);
                EXPECT_TRUE(text == pattern_text(what.first, {0, what.second})) << key;
            }
        }
    }
};

Task<void> random_faults(SimCluster* cluster) {
    co_await cluster->lay(3, 2, {1, 2, 3, 4, 5, 6});
    Chaos chaos{cluster, {}};
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        chaos.begin();
        co_await chaos.store_one(seed);
        if (seed % 7 == 0) co_await forgive(cluster);
    }
    EXPECT_GT(chaos.acknowledged.size(), 30U);
    EXPECT_GT(chaos.failures, 0);
    cluster->network.forget();
    co_await chaos.check();
    // Two of any: what was acknowledged with k + 1 shards may lose one.
    auto viewed = co_await cluster->node(1)->group->view();
    std::uint64_t least = 0;
    std::uint64_t most = 0;
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const auto entries = viewed->blobs_of(partition, std::nullopt, 100);
        for (const meta::BlobEntry& entry : *entries) {
            const std::uint32_t width = meta::width_of(entry.blob);
            least += width - static_cast<std::uint32_t>(std::popcount(entry.blob.missing()));
            most += width;
        }
    }
    co_await cluster->sleep_ms(90'000);
    EXPECT_GE(cluster->shards(), least);
    EXPECT_LE(cluster->shards(), most) << "of bodies that failed nothing is left";
    EXPECT_EQ(cluster->metric("hamster_body_memory_bytes"), 0U);
}
TEST(BodyWrite, WhateverFailsNothingIsLostAndNothingLeft) {
    for (const std::uint64_t seed : {21U, 22U, 23U}) {
        run_scene({.nodes = 6, .seed = seed}, random_faults);
    }
}

// More bodies than there is memory for: they take turns.
Task<void> many_bodies(SimCluster* cluster) {
    co_await cluster->lay(4, 2, {1, 2, 3, 4, 5, 6});
    cluster->network.delay = [](const Traffic&) { return Micros(3000); };
    const std::uint64_t limit = 8U << 20U;
    std::vector<Task<Result<void>>> puts;
    puts.reserve(12);
    for (std::uint64_t i = 0; i < 12; ++i) {
        puts.push_back(put_on(cluster->node(1), "key" + std::to_string(i), i, 3'000'000));
    }
    struct Sampler {
        SimCluster* cluster;
        bool is_done = false;
        std::uint64_t most = 0;
        static Task<bool> run(Sampler* self) {
            while (!self->is_done) {
                self->most =
                    std::max(self->most, self->cluster->metric("hamster_body_memory_bytes"));
                co_await self->cluster->sleep_ms(1);
            }
            co_return true;
        }
        static Task<bool> put_all(Sampler* self, std::vector<Task<Result<void>>> puts) {
            auto done = co_await runtime::when_all(std::move(puts));
            for (const auto& put : done) EXPECT_TRUE(put.has_value());
            self->is_done = true;
            co_return true;
        }
    };
    Sampler sampler{cluster};
    std::vector<Task<bool>> both;
    both.push_back(Sampler::put_all(&sampler, std::move(puts)));
    both.push_back(Sampler::run(&sampler));
    auto done = co_await runtime::when_all(std::move(both));
    EXPECT_LE(sampler.most, limit);
    EXPECT_GT(sampler.most, limit / 2);
    EXPECT_EQ(cluster->metric("hamster_degraded_writes_total"), 0U);
    co_await expect_shards(cluster, 72);
}
TEST(BodyWrite, MemoryIsBounded) {
    run_scene({.nodes = 6, .seed = 13, .body_memory_bytes = 8U << 20U}, many_bodies);
}

}  // namespace
}  // namespace hamster::objects
