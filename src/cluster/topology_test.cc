#include "cluster/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/scene.h"

namespace hamster::cluster {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Facts three() { return facts(members({1, 2, 3}), {node(1, "a"), node(2, "b"), node(3, "c")}); }

std::string why_not(const Facts& facts, std::uint64_t number) {
    const auto verdict = can_stop(facts, id(number));
    if (verdict) return {};
    EXPECT_EQ(verdict.error().code, Code::kPrecondition);
    return verdict.error().context;
}

TEST(CanStop, OneOfThreeWhenAllIsWell) {
    EXPECT_TRUE(can_stop(three(), id(1)));
    EXPECT_TRUE(can_stop(three(), id(2)));
    Facts down = three();
    down.nodes[1].reachable = false;
    EXPECT_TRUE(can_stop(down, id(2)));  // it is down anyway
}

TEST(CanStop, NobodyOfOneOrTwo) {
    EXPECT_EQ(why_not(facts(members({1}), {node(1)}), 1),
              "without n1 only 0 of 1 voters are left: writes would stop");
    EXPECT_EQ(why_not(facts(members({1, 2}), {node(1), node(2)}), 2),
              "without n2 only 1 of 2 voters are left: writes would stop");
}

TEST(CanStop, NotWhileAnotherIsDown) {
    Facts some = three();
    some.nodes[2].reachable = false;
    EXPECT_EQ(why_not(some, 2), "without n2 only 1 of 3 voters are left: writes would stop");
    some.nodes.push_back(node(4));
    some.members.learners.insert(id(4));
    some.nodes[2].reachable = true;
    some.nodes[3].reachable = false;
    EXPECT_EQ(why_not(some, 2), "n4 is down");
    EXPECT_TRUE(can_stop(some, id(4)));
}

TEST(CanStop, NotWhileSomethingIsInTheAir) {
    Facts some = three();
    some.nodes[2].caught_up = false;
    EXPECT_EQ(why_not(some, 2), "n3 is still catching up");
    EXPECT_TRUE(can_stop(some, id(3)));
    some = three();
    some.change_pending = true;
    EXPECT_EQ(why_not(some, 2), "a change of the membership is under way");
    some = three();
    some.nodes.push_back(node(4));
    EXPECT_EQ(why_not(some, 2), "a change of the membership is due: n4 is new");
    some = facts(members({1, 2, 3, 4, 5}), {node(2), node(3), node(4), node(5)});
    EXPECT_EQ(why_not(some, 2), "the leader is about to change: the leader was removed");
}

TEST(CanStop, UnknownNode) { EXPECT_EQ(can_stop(three(), id(9)).error().code, Code::kNotFound); }

TEST(TopologyNotes, NothingToSayAboutAGoodCluster) {
    EXPECT_THAT(topology_notes(three()), IsEmpty());
    EXPECT_THAT(topology_notes(facts(members({1, 2, 3}), {node(1), node(2), node(3)})), IsEmpty());
}

TEST(TopologyNotes, SmallClusters) {
    EXPECT_THAT(topology_notes(facts(members({1}), {node(1, "a")})),
                ElementsAre("1 node: losing it stops everything; add two more"));
    EXPECT_THAT(topology_notes(facts(members({1, 2}), {node(1, "a"), node(2, "a")})),
                ElementsAre("2 nodes: losing one stops writes; add a third"));
}

TEST(TopologyNotes, NodesThatAreDown) {
    Facts some = three();
    some.nodes[1].reachable = false;
    EXPECT_THAT(topology_notes(some),
                ElementsAre("2 of 3 voters are up: losing one more stops writes"));
    some.nodes[2].reachable = false;
    EXPECT_THAT(topology_notes(some),
                ElementsAre("only 1 of 3 voters are up: no writes until there are 2"));
}

TEST(TopologyNotes, ZonesAndHostsThatTakeTooMuchWithThem) {
    EXPECT_THAT(
        topology_notes(facts(members({1, 2, 3}), {node(1, "a"), node(2, "a"), node(3, "a")})),
        ElementsAre("all voters are in one zone (a): losing it stops writes"));
    EXPECT_THAT(topology_notes(facts(members({1, 2, 3}),
                                     {node(1, "a", "h"), node(2, "a", "h"), node(3, "b")})),
                ElementsAre("2 of 3 voters are in one zone (a): losing it stops writes",
                            "2 of 3 voters are on one host (h): losing it stops writes",
                            "2 nodes on one host (h): n1, n2"));
    EXPECT_THAT(
        topology_notes(facts(members({1, 2, 3}, {4}),
                             {node(1, "a"), node(2, "b"), node(3, "c", "h"), node(4, "c", "h")})),
        ElementsAre("2 nodes on one host (h): n3, n4"));
}

}  // namespace
}  // namespace hamster::cluster
