#include "cluster/labels.h"

#include <gtest/gtest.h>

namespace hamster::cluster {
namespace {

TEST(Labels, NamesAndZones) {
    EXPECT_EQ(parse_node_name("n1.rack-7_a"), "n1.rack-7_a");
    EXPECT_EQ(parse_node_name(std::string(63, 'n')), std::string(63, 'n'));
    EXPECT_EQ(parse_zone("eu-1"), "eu-1");
    EXPECT_EQ(parse_zone(""), "");
    for (const std::string& bad : {std::string("a b"), std::string("a/b"), std::string("\xC3\xA9"),
                                   std::string(64, 'n'), std::string("a\0b", 3)}) {
        EXPECT_EQ(parse_node_name(bad).error().code, Code::kInvalid) << bad;
        EXPECT_EQ(parse_zone(bad).error().code, Code::kInvalid) << bad;
    }
    EXPECT_EQ(parse_node_name("").error().code, Code::kInvalid);
    EXPECT_EQ(parse_node_name("a b").error().context,
              "'a b' is no name for a node: it must be 1 to 63 letters, digits, '.', '_' or '-'");
    EXPECT_LT(parse_zone(std::string(5000, 'z')).error().context.size(), 200U);
}

TEST(Labels, Listen) {
    for (const std::string_view good : {"127.0.0.1:7946", "10.0.0.5:1", "[::1]:7946"}) {
        EXPECT_EQ(parse_listen(good), std::string(good));
    }
    for (const std::string_view bad :
         {"", "7946", ":7946", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536",
          "0.0.0.0:7946", "[::]:7946", "::1:7946", "localhost:7946", "[127.0.0.1]:7946"}) {
        EXPECT_FALSE(parse_listen(bad)) << bad;
    }
}

TEST(Labels, Capacities) {
    EXPECT_EQ(parse_capacity("500GiB"), 500ULL << 30);
    EXPECT_EQ(parse_capacity("2TB"), 2'000'000'000'000U);
    EXPECT_EQ(parse_capacity("1pib"), 1ULL << 50);
    EXPECT_EQ(parse_capacity("4096"), 4096U);
    EXPECT_EQ(parse_capacity("7b"), 7U);
    EXPECT_EQ(parse_capacity("18446744073709551615"), UINT64_MAX);
    EXPECT_EQ(parse_capacity("16383PiB"), 16383ULL << 50);
    for (const char* bad : {"", "0", "0TB", "GiB", "-1TB", "+1TB", "1.5TB", "1 TB", "1TBs", "1T",
                            "01TB", "16384PiB", "18446744073709551616", "99999999999999999999TB"}) {
        EXPECT_EQ(parse_capacity(bad).error().code, Code::kInvalid) << bad;
    }
    EXPECT_EQ(
        parse_capacity("1.5TB").error().context,
        "'1.5TB' is no capacity: it must be a whole number and a unit, such as 500GiB or 2TB");
}

}  // namespace
}  // namespace hamster::cluster
