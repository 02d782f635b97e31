// Nodes lose disks, bits and each other, slots move, and all the while clients write, read and
// delete: as long as no more fails at once than there is parity, every read gets what was written
// last, and afterwards everything is where it belongs.
#include <gtest/gtest.h>

#include <map>

#include "objects/reconcile_scene.h"

namespace hamster::objects {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): its own scene

constexpr std::uint64_t kShortGraceMs = 20'000;
constexpr std::uint64_t kKeys = 12;
constexpr int kRounds = 4;
constexpr std::uint64_t kSeeds = 2;

enum class Fault : std::uint8_t { kLostDisk, kRot, kDown, kKinds };

// One client, so that it is known what a read must get.
class Life {
  public:
    Life(SimCluster* cluster, std::uint32_t k, std::uint32_t m)
        : cluster_(cluster), k_(k), m_(m), random_(cluster->node(1)->world->random) {
        for (std::uint64_t number = 1; number <= k + m; ++number) layout_.push_back(number);
    }

    Task<void> run() {
        co_await cluster_->lay(k_, m_, layout_);
        for (int i = 0; i < 10; ++i) co_await act();
        co_await heal();
        for (int round = 0; round < kRounds && !::testing::Test::HasFailure(); ++round) {
            const bool is_struck = co_await disturb();
            runtime::Gate gate;
            const runtime::Executor& executor = cluster_->node(1)->world->executor;
            for (const auto& node : cluster_->nodes) {
                if (is_down(node.get())) continue;
                runtime::spawn(executor, gate, "reconcile", reconcile_on(node.get()));
            }
            for (int i = 0; i < 8; ++i) co_await act();
            // Two moves may put two shards of a blob on one node for a while.
            if (!is_struck) co_await move();
            for (int i = 0; i < 8; ++i) co_await act();
            co_await gate.close();
            co_await read_all();
            co_await collect_all(cluster_, kShortGraceMs);  // while nodes are down still
            co_await read_all();
            co_await heal();
        }
        EXPECT_GT(reads_, 50);
    }

  private:
    struct Written {
        std::uint64_t seed = 0;
        std::uint64_t size = 0;
    };

    [[nodiscard]] bool is_down(SimNode* node) const {
        return cluster_->network.down.contains(node->options.self);
    }
    [[nodiscard]] SimNode* any_node() {
        while (true) {
            SimNode* const node = cluster_->node(1 + random_.below(cluster_->nodes.size()));
            if (!is_down(node)) return node;
        }
    }

    // One thing that a client does, in the midst of what the nodes do.
    Task<void> act() {
        const std::string key = "key" + std::to_string(random_.below(kKeys));
        switch (random_.below(5)) {
            case 0:
                co_await cluster_->sleep_ms(random_.below(100));
                break;
            case 1:
                written_.erase(key);
                co_await erase_on(any_node(), key);
                break;
            case 2:
                co_await read(key);
                break;
            default:
                co_await write(key);
        }
    }

