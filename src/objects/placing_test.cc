#include "objects/placing.h"

#include <gtest/gtest.h>

#include <set>

#include "base/encoding.h"
#include "base/partitions.h"

namespace hamster::objects {
namespace {

using Numbers = std::vector<int>;

base::NodeId small_id(int n) {
    base::NodeId id;
    id.raw.fill(static_cast<std::byte>(0xA0 + n));
    return id;
}

// Slot i of partition p is on node (p + i) mod `nodes`.
LayoutTable table_of(erasure::Profile profile, int nodes) {
    std::vector<std::vector<base::NodeId>> partitions(base::partitions());
    for (int p = 0; p < base::partitions(); ++p) {
        for (int slot = 0; slot < static_cast<int>(profile.width()); ++slot) {
            partitions[static_cast<std::size_t>(p)].push_back(small_id((p + slot) % nodes));
        }
    }
    return {7, profile, std::move(partitions)};
}

// Ids of one partition after the other.
struct Dice {
    std::uint16_t next = 0;
    int draws = 0;
    Chooser chooser(std::set<base::NodeId> down) {
        return {[this] {
                    ++draws;
                    base::BlobId id;
                    const unsigned bits = next * (base::kPartitions / base::partitions());
                    id.raw[0] = static_cast<std::byte>(bits >> 4U);
                    id.raw[1] = static_cast<std::byte>(bits << 4U);
                    EXPECT_EQ(base::partition_of(id), next);
                    next = static_cast<std::uint16_t>((next + 1) % base::partitions());
                    return id;
                },
                [down = std::move(down)](base::NodeId node) { return !down.contains(node); }};
    }
};

std::set<base::NodeId> nodes_of(const Numbers& numbers) {
    std::set<base::NodeId> nodes;
    for (const int number : numbers) nodes.insert(small_id(number));
    return nodes;
}

TEST(Placing, TheFirstIdWillDoWhileAllAreUp) {
    const LayoutTable table = table_of({4, 2}, 6);
    Dice dice;
    const auto large = choose(table, false, dice.chooser({}));
    ASSERT_TRUE(large.has_value());
    EXPECT_EQ(large->profile, (erasure::Profile{4, 2}));
    EXPECT_EQ(large->layout_version, 7U);
    EXPECT_EQ(large->missing, 0U);
    EXPECT_EQ(large->nodes, table.nodes_of(0));
    const auto small = choose(table, true, dice.chooser({}));
    ASSERT_TRUE(small.has_value());
    EXPECT_EQ(small->profile, (erasure::Profile{1, 2}));
    EXPECT_EQ(small->nodes, (std::vector{small_id(1), small_id(2), small_id(3)}));
    EXPECT_EQ(dice.draws, 2);
}

TEST(Placing, DrawsUntilAllNodesOfTheSlotsAreUp) {
    const LayoutTable table = table_of({4, 2}, 8);
    Dice dice;
    const auto target = choose(table, false, dice.chooser(nodes_of({0})));
    ASSERT_TRUE(target.has_value());
    EXPECT_EQ(target->missing, 0U);
    EXPECT_EQ(target->nodes.front(), small_id(1)) << "the first partition without node 0";
}

TEST(Placing, TakesTheBestWhenSomeNodeIsEverywhere) {
    const LayoutTable table = table_of({4, 2}, 6);
    Dice dice;
    const auto target = choose(table, false, dice.chooser(nodes_of({2})));
    ASSERT_TRUE(target.has_value());
    EXPECT_EQ(target->profile, (erasure::Profile{4, 2}));
    EXPECT_EQ(target->present(), 5U);
    EXPECT_EQ(target->missing, 4U);
    EXPECT_FALSE(target->has(2));
    EXPECT_EQ(dice.draws, kDraws);
}

TEST(Placing, FallsBackToCopiesBelowTheFloor) {
    for (const erasure::Profile profile : {erasure::Profile{2, 1}, {4, 2}, {3, 2}}) {
        const int nodes = static_cast<int>(profile.width());
        Numbers down;  // one more than the floor allows
        for (std::uint32_t i = 0; i < profile.m; ++i) down.push_back(static_cast<int>(i));
        Dice dice;
        const auto target = choose(table_of(profile, nodes), false, dice.chooser(nodes_of(down)));
        ASSERT_TRUE(target.has_value()) << profile.k << "+" << profile.m;
        EXPECT_EQ(target->profile, (erasure::Profile{1, profile.m}));
        EXPECT_EQ(target->missing, 0U);
        for (const base::NodeId& node : target->nodes) EXPECT_FALSE(nodes_of(down).contains(node));
    }
}

// As with zones of which the nodes of one are down: two nodes share a single partition, by the way.
TEST(Placing, FindsTheOnlyPartitionThatWillDo) {
    std::vector<std::vector<base::NodeId>> partitions(base::partitions(),
                                                      {small_id(0), small_id(2), small_id(1)});
    const auto only = static_cast<std::uint16_t>(base::partitions() - 3);
    partitions[only] = {small_id(3), small_id(2), small_id(0)};
    const LayoutTable table(7, {2, 1}, std::move(partitions));
    for (const bool is_small : {false, true}) {
        Dice dice;
        const auto target = choose(table, is_small, dice.chooser(nodes_of({0, 1})));
        ASSERT_TRUE(target.has_value());
        EXPECT_EQ(target->profile, (erasure::Profile{1, 1}));
        EXPECT_EQ(target->missing, 0U);
        EXPECT_EQ(base::partition_of(target->blob), only);
        EXPECT_EQ(target->nodes, (std::vector{small_id(3), small_id(2)}));
    }
}

TEST(Placing, AnswersNothingWhenTwoCopiesFindNoPlace) {
    Dice dice;
    EXPECT_FALSE(choose(table_of({1, 1}, 2), false, dice.chooser(nodes_of({1}))).has_value());
    EXPECT_FALSE(choose(table_of({2, 1}, 3), true, dice.chooser(nodes_of({0, 1}))).has_value());
    EXPECT_FALSE(choose(table_of({1, 0}, 1), true, dice.chooser(nodes_of({0}))).has_value());
    const auto degraded = choose(table_of({3, 2}, 5), true, dice.chooser(nodes_of({0, 1, 2})));
    ASSERT_TRUE(degraded.has_value()) << "two of three copies";
    EXPECT_EQ(degraded->present(), 2U);
}

TEST(Placing, AloneEverythingIsHere) {
    const LayoutTable table(0, {1, 0}, {{base::NodeId{}}});
    Dice dice;
    const auto target = choose(table, false, dice.chooser({}));
    ASSERT_TRUE(target.has_value());
    EXPECT_EQ(target->nodes, std::vector{base::NodeId{}});
    EXPECT_EQ(dice.draws, 1);
}

TEST(LayoutCache, OneAtATimeLooksAgain) {
    const auto table = [](std::uint64_t version) {
        return std::make_shared<const LayoutTable>(
            version, erasure::Profile{1, 0}, std::vector<std::vector<base::NodeId>>{{small_id(1)}});
    };
    LayoutCache cache;
    const runtime::Time start{1'000'000};
    EXPECT_TRUE(cache.wants_refresh(start));
    EXPECT_TRUE(cache.wants_refresh(start)) << "there is none to be used meanwhile";
    cache.put(table(3), start);
    EXPECT_FALSE(cache.wants_refresh(start));
    EXPECT_TRUE(cache.wants_refresh(start + LayoutCache::kFresh));
    EXPECT_FALSE(cache.wants_refresh(start + LayoutCache::kFresh));
    cache.put(table(2), start + LayoutCache::kFresh);
    EXPECT_EQ(cache.table()->version(), 3U) << "an older one comes too late";
    cache.put(nullptr, start + LayoutCache::kFresh);
    EXPECT_TRUE(cache.wants_refresh(start + LayoutCache::kFresh)) << "it could not be read";
    cache.put(table(4), start + LayoutCache::kFresh);
    cache.age();
    EXPECT_TRUE(cache.wants_refresh(start + LayoutCache::kFresh));
}

// They have places as long as wide blobs are being made narrower. What is new had to move again.
TEST(Placing, NodesThatAreLeavingAreAvoidedWhereThatIsPossible) {
    std::vector<std::vector<base::NodeId>> partitions(base::partitions());
    for (int p = 0; p < base::partitions(); ++p) {
        for (int slot = 0; slot < 3; ++slot) {
            partitions[static_cast<std::size_t>(p)].push_back(small_id((p + slot) % 3));
        }
    }
    const LayoutTable narrower(7, {1, 1}, partitions, {small_id(1)});
    for (const bool is_small : {true, false}) {
        Dice dice;
        for (int i = 0; i < 100; ++i) {
            const auto target = choose(narrower, is_small, dice.chooser({}));
            ASSERT_TRUE(target && target->missing == 0);
            EXPECT_EQ(std::ranges::count(target->nodes, small_id(1)), 0);
        }
    }
    // Rather on a node that is leaving than on one too few.
    Dice dice;
    const auto target = choose(narrower, false, dice.chooser({small_id(2)}));
    ASSERT_TRUE(target);
    EXPECT_EQ(target->missing, 0U);
    const LayoutTable as_wide(7, {2, 1}, partitions, {small_id(1)});
    const auto wide = choose(as_wide, false, dice.chooser({}));
    ASSERT_TRUE(wide);
    EXPECT_EQ(wide->missing, 0U);
}

}  // namespace
}  // namespace hamster::objects
