// Several nodes on one real loop: tasks begin at once, and slices come from the page cache without
// a pause. Neither happens in the simulator.
#include <gtest/gtest.h>

#include "objects/reconcile_scene.h"
#include "runtime/real/test_loops.h"

namespace hamster::objects {
namespace {

using runtime::Task;
using testing::pattern_text;
using testing::SimCluster;
using testing::SimNode;

constexpr std::uint64_t kRealNodes = 6;
constexpr std::uint64_t kObjects = 8;
constexpr std::uint64_t kRealSizes[] = {1000, 12ULL * shards::kSliceBytes, 700'000};

std::string key_of(std::uint64_t seed) { return "key" + std::to_string(seed); }
std::uint64_t size_of(std::uint64_t seed) { return kRealSizes[seed % std::size(kRealSizes)]; }

Task<void> read_everything(SimCluster* cluster) {
    for (std::uint64_t number = 1; number <= kRealNodes; ++number) {
        if (cluster->network.down.contains(testing::node_id(number))) continue;
        for (std::uint64_t seed = 0; seed < kObjects; ++seed) {
            auto text = co_await cluster->node(number)->get(key_of(seed), std::nullopt);
            EXPECT_TRUE(text == pattern_text(seed, {0, size_of(seed)})) << seed << " at " << number;
        }
    }
}

Task<void> scene(runtime::World* world) {
    SimCluster cluster;
    for (std::uint64_t number = 1; number <= kRealNodes; ++number) {
        SimNode* const node = testing::add_node(&cluster, {}, world);
        node->dir = "n" + std::to_string(number) + "/";
        const bool opened = co_await node->open();
        EXPECT_TRUE(opened);
        if (!opened) co_return;
    }
    co_await cluster.found();
    co_await cluster.lay(4, 2, {1, 2, 3, 4, 5, 6});
    for (std::uint64_t seed = 0; seed < kObjects; ++seed) {
        auto put =
            co_await cluster.node(1 + seed % kRealNodes)->put(key_of(seed), seed, size_of(seed));
        EXPECT_TRUE(put.has_value());
    }
    co_await read_everything(&cluster);
    // Known to be down: then others are asked at once. Not known: then they are asked last.
    for (std::uint64_t one = 1; one <= kRealNodes; ++one) {
        for (std::uint64_t other = 1; other < one; ++other) {
            cluster.network.take_down(one);
            cluster.network.take_down(other);
            co_await read_everything(&cluster);
            cluster.network.doubted.clear();
            co_await read_everything(&cluster);
            cluster.network.forget();
        }
    }
    // Repair on such a loop.
    for (const std::uint64_t lost : {2U, 5U}) co_await testing::empty_disk(cluster.node(lost));
    co_await testing::reconcile_all(&cluster);
    co_await testing::expect_sound(&cluster);
    co_await read_everything(&cluster);
    for (std::uint64_t number = kRealNodes; number >= 1; --number) {
        co_await cluster.node(number)->close();
    }
}

TEST(Real, ReadsWhileAnyTwoNodesAreDown) {
    const runtime::real::TempDir dir;
    const auto loops = runtime::real::make_loops(dir.path());
    runtime::real::run_main(*loops, scene(&loops->control()));
}

}  // namespace
}  // namespace hamster::objects
