#include "placement/score.h"

#include <gtest/gtest.h>

#include "base/property_test.h"
#include "placement/scene.h"

namespace hamster::placement {
namespace {

using namespace testing;

constexpr std::uint64_t kOne = std::uint64_t{1} << 24U;

TEST(Score, Logarithm) {
    EXPECT_EQ(negative_log2(0), 64 * kOne);
    EXPECT_EQ(negative_log2(1), 64 * kOne);
    EXPECT_EQ(negative_log2(std::uint64_t{1} << 63U), kOne);
    EXPECT_EQ(negative_log2(std::uint64_t{1} << 10U), 54 * kOne);
    EXPECT_EQ(negative_log2(UINT64_MAX), 1U);
    // -log2(3/4) = 0.41503749927884...
    EXPECT_NEAR(static_cast<std::int64_t>(negative_log2(std::uint64_t{3} << 62U)), 6'962'974, 16);
    // -log2(0.7) = 0.51457317282975...
    EXPECT_NEAR(static_cast<std::int64_t>(negative_log2(UINT64_MAX / 10 * 7)), 8'633'105, 16);
}

TEST(ScoreProperty, TheLogarithmFalls) {
    base::expect_property([](std::uint64_t one, std::uint64_t other) {
        RC_ASSERT(negative_log2(std::min(one, other)) >= negative_log2(std::max(one, other)));
    });
}

// The costs of a hundred nodes with weights 1 to 4 in each partition: who has the lowest?
TEST(Score, TheLowestCostFollowsTheWeights) {
    std::vector<std::uint32_t> won(5);
    for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
        Cost lowest = UINT64_MAX;
        std::uint64_t winner = 0;
        for (std::uint64_t number = 0; number < 100; ++number) {
            const std::uint64_t weight = number % 4 + 1;
            const Cost cost = rendezvous_cost(id(number), partition, weight << 20U);
            if (cost < lowest) {
                lowest = cost;
                winner = weight;
            }
        }
        ++won[winner];
    }
    // Four standard deviations are at most 125.
    for (std::uint32_t weight = 1; weight <= 4; ++weight) {
        EXPECT_NEAR(won[weight], 4096 * weight / 10, 125) << weight;
    }
}

TEST(ScoreDeathTest, WeightsHaveARange) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH((void)rendezvous_cost(id(1), 0, 0), "weight");
    EXPECT_DEATH((void)rendezvous_cost(id(1), 0, (std::uint64_t{1} << kWeightBits) + 1), "weight");
}

}  // namespace
}  // namespace hamster::placement
