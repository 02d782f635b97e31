// Bodies that lie on several nodes, read while some of them are down, slow or wrong.
#include "objects/stripe_fetch.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "objects/exchange.h"
#include "objects/sim_cluster.h"

namespace hamster::objects {
namespace {

using erasure::Profile;
using runtime::Micros;
using runtime::Task;
using testing::get_on;
using testing::node_id;
using testing::pattern_text;
using testing::put_on;
using testing::run_scene;
using testing::SimCluster;
using testing::SimNode;
using testing::Traffic;

constexpr std::uint64_t kSlice = shards::kSliceBytes;

std::vector<std::uint64_t> first(std::uint64_t count) {
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t i = 1; i <= count; ++i) numbers.push_back(i);
    return numbers;
}

// Around every border there is: of small bodies, slices, stripes and their padding.
std::vector<std::uint64_t> sizes_for(std::uint32_t k) {
    return {0,          1,          131'072,        131'073,        kSlice - 1,     kSlice,
            kSlice + 1, k * kSlice, k * kSlice - 1, k * kSlice + 1, 2 * k * kSlice, 2'500'003};
}

// Every way to take `count` of the nodes away.
std::vector<std::uint32_t> subsets(std::uint32_t nodes, int count) {
    std::vector<std::uint32_t> out;
    for (std::uint32_t bits = 0; bits < 1U << nodes; ++bits) {
        if (std::popcount(bits) == count) out.push_back(bits);
    }
    return out;
}

void take_down(SimCluster* cluster, std::uint32_t bits, bool is_known) {
    cluster->network.forget();
    for (std::uint64_t number = 1; number <= cluster->nodes.size(); ++number) {
        if ((bits >> (number - 1) & 1U) == 0) continue;
        cluster->network.down.insert(node_id(number));
        if (is_known) cluster->network.doubted.insert(node_id(number));
    }
}

SimNode* first_up(SimCluster* cluster, std::uint32_t bits) {
    return cluster->node(1U + static_cast<std::uint32_t>(std::countr_one(bits)));
}

Task<void> read_without(SimCluster* cluster, Profile profile) {
    const std::vector<std::uint64_t> sizes = sizes_for(profile.k);
    const auto losses = subsets(profile.width(), static_cast<int>(profile.m));
    for (std::size_t i = 0; i < losses.size(); ++i) {
        take_down(cluster, losses[i], i % 2 == 0);
        SimNode* const reader = first_up(cluster, losses[i]);
        for (std::uint64_t seed = 0; seed < sizes.size(); ++seed) {
            auto text = co_await get_on(reader, "key" + std::to_string(seed));
            EXPECT_TRUE(text == pattern_text(seed, {0, sizes[seed]}))
                << profile.k << "+" << profile.m << " without " << losses[i] << ", " << sizes[seed];
        }
    }
}

Task<void> every_loss(SimCluster* cluster, Profile profile) {
    co_await cluster->lay(profile.k, profile.m, first(profile.width()));
    const std::vector<std::uint64_t> sizes = sizes_for(profile.k);
    for (std::uint64_t seed = 0; seed < sizes.size(); ++seed) {
        SimNode* const writer = cluster->node(1 + seed % cluster->nodes.size());
        auto put = co_await put_on(writer, "key" + std::to_string(seed), seed, sizes[seed]);
        EXPECT_TRUE(put.has_value());
    }
    for (std::uint64_t number = 1; number <= cluster->nodes.size(); ++number) {
        for (std::uint64_t seed = 0; seed < sizes.size(); ++seed) {
            auto text = co_await get_on(cluster->node(number), "key" + std::to_string(seed));
            EXPECT_TRUE(text == pattern_text(seed, {0, sizes[seed]})) << sizes[seed];
        }
    }
    EXPECT_EQ(cluster->metric("hamster_rebuilt_slices_total"), 0U) << "all are up";
    co_await read_without(cluster, profile);
    // One more is too many, but for those that read what they have.
    for (const std::uint32_t bits : subsets(profile.width(), static_cast<int>(profile.m) + 1)) {
        if (std::popcount(bits) == static_cast<int>(profile.width())) continue;
        take_down(cluster, bits, true);
        auto text = co_await get_on(first_up(cluster, bits), "key11");
        EXPECT_EQ(text.has_value() ? Code::kNotFound : text.error().code, Code::kUnavailable);
    }
    cluster->network.forget();
    auto text = co_await get_on(cluster->node(1), "key11");
    EXPECT_TRUE(text == pattern_text(11, {0, sizes[11]}));
}

Task<void> every_loss_1_0(SimCluster* cluster) { return every_loss(cluster, {1, 0}); }
Task<void> every_loss_1_1(SimCluster* cluster) { return every_loss(cluster, {1, 1}); }
Task<void> every_loss_2_1(SimCluster* cluster) { return every_loss(cluster, {2, 1}); }
Task<void> every_loss_3_2(SimCluster* cluster) { return every_loss(cluster, {3, 2}); }
Task<void> every_loss_4_2(SimCluster* cluster) { return every_loss(cluster, {4, 2}); }
TEST(StripeFetch, OneAndNone) { run_scene({.nodes = 2}, every_loss_1_0); }
TEST(StripeFetch, EveryLossOfOneAndOne) { run_scene({.nodes = 2}, every_loss_1_1); }
TEST(StripeFetch, EveryLossOfTwoAndOne) { run_scene({.nodes = 3}, every_loss_2_1); }
TEST(StripeFetch, EveryLossOfThreeAndTwo) { run_scene({.nodes = 5}, every_loss_3_2); }
TEST(StripeFetch, EveryLossOfFourAndTwo) { run_scene({.nodes = 6}, every_loss_4_2); }

// Multipart: parts of all kinds, ranges all over them, with and without a node.
Task<void> ranges(SimCluster* cluster) {
    co_await cluster->lay(4, 2, first(6));
    const std::vector<std::uint64_t> sizes{300'000, 5, 0, 2'500'000, 131'072, 1'048'577};
    std::vector<StoredBody> bodies;
    std::string whole;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        auto body = co_await testing::store_on(cluster->node(1 + i), i, sizes[i]);
        EXPECT_TRUE(body.has_value());
        bodies.push_back(std::move(*body));
        whole += pattern_text(i, {0, sizes[i]});
    }
    auto committed = co_await cluster->node(1)->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    runtime::Random& random = cluster->node(1)->world->random;
    for (int i = 0; i < 150; ++i) {
        const auto bits = static_cast<std::uint32_t>(random.below(64));
        take_down(cluster, std::popcount(bits) <= 2 ? bits : 0, i % 2 == 0);
        const std::uint64_t offset = random.below(whole.size());
        const std::uint64_t length = 1 + random.below(whole.size() - offset);
        SimNode* const reader = first_up(cluster, std::popcount(bits) <= 2 ? bits : 0);
        auto text = co_await get_on(reader, "key", ByteRange{offset, length});
        EXPECT_TRUE(text == whole.substr(offset, length)) << offset << "+" << length;
    }
}
TEST(StripeFetch, RangesOfParts) { run_scene({.nodes = 6, .seed = 2}, ranges); }

