#include "cluster/layout_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/layout_keeper.h"
#include "meta/testing_layout.h"
#include "objects/shard_write.h"

namespace hamster::cluster {
namespace {

using namespace meta::testing;
using ::testing::HasSubstr;

constexpr std::uint32_t kAll = base::kPartitions;
constexpr std::uint64_t kLarge = objects::kSmallBlobBytes + 1;

class LayoutFactsTest : public LayoutTest {
  protected:
    LayoutRows rows(const std::shared_ptr<const LayoutPlaces>& before = nullptr) {
        auto read = read_layout(replica_.view(), before);
        EXPECT_TRUE(read) << read.error().context;
        if (!read) return {};
        read->live = *live_geometries(replica_.view(), read->geometries, read->profile());
        return *read;
    }
    void put(char name, std::uint64_t size, std::uint32_t k, std::uint32_t m,
             std::uint64_t missing = 0) {
        const auto command = put_object(kBucket, std::string(1, name), id16(name, 1), size);
        ASSERT_EQ(replica_.status(placed(command, k, m, layout().version(), missing)), Answer::OK);
    }
    // All is well with nodes 1 to `count`, which all vote; node 1 leads.
    static Facts well(std::uint64_t count) {
        Facts facts;
        facts.leader = n(1);
        for (std::uint64_t i = 1; i <= count; ++i) {
            facts.members.voters.insert(n(i));
            facts.nodes.push_back({n(i), "n" + std::to_string(i), "z", "host", true, true});
        }
        return facts;
    }
    std::string why_not_drained(std::uint64_t number) {
        const auto plan = plan_drain(rows(), n(number));
        if (plan) return {};
        EXPECT_EQ(plan.error().code, Code::kPrecondition);
        return plan.error().context;
    }
};

TEST_F(LayoutFactsTest, BeforeTheFirstLayoutTheFounderHasEverything) {
    found(2);
    const LayoutRows read = rows();
    EXPECT_EQ(read.founder, n(1));
    EXPECT_EQ(read.places->held, (std::map<NodeId, std::uint32_t>{{n(1), kAll}}));
    EXPECT_EQ(read.profile(), (Profile{1, 0}));
    EXPECT_FALSE(read.is_empty(n(1)));
    EXPECT_TRUE(read.is_empty(n(2)));
    replica_.apply(on_node(put_object(kBucket, "k", kBlob1, 3), 2));
    EXPECT_FALSE(rows().is_empty(n(2)));
    EXPECT_EQ(rows().blobs.at(n(2)), 1U);
}

TEST_F(LayoutFactsTest, SlotsAndWhatIsOwedAreCounted) {
    found(3);
    lay(1, 1, {1, 2});
    LayoutRows read = rows();
    EXPECT_EQ(read.places->held, (std::map<NodeId, std::uint32_t>{{n(1), kAll}, {n(2), kAll}}));
    EXPECT_EQ(read.places->moving, 0U);
    const auto places = read.places;
    EXPECT_EQ(rows(places).places, places);  // not read again
    lay(1, 1, {3, 2});
    read = rows(places);
    EXPECT_EQ(read.places->held, (std::map<NodeId, std::uint32_t>{{n(3), kAll}, {n(2), kAll}}));
    EXPECT_EQ(read.places->owed, (std::map<NodeId, std::uint32_t>{{n(1), kAll}}));
    EXPECT_EQ(read.places->moving, kAll);
    EXPECT_FALSE(read.is_empty(n(1)));
    replica_.apply(settle_slot(7, 0, 3, 2));
    EXPECT_EQ(rows(read.places).places->moving, kAll - 1);
    replica_.apply(settle_all(0, 3, 2));
    EXPECT_TRUE(rows(read.places).is_empty(n(1)));
}

TEST_F(LayoutFactsTest, TheFactsAreThoseOfTheRowsAndOfWhatIsSeen) {
    found(3);
    lay(2, 1, {1, 2, 3});
    lay(1, 1, {1, 2, 3});
    put('a', kLarge, 2, 1);
    replica_.apply(set_profile("1+1"));
    replica_.apply(set_leaving(3));
    Facts seen = well(3);
    seen.nodes[1].caught_up = false;
    seen.members.voters.erase(n(3));
    const auto facts = layout_facts(rows(), seen, false);
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->version, 2U);
    EXPECT_EQ(facts->profile, (Profile{1, 1}));
    EXPECT_EQ(facts->pinned, (Profile{1, 1}));
    EXPECT_EQ(facts->widest, 3U);
    EXPECT_TRUE(facts->is_settled);
    EXPECT_FALSE(facts->reencode);
    ASSERT_EQ(facts->nodes.size(), 3U);
    EXPECT_TRUE(facts->nodes[0].ready);
    EXPECT_FALSE(facts->nodes[1].ready);
    EXPECT_TRUE(facts->nodes[1].votes);
    EXPECT_TRUE(facts->nodes[2].leaving);
    EXPECT_FALSE(facts->nodes[2].votes);
    EXPECT_EQ(facts->nodes[2].capacity_bytes, 3000U);
}

TEST_F(LayoutFactsTest, ALeavingNodeThatIsASourceIsOne) {
    found(3);
    lay(1, 1, {1, 2});
    replica_.apply(set_leaving(2));
    EXPECT_TRUE(layout_facts(rows(), well(3), false)->sources.empty());
    lay(1, 1, {1, 3});
    const auto facts = layout_facts(rows(), well(3), false);
    EXPECT_EQ(facts->sources, (std::set<NodeId>{n(2)}));
    EXPECT_FALSE(facts->is_settled);
}

TEST_F(LayoutFactsTest, WhatIsLeftToBeReencodedIsCountedByBlob) {
    found(3);
    lay(2, 1, {1, 2, 3});
    put('a', kLarge, 2, 1);
    put('b', kLarge, 1, 1);  // as small ones are, but it is none
    put('c', 10, 1, 1);
    put('d', 20, 1, 0);
    put('e', 30, 1, 0);
    replica_.apply(delete_object(kBucket, "e"));  // garbage
    EXPECT_EQ(*reencode_left(replica_.view(), {2, 1}), (ReencodeLeft{2, kLarge + 20}));
    EXPECT_EQ(*reencode_left(replica_.view(), {1, 1}), (ReencodeLeft{2, kLarge + 20}));
    EXPECT_EQ(*reencode_left(replica_.view(), {1, 0}), (ReencodeLeft{3, 2 * kLarge + 10}));
}

TEST_F(LayoutFactsTest, GarbageCountsForTheWidthOnly) {
    found(3);
    lay(2, 1, {1, 2, 3});
    put('a', kLarge, 2, 1);
    lay(1, 1, {1, 2, 3});
    put('b', kLarge, 2, 1);
    replica_.apply(delete_object(kBucket, "b"));
    ASSERT_EQ(rows().live.size(), 1U);
    EXPECT_EQ(rows().live[0].count.blobs(), 1U);
    EXPECT_EQ(rows().live[0].count.bytes(), kLarge);
    replica_.apply(delete_object(kBucket, "a"));
    EXPECT_TRUE(rows().live.empty());
    EXPECT_EQ(rows().widest(), 3U);
}

TEST_F(LayoutFactsTest, ADrainWithinTheProfileAsksNothing) {
    found(4);
    lay(2, 1, {1, 2, 3});
    put('a', kLarge, 2, 1);
    const auto plan = plan_drain(rows(), n(4));
    ASSERT_TRUE(plan);
    EXPECT_FALSE(plan->must_ask());
    EXPECT_EQ(plan->nodes, 3U);
}

TEST_F(LayoutFactsTest, ADrainAcrossABoundaryAsks) {
    found(3);
    lay(2, 1, {1, 2, 3});
    auto plan = plan_drain(rows(), n(3));
    ASSERT_TRUE(plan);
    EXPECT_TRUE(plan->must_ask());
    EXPECT_EQ(plan->from, (Profile{2, 1}));
    EXPECT_EQ(plan->to, (Profile{1, 1}));
    EXPECT_EQ(plan->bytes, 0U);
    put('a', kLarge, 2, 1);
    put('c', 10, 1, 1);
    EXPECT_EQ(plan_drain(rows(), n(3))->bytes, kLarge);
    replica_.apply(set_leaving(3));
    plan = plan_drain(rows(), n(3));  // again
    EXPECT_TRUE(plan->is_leaving);
    EXPECT_FALSE(plan->must_ask());
    EXPECT_EQ(plan->nodes, 2U);
}

TEST_F(LayoutFactsTest, SomeDrainsCannotBe) {
    found(3);
    lay(2, 1, {1, 2, 3});
    replica_.apply(set_profile("2+1"));
    EXPECT_THAT(why_not_drained(3), HasSubstr("too few for the chosen profile 2+1"));
    replica_.apply(set_profile(""));
    replica_.apply(set_leaving(2));
    replica_.apply(set_leaving(3));
    EXPECT_THAT(why_not_drained(1), HasSubstr("no node would be left"));
    EXPECT_EQ(plan_drain(rows(), n(9)).error().code, Code::kNotFound);
}

TEST_F(LayoutFactsTest, WhoMayStop) {
    found(3);
    EXPECT_EQ(why_missed(rows(), n(2)), "the first layout is about to be made");
    lay(2, 1, {1, 2, 3});
    EXPECT_EQ(why_missed(rows(), n(2)), "");
    put('a', 10, 1, 2, 0b100);
    EXPECT_EQ(why_missed(rows(), n(2)), "objects lack shards, which are being rebuilt");
    replica_.apply(fill_slot_of(id16('a', 1), 2, 3, 1));
    EXPECT_EQ(why_missed(rows(), n(2)), "");
    put('d', 20, 1, 0);
    EXPECT_THAT(why_missed(rows(), n(2)), HasSubstr("1 blobs have no redundancy"));
    lay(2, 1, {1, 3, 2});
    EXPECT_THAT(why_missed(rows(), n(2)), HasSubstr("8192 slots are not complete yet"));
    admit(node(4));
    EXPECT_EQ(why_missed(rows(), n(4)), "");
}

TEST_F(LayoutFactsTest, WhoMayBeRemoved) {
    found(4);
    lay(2, 1, {1, 2, 3});
    EXPECT_EQ(why_not_removed(rows(), n(4)), "");
    EXPECT_EQ(why_not_removed(rows(), n(3)),
              "n3 holds objects, or has a place for them: `hamster drain n3` first");
    replica_.apply(set_leaving(3));
    EXPECT_THAT(why_not_removed(rows(), n(3)), HasSubstr("4096 of its slots are to be moved"));
    lay(2, 1, {1, 2, 4});
    EXPECT_THAT(why_not_removed(rows(), n(3)), HasSubstr("4096 of its slots are to be moved"));
    replica_.apply(settle_all(2, 4, 2));
    EXPECT_EQ(why_not_removed(rows(), n(3)), "");
}

TEST_F(LayoutFactsTest, WhoMayBeGivenUp) {
    found(4);
    lay(2, 1, {1, 2, 3});
    EXPECT_EQ(why_not_given_up(rows(), n(4)), "");
    EXPECT_THAT(why_not_given_up(rows(), n(3)), HasSubstr("`hamster drain n3` first"));
    EXPECT_EQ(rows().slots_on(n(4)), 0U);
    replica_.apply(set_leaving(3));
    EXPECT_EQ(why_not_given_up(rows(), n(3)), "");
    EXPECT_EQ(rows().slots_on(n(3)), 4096U);
    lay(2, 1, {1, 2, 4});
    EXPECT_EQ(why_not_given_up(rows(), n(3)), "");
    EXPECT_EQ(rows().slots_on(n(3)), 4096U);
    EXPECT_EQ(rows().slots_on(n(4)), 4096U);
}

TEST_F(LayoutFactsTest, ToleranceIsOfWhoIsUp) {
    found(3);
    lay(2, 1, {1, 2, 3});
    EXPECT_EQ(tolerance_of(rows(), {n(1), n(2), n(3)}).nodes, 1U);
    EXPECT_EQ(tolerance_of(rows(), {n(1), n(3)}).nodes, 0U);
}

}  // namespace
}  // namespace hamster::cluster
