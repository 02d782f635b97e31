#include "meta/stamp_clock.h"

#include <gtest/gtest.h>

namespace hamster::meta {
namespace {

constexpr std::uint64_t kYear = 365ULL * 24 * 3600 * 1000;
constexpr std::uint64_t kNow = 57 * kYear;
constexpr std::int64_t kMs = 1000;

TEST(StampClock, ShowsNothingBeforeAStamp) {
    const StampClock clock;
    EXPECT_EQ(clock.at({5'000'000}), 0U);
    EXPECT_EQ(clock.last(), 0U);
}

TEST(StampClock, GoesOnFromTheHighestStampSlowerThanTime) {
    StampClock clock;
    clock.note(kNow, {1'000 * kMs});
    EXPECT_EQ(clock.at({1'000 * kMs}), kNow);
    EXPECT_EQ(clock.at({9'000 * kMs}), kNow + 7'000);
    clock.note(kNow - kYear, {9'000 * kMs});
    EXPECT_EQ(clock.at({9'000 * kMs}), kNow + 7'000) << "an older stamp changes nothing";
    EXPECT_EQ(clock.last(), kNow);
    EXPECT_EQ(clock.at({500 * kMs}), kNow) << "never before the last one";
}

// The fractions of a millisecond add up.
TEST(StampClock, ManyStampsDoNotHoldItUp) {
    StampClock clock;
    clock.note(kNow, {0});
    for (std::int64_t us = 0; us <= 8'000'000; us += 100) clock.note(clock.at({us}), {us});
    EXPECT_EQ(clock.at({8'000'000}), kNow + 7'000);
}

TEST(StampClock, AHigherStampTakesItAlong) {
    StampClock clock;
    clock.note(kNow, {0});
    clock.note(kNow + kYear, {8'000 * kMs});
    EXPECT_EQ(clock.at({8'000 * kMs}), kNow + kYear);
    EXPECT_EQ(clock.at({16'000 * kMs}), kNow + kYear + 7'000);
}

TEST(StampClock, StopsAtTheLastMillisecondThereIs) {
    StampClock clock;
    clock.note(StampClock::kMaxMs, {0});
    EXPECT_EQ(clock.at({3'600'000 * kMs}), StampClock::kMaxMs);
}

}  // namespace
}  // namespace hamster::meta