Task<void> needed_slices(SimCluster* cluster) {
    co_await cluster->lay(4, 2, first(6));
    auto put = co_await put_on(cluster->node(1), "key", 1, 8 * kSlice);
    EXPECT_TRUE(put.has_value());
    const auto reads_of = [cluster](std::uint64_t before) {
        std::uint64_t all = 0;
        for (const auto& [node, count] : cluster->network.reads) {
            all += static_cast<std::uint64_t>(count);
        }
        return all - before;
    };
    // From a node that has some slot: one of the slices may lie on it.
    for (const auto& [offset, length, most] :
         {std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>{0, 1, 1},
          {kSlice - 1, 1, 1},
          {kSlice - 1, 2, 2},
          {3 * kSlice + 7, kSlice, 2},
          {0, 4 * kSlice, 4},
          {0, 8 * kSlice, 8}}) {
        const std::uint64_t before = reads_of(0);
        auto text = co_await get_on(cluster->node(2), "key", ByteRange{offset, length});
        EXPECT_TRUE(text == pattern_text(1, {offset, length}));
        const std::uint64_t reads = reads_of(before);
        EXPECT_LE(reads, most) << offset << "+" << length;
        EXPECT_GE(reads + (most + 3) / 4, most) << offset << "+" << length;
    }
    EXPECT_EQ(cluster->metric("hamster_rebuilt_slices_total"), 0U);
}
TEST(StripeFetch, ARangeAsksForTheSlicesItNeeds) {
    run_scene({.nodes = 6, .seed = 3}, needed_slices);
}

