#include "raft/driver/cluster_clock.h"

#include <gtest/gtest.h>

namespace hamster::raft {
namespace {

constexpr std::uint64_t kNow = 1'800'000'000'000;
constexpr std::uint64_t kTenYears = 10ULL * 365 * 86'400'000;
constexpr std::uint64_t kHour = 3'600'000;

NodeId node_id(std::uint8_t number) {
    NodeId id;
    id.raw.back() = std::byte{number};
    return id;
}

Members voters(std::uint8_t count) {
    Members out;
    for (std::uint8_t n = 1; n <= count; ++n) out.voters.insert(node_id(n));
    return out;
}

// Node 1 asks.
ClusterClock::Asked asked(std::int64_t seconds, std::uint64_t own_ms, std::uint64_t term = 5) {
    return {runtime::Time{seconds * 1'000'000}, own_ms, node_id(1), Term{term}};
}

TEST(ClusterClock, OneWrongClockOfThreeMovesNothing) {
    for (const std::uint64_t wrong : {kNow + kTenYears, kNow - kTenYears}) {
        for (int who = 0; who < 3; ++who) {
            ClusterClock clock;
            clock.heard_follower(Term{5}, node_id(2), who == 1 ? wrong : kNow + 3, {});
            clock.heard_follower(Term{5}, node_id(3), who == 2 ? wrong : kNow + 7, {});
            const auto time = clock.leading(asked(0, who == 0 ? wrong : kNow), voters(3));
            EXPECT_GE(time, kNow);
            EXPECT_LE(time, kNow + 7);
        }
    }
}

TEST(ClusterClock, GoesOnWithTheMonotonicClock) {
    ClusterClock clock;
    clock.heard_follower(Term{5}, node_id(2), kNow + 100, runtime::Time{});
    clock.heard_follower(Term{5}, node_id(3), kNow + 200, runtime::Time{10'000'000});
    // They say kNow + 60.1 s and kNow + 50.2 s by now; the own clock was set back meanwhile.
    EXPECT_EQ(clock.leading(asked(60, kNow - kHour), voters(3)), kNow + 50'200);
    clock.heard_leader(kNow + 500, runtime::Time{60'000'000});
    EXPECT_EQ(clock.following(asked(63, 1)), kNow + 3'500);
}

TEST(ClusterClock, TakesTheLowerOneOfTwo) {
    ClusterClock clock;
    EXPECT_EQ(clock.leading(asked(0, kNow), voters(2)), kNow);  // nothing else is known
    EXPECT_FALSE(clock.is_known(asked(0, kNow), voters(2), true));
    clock.heard_follower(Term{5}, node_id(2), kNow + kHour, {});
    EXPECT_EQ(clock.leading(asked(0, kNow), voters(2)), kNow);
    EXPECT_TRUE(clock.is_known(asked(0, kNow), voters(2), true));
    clock.heard_follower(Term{5}, node_id(2), kNow - kHour, {});
    EXPECT_EQ(clock.leading(asked(0, kNow), voters(2)), kNow - kHour);
    EXPECT_EQ(clock.leading(asked(0, kNow), voters(1)), kNow);  // it votes no more
}

TEST(ClusterClock, ALeaderForgetsWhatItHeardAsAnEarlierOne) {
    ClusterClock clock;
    clock.heard_follower(Term{5}, node_id(2), kNow + 3, {});
    clock.heard_follower(Term{5}, node_id(3), kNow + 7, {});
    clock.heard_leader(kNow + 2, {});  // of term 6
    EXPECT_FALSE(clock.is_known(asked(1, kNow + kTenYears, 7), voters(3), true));
    // Before it has heard a majority it takes the last leader's word, not its own.
    EXPECT_EQ(clock.leading(asked(1, kNow + kTenYears, 7), voters(3)), kNow + 1'002);
    clock.heard_follower(Term{7}, node_id(3), kNow + 1'009, runtime::Time{1'000'000});
    EXPECT_EQ(clock.leading(asked(1, kNow + kTenYears, 7), voters(3)), kNow + 1'009);
    EXPECT_TRUE(clock.is_known(asked(1, kNow + kTenYears, 7), voters(3), true));
}

TEST(ClusterClock, IgnoresWhatCannotBeATime) {
    ClusterClock clock;
    for (const std::uint64_t said : {0UL, 1UL << 48, ~0UL}) {
        clock.heard_leader(said, {});
        clock.heard_follower(Term{5}, node_id(2), said, {});
    }
    EXPECT_EQ(clock.following(asked(9, kNow)), kNow);
    EXPECT_FALSE(clock.is_known(asked(9, kNow), voters(2), false));
    EXPECT_FALSE(clock.is_known(asked(9, kNow), voters(2), true));
    clock.heard_leader((1UL << 48) - 1, {});
    EXPECT_TRUE(clock.is_known(asked(9, kNow), voters(2), false));
}

}  // namespace
}  // namespace hamster::raft