    // As long as nobody knows that a node is down, a body that needs it is refused.
    Task<void> write(std::string key) {
        const bool is_small = random_.below(2) == 0;
        const Written what{++seeds_, 1 + random_.below(is_small ? 200'000 : 3'000'000)};
        auto put = co_await put_on(any_node(), key, what.seed, what.size);
        const bool may_fail = cluster_->network.down.size() > cluster_->network.doubted.size();
        EXPECT_TRUE(put || (may_fail && put.error().code == Code::kUnavailable))
            << put.error().context;
        if (put) written_[key] = what;
    }

    Task<void> read(std::string key) {
        auto text = co_await get_on(any_node(), key);
        const auto found = written_.find(key);
        if (found == written_.end()) {
            EXPECT_TRUE(!text && text.error().code == Code::kNotFound) << key;
            co_return;
        }
        ++reads_;
        EXPECT_TRUE(text.has_value()) << key << ": " << text.error().context;
        const Written what = found->second;
        if (text) EXPECT_TRUE(*text == pattern_text(what.seed, {0, what.size})) << key;
    }
    Task<void> read_all() {
        for (std::uint64_t i = 0; i < kKeys; ++i) co_await read("key" + std::to_string(i));
    }

    // At most as many nodes fail as there is parity; true if any does. Slots move as well.
    Task<bool> disturb() {
        cluster_->network.delay = [this](const Traffic&) {
            return runtime::Micros(static_cast<std::int64_t>(random_.below(20'000)));
        };
        const bool moves = random_.below(2) == 0;
        if (moves) co_await move();
        std::set<std::uint64_t> struck;
        const std::uint64_t wanted = random_.below(m_ + 1);
        while (struck.size() < wanted) struck.insert(1 + random_.below(cluster_->nodes.size()));
        for (const std::uint64_t number : struck) {
            switch (static_cast<Fault>(random_.below(static_cast<std::uint64_t>(Fault::kKinds)))) {
                case Fault::kLostDisk:
                    co_await empty_disk(cluster_->node(number));
                    break;
                case Fault::kRot:
                    co_await rot(number);
                    break;
                default:
                    cluster_->network.down.insert(node_id(number));
                    if (random_.below(2) == 0) cluster_->network.doubted.insert(node_id(number));
            }
        }
        co_return !struck.empty();
    }

    // Another node takes the place of one that has slots, in all partitions.
    Task<void> move() {
        std::vector<std::uint64_t> idle;
        for (std::uint64_t number = 1; number <= cluster_->nodes.size(); ++number) {
            if (std::ranges::find(layout_, number) == layout_.end()) idle.push_back(number);
        }
        layout_[random_.below(layout_.size())] = idle[random_.below(idle.size())];
        co_await cluster_->lay(k_, m_, layout_);
    }

    // A slice of each shard of a node.
    Task<void> rot(std::uint64_t number) {
        for (const auto& shard : *cluster_->node(number)->shards->list(std::nullopt, SIZE_MAX)) {
            const auto stripe = static_cast<std::uint32_t>(random_.below(shard.slices));
            co_await damage(cluster_, number, shard.id, stripe);
        }
    }

    // All nodes are back, and have the time that it takes. Damage is found by reads of all shards,
    // as a scrub would.
    Task<void> heal() {
        cluster_->network.forget();
        co_await note_damage();
        co_await collect_all(cluster_, kShortGraceMs);
        // What a node was asked for, by repair as well, counts as read for up to two minutes.
        co_await cluster_->sleep_ms(60'000);
        co_await collect_all(cluster_, kShortGraceMs);
        co_await expect_sound(cluster_);
        EXPECT_EQ(view_of(cluster_).layout()->unsettled(), 0U);
        EXPECT_EQ(view_of(cluster_).garbage(std::nullopt, 1000)->size(), 0U);
        EXPECT_EQ(view_of(cluster_).degraded(std::nullopt, 1000)->size(), 0U);
        EXPECT_EQ(cluster_->metric("hamster_shards_beyond_repair"), 0U);
        co_await read_all();
    }
    Task<void> note_damage() {
        for (const auto& node : cluster_->nodes) {
            for (const auto& shard : *node->shards->list(std::nullopt, SIZE_MAX)) {
                for (std::uint32_t stripe = 0; stripe < shard.slices; ++stripe) {
                    const std::string question = encode_read({shard.id, stripe});
                    (void)co_await runtime::run_on(
                        node->world->executor,
                        node->objects->serve(node_id(1), RemoteMethod::kReadSlice, question));
                }
            }
        }
    }

    SimCluster* cluster_;
    const std::uint32_t k_;
    const std::uint32_t m_;
    runtime::Random& random_;
    std::vector<std::uint64_t> layout_;
    std::map<std::string, Written> written_;
    std::uint64_t seeds_ = 0;
    int reads_ = 0;
};

Task<void> three_of_five(SimCluster* cluster) {
    Life life(cluster, 2, 1);
    co_await life.run();
}
TEST(ReconcileRandom, NothingIsLostWithOneParity) {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        SCOPED_TRACE(seed);
        run_scene({.nodes = 5, .seed = seed, .grace_ms = kShortGraceMs}, three_of_five);
    }
}

Task<void> five_of_seven(SimCluster* cluster) {
    Life life(cluster, 3, 2);
    co_await life.run();
}
TEST(ReconcileRandom, NothingIsLostWithTwoParities) {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        SCOPED_TRACE(seed);
        run_scene({.nodes = 7, .seed = seed, .grace_ms = kShortGraceMs}, five_of_seven);
    }
}

}  // namespace
}  // namespace hamster::objects