// Small bodies: the copy here, else one request.
Task<void> one_copy(SimCluster* cluster) {
    co_await cluster->lay(4, 2, first(6));
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
        auto put = co_await put_on(cluster->node(1), "key", seed, 4096);
        EXPECT_TRUE(put.has_value());
        for (std::uint64_t number = 1; number <= 6; ++number) {
            cluster->network.calls.clear();
            auto text = co_await get_on(cluster->node(number), "key");
            EXPECT_TRUE(text == pattern_text(seed, {0, 4096}));
            EXPECT_LE(cluster->network.calls[RemoteMethod::kReadSlice], 1);
        }
    }
    EXPECT_EQ(cluster->shards(), 12U * 3);
}
TEST(StripeFetch, ASmallBodyIsOneFetch) { run_scene({.nodes = 6, .seed = 4}, one_copy); }

// Whatever a node answers: right bytes.
Task<void> wrong_bytes(SimCluster* cluster) {
    co_await cluster->lay(2, 1, first(3));
    const std::uint64_t size = 5 * kSlice + 12'345;
    auto put = co_await put_on(cluster->node(1), "key", 1, size);
    auto small = co_await put_on(cluster->node(1), "small", 2, 70'000);
    EXPECT_TRUE(put && small);
    std::string earlier;
    const std::function<void(std::string&)> ways[] = {
        [](std::string& answer) { answer[0] = static_cast<char>(answer[0] ^ 1); },
        [](std::string& answer) { answer.back() = static_cast<char>(answer.back() ^ 1); },
        [](std::string& answer) { answer.pop_back(); },
        [](std::string& answer) { answer += 'x'; },
        [](std::string& answer) { answer.clear(); },
        [&](std::string& answer) { std::swap(answer, earlier); },  // another slot or stripe
    };
    for (const auto& way : ways) {
        for (std::uint64_t liar = 1; liar <= 3; ++liar) {
            cluster->network.tamper = [&](const Traffic& traffic, std::string& answer) {
                const bool is_slice = traffic.what == RemoteMethod::kReadSlice;
                if (is_slice && traffic.to == node_id(liar)) way(answer);
            };
            for (std::uint64_t reader = 1; reader <= 3; ++reader) {
                auto text = co_await get_on(cluster->node(reader), "key");
                EXPECT_TRUE(text == pattern_text(1, {0, size}));
                auto other = co_await get_on(cluster->node(reader), "small");
                EXPECT_TRUE(other == pattern_text(2, {0, 70'000}));
            }
        }
    }
    EXPECT_GT(cluster->metric("hamster_rebuilt_slices_total"), 0U);
    EXPECT_GT(cluster->metric("hamster_remote_slice_failures_total"), 0U);
}
TEST(StripeFetch, WrongAnswersAreReplacedFromParity) {
    run_scene({.nodes = 3, .seed = 5}, wrong_bytes);
}

base::BlobId blob_of(const StoredBody& body) {
    return *base::BlobId::from_bytes(body.blob->blob_id());
}

// The shards of these slots go.
Task<void> lose(SimCluster* cluster, const StoredBody* body, std::vector<std::size_t> slots) {
    for (const std::size_t slot : slots) {
        SimNode* const node = cluster->network.nodes.at(body->nodes[slot]);
        std::vector<shards::ShardId> ids;
        ids.push_back({blob_of(*body), base::Slot{static_cast<std::uint8_t>(slot)}});
        auto removed =
            co_await runtime::run_on(node->world->executor, node->shards->remove(std::move(ids)));
        EXPECT_TRUE(removed.has_value());
    }
}

Task<void> lost_shards(SimCluster* cluster) {
    co_await cluster->lay(3, 2, first(5));
    const std::uint64_t size = 4 * kSlice + 5;
    auto body = co_await testing::store_on(cluster->node(1), 1, size);
    EXPECT_TRUE(body.has_value());
    std::vector<StoredBody> bodies{*body};
    auto committed = co_await cluster->node(1)->commit("key", std::move(bodies));
    EXPECT_TRUE(committed.has_value());
    co_await lose(cluster, &*body, {0, 4});
    for (std::uint64_t reader = 1; reader <= 5; ++reader) {
        auto text = co_await get_on(cluster->node(reader), "key");
        EXPECT_TRUE(text == pattern_text(1, {0, size}));
    }
    co_await lose(cluster, &*body, {2});
    for (std::uint64_t reader = 1; reader <= 5; ++reader) {
        auto text = co_await get_on(cluster->node(reader), "key");
        EXPECT_EQ(text.error().code, Code::kCorrupt) << "all were asked: it is beyond repair";
    }
    cluster->network.down.insert(body->nodes[1]);
    SimNode* const reader = cluster->network.nodes.at(body->nodes[3]);
    auto text = co_await get_on(reader, "key");
    EXPECT_EQ(text.error().code, Code::kUnavailable) << "a node out of reach may have more";
}
TEST(StripeFetch, LostShardsAreRebuiltAsLongAsEnoughAreLeft) {
    run_scene({.nodes = 5, .seed = 6}, lost_shards);
}

Task<void> slow_node(SimCluster* cluster) {
    co_await cluster->lay(4, 2, first(6));
    const std::uint64_t size = 4 * kSlice;
    auto put = co_await put_on(cluster->node(1), "key", 1, size);
    auto small = co_await put_on(cluster->node(1), "small", 2, 50'000);
    EXPECT_TRUE(put && small);
    for (std::uint64_t slow = 1; slow <= 6; ++slow) {
        cluster->network.delay = [slow](const Traffic& traffic) {
            const bool is_slow = traffic.to == node_id(slow);
            return is_slow ? Micros(std::chrono::seconds(9)) : Micros(500);
        };
        for (std::uint64_t reader = 1; reader <= 6; ++reader) {
            const runtime::Time begun = cluster->node(1)->world->clock.now();
            auto text = co_await get_on(cluster->node(reader), "key");
            EXPECT_TRUE(text == pattern_text(1, {0, size}));
            auto other = co_await get_on(cluster->node(reader), "small");
            EXPECT_TRUE(other == pattern_text(2, {0, 50'000}));
            EXPECT_LT(cluster->node(1)->world->clock.now() - begun, std::chrono::seconds(1));
        }
    }
    EXPECT_GT(cluster->metric("hamster_hedged_reads_total"), 0U);
}
TEST(StripeFetch, ASlowNodeIsNotWaitedFor) { run_scene({.nodes = 6, .seed = 7}, slow_node); }

// In the middle of a body nodes go and come: no more than two at a time.
Task<void> flapping(SimCluster* cluster) {
    co_await cluster->lay(4, 2, first(6));
    const std::uint64_t size = 24 * kSlice + 77;
    auto put = co_await put_on(cluster->node(1), "key", 1, size);
    EXPECT_TRUE(put.has_value());
    for (int round = 0; round < 20; ++round) {
        cluster->network.forget();
        auto opened = co_await cluster->node(1)->open_object("key", std::nullopt);
        EXPECT_TRUE(opened.has_value());
        std::string text;
        while (true) {
            auto next = co_await (*opened)->next();
            EXPECT_TRUE(next.has_value());
            if (!next || next->empty()) break;
            text += base::as_text(next->bytes());
            cluster->network.forget();
            for (int i = 0; i < 2; ++i) {
                const std::uint64_t number = 2 + cluster->node(1)->world->random.below(5);
                cluster->network.down.insert(node_id(number));
            }
        }
        EXPECT_TRUE(text == pattern_text(1, {0, size}));
    }
}
TEST(StripeFetch, NodesMayGoInMidBody) { run_scene({.nodes = 6, .seed = 8}, flapping); }

// Degraded reads with hardly any memory: slower, but none fails, and all of it comes back.
Task<void> short_of_memory(SimCluster* cluster) {
    co_await cluster->lay(4, 2, first(6));
    const std::uint64_t size = 9 * kSlice;
    auto put = co_await put_on(cluster->node(1), "key", 1, size);
    EXPECT_TRUE(put.has_value());
    cluster->network.take_down(5);
    std::vector<Task<Result<std::string>>> reads;
    reads.reserve(4);
    for (int i = 0; i < 4; ++i) reads.push_back(get_on(cluster->node(1), "key"));
    auto texts = co_await runtime::when_all(std::move(reads));
    for (const auto& text : texts) EXPECT_TRUE(text == pattern_text(1, {0, size}));
    co_await cluster->sleep_ms(1000);
    EXPECT_EQ(cluster->metric("hamster_body_memory_bytes"), 0U);
    EXPECT_EQ(cluster->metric("hamster_pinned_blobs"), 0U);
}
TEST(StripeFetch, MemoryIsBounded) {
    run_scene({.nodes = 6, .seed = 9, .body_memory_bytes = 4U << 20U}, short_of_memory);
}

}  // namespace
}  // namespace hamster::objects
