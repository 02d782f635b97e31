#include "placement/profile.h"

#include <gtest/gtest.h>

#include <vector>

namespace hamster::placement {
namespace {

TEST(Profile, TheLadder) {
    const std::vector<std::string> expected{"1+0", "1+1", "2+1", "2+1", "3+2", "4+2", "4+2"};
    for (std::size_t nodes = 1; nodes <= expected.size(); ++nodes) {
        EXPECT_EQ(to_string(profile_for(nodes)), expected[nodes - 1]) << nodes;
    }
    EXPECT_EQ(to_string(profile_for(1000)), "4+2");
}

TEST(Profile, SmallCopiesBearTheSameLosses) {
    for (const Profile profile : supported_profiles()) {
        EXPECT_EQ(small_copies(profile), (Profile{1, profile.m}));
        EXPECT_LE(small_copies(profile).width(), profile.width());
    }
}

TEST(Profile, Words) {
    for (const Profile profile : supported_profiles()) {
        EXPECT_TRUE(is_supported(profile));
        EXPECT_EQ(*parse_profile(to_string(profile)), profile);
    }
    EXPECT_FALSE(is_supported({1, 2}));  // small objects have it, but nobody may ask for it
    for (const auto* text : {"", "4", "4+", "+2", "4+2 ", "04+2", "4 + 2", "8+3", "auto", "4-2"}) {
        const auto parsed = parse_profile(text);
        ASSERT_FALSE(parsed.has_value()) << text;
        EXPECT_EQ(parsed.error().code, Code::kInvalid);
    }
    EXPECT_EQ(parse_profile("8+3").error().context,
              "'8+3' is no storage profile: it must be one of 1+0, 1+1, 2+1, 3+2, 4+2");
    EXPECT_LT(parse_profile(std::string(1000, 'x')).error().context.size(), 100U);
}

TEST(Profile, ForPeople) {
    EXPECT_EQ(efficiency_percent({1, 0}), 100U);
    EXPECT_EQ(efficiency_percent({1, 1}), 50U);
    EXPECT_EQ(efficiency_percent({2, 1}), 67U);
    EXPECT_EQ(efficiency_percent({3, 2}), 60U);
    EXPECT_EQ(efficiency_percent({1, 2}), 33U);
    EXPECT_EQ(losses_text({1, 0}), "no node");
    EXPECT_EQ(losses_text({2, 1}), "any 1 node");
    EXPECT_EQ(describe({4, 2}),
              "4+2: 67 % of the capacity is usable; objects survive the loss of any 2 nodes");
}

TEST(ProfileDeathTest, Misuse) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH((void)profile_for(0), "active_nodes >= 1");
    EXPECT_DEATH((void)efficiency_percent({0, 2}), "is_valid");
}

}  // namespace
}  // namespace hamster::placement
