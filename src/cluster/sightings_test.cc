#include "cluster/sightings.h"

#include <gtest/gtest.h>

namespace hamster::cluster {
namespace {

using Source = Sightings::Source;
const NodeId kNode = *NodeId::from_bytes(std::string(16, 'a'));
const NodeId kOther = *NodeId::from_bytes(std::string(16, 'b'));

TEST(Sightings, TheNewestWordOfTheNodeItselfCounts) {
    Sightings sightings;
    EXPECT_EQ(sightings.choose(kNode, "known"), "known");
    sightings.hear(kNode, "1", Source::kItself);
    sightings.hear(kNode, "2", Source::kItself);
    EXPECT_EQ(sightings.choose(kOther, "other"), "other");
    EXPECT_EQ(sightings.choose(kNode, "known"), "2");
}

TEST(Sightings, OthersDoNotOverruleTheNode) {
    Sightings sightings;
    sightings.hear(kNode, "1", Source::kOthers);
    sightings.hear(kNode, "2", Source::kOthers);
    EXPECT_EQ(sightings.choose(kNode, ""), "2");
    sightings.hear(kNode, "3", Source::kItself);
    sightings.hear(kNode, "4", Source::kOthers);
    EXPECT_EQ(sightings.word_of(kNode), "3");
    EXPECT_EQ(sightings.choose(kNode, ""), "3");
    sightings.hear(kNode, "5", Source::kOthers);  // its word was tried
    EXPECT_EQ(sightings.word_of(kNode), "");
    EXPECT_EQ(sightings.choose(kNode, ""), "5");
}

TEST(Sightings, SomethingWrongThatIsHeardAgainAndAgainLeavesRoomForWhatIsKnown) {
    Sightings sightings;
    std::string tried;
    for (int i = 0; i < 4; ++i) {
        sightings.hear(kNode, "wrong", Source::kOthers);
        tried += sightings.choose(kNode, "known") + " ";
    }
    EXPECT_EQ(tried, "wrong known wrong known ");
}

TEST(Sightings, WhatWasHeardIsTriedOnce) {
    Sightings sightings;
    sightings.hear(kNode, "1", Source::kItself);
    EXPECT_EQ(sightings.choose(kNode, "known"), "1");
    EXPECT_EQ(sightings.choose(kNode, "known"), "known");
    EXPECT_EQ(sightings.choose(kNode, "known"), "known");
    EXPECT_EQ(sightings.choose(kNode, ""), "");
}

TEST(Sightings, NoAddressAndATooLongOneAreIgnored) {
    Sightings sightings;
    sightings.hear(kNode, "", Source::kItself);
    sightings.hear(kNode, std::string(Sightings::kMaxAddressBytes + 1, 'x'), Source::kItself);
    EXPECT_EQ(sightings.choose(kNode, "known"), "known");
    sightings.hear(kNode, std::string(Sightings::kMaxAddressBytes, 'x'), Source::kItself);
    EXPECT_EQ(sightings.choose(kNode, "known").size(), Sightings::kMaxAddressBytes);
}

}  // namespace
}  // namespace hamster::cluster
