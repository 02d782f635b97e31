#include "placement/table.h"

#include <gtest/gtest.h>

#include "placement/encoding.h"
#include "placement/movement.h"
#include "placement/scene.h"
#include "placement/tolerance.h"

namespace hamster::placement {
namespace {

using namespace testing;

// Every partition on these nodes, in this order; 0 is nobody.
Table uniform(std::initializer_list<std::uint64_t> numbers) {
    Table table = Table::of_width(static_cast<std::uint32_t>(numbers.size()));
    for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
        std::uint8_t slot = 0;
        for (const std::uint64_t number : numbers) {
            if (number != 0) table.set({partition, slot}, id(number));
            ++slot;
        }
    }
    return table;
}

TEST(Table, PlacesAndSlots) {
    Table table = Table::of_width(3);
    table.set({9, 1}, id(4));
    EXPECT_EQ(table.at({9, 1}), id(4));
    EXPECT_EQ(table.slot_of(9, id(4)), 1);
    EXPECT_EQ(table.slot_of(8, id(4)), std::nullopt);
    EXPECT_EQ(table.of(9).size(), 3U);
    EXPECT_TRUE(table.of(9)[0].is_zero());
    EXPECT_EQ(flaw_of(table), std::nullopt);
    EXPECT_EQ(flaw_of(Table{}), std::nullopt);
}

TEST(Table, Flaws) {
    Table table = uniform({1, 2, 3});
    table.set({4095, 2}, id(1));
    EXPECT_EQ(flaw_of(table), "node " + id(1).hex() + " is twice in partition 4095");
    table = uniform({0, 0});  // nobody may be there more than once
    EXPECT_EQ(flaw_of(table), std::nullopt);
    table.nodes.pop_back();
    EXPECT_EQ(flaw_of(table), "8191 places for a width of 2");
    table.width = 17;
    EXPECT_EQ(flaw_of(table), "a width of 17");
}

TEST(Table, Replace) {
    EXPECT_EQ(*replace(uniform({1, 2, 3}), id(2), id(9)), uniform({1, 9, 3}));
    EXPECT_EQ(*replace(uniform({1, 2, 3}), id(8), id(9)), uniform({1, 2, 3}));
    const auto refused = replace(uniform({1, 2, 3}), id(2), id(3));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::kPrecondition);
    // It may be elsewhere.
    Table table = uniform({1, 2, 0});
    table.set({5, 1}, id(3));
    EXPECT_TRUE(replace(table, id(2), id(3)).has_value());
}

TEST(Movement, CountsPlacesThatGoToSomebodyElse) {
    EXPECT_EQ(movement(uniform({1, 2}), uniform({1, 2})), Movement{});
    Table to = uniform({1, 2});
    to.set({3, 0}, id(7));
    to.set({3, 1}, id(8));
    to.set({4, 0}, id(2));  // slots swapped: both move
    to.set({4, 1}, id(1));
    EXPECT_EQ(movement(uniform({1, 2}), to),
              (Movement{{{id(1), 1, 2}, {id(2), 1, 2}, {id(7), 1, 0}, {id(8), 1, 0}}, 4, 2}));
    EXPECT_EQ(movement(uniform({1, 2}), uniform({1, 2, 3})),
              (Movement{{{id(3), 4096, 0}}, 4096, 4096}));
    EXPECT_EQ(movement(uniform({1, 2}), uniform({1})), (Movement{{{id(2), 0, 4096}}, 0, 0}));
    EXPECT_EQ(movement(Table{}, uniform({5})), (Movement{{{id(5), 4096, 0}}, 4096, 4096}));
}

TEST(Movement, TheLeast) {
    EXPECT_EQ(least_movement(uniform({1, 2}), equal_nodes(2), 2), 0U);
    EXPECT_EQ(least_movement(uniform({1, 2}), equal_nodes(4), 2), 4096U);
    EXPECT_EQ(least_movement(uniform({1, 2}), equal_nodes(3), 2), 2730U);  // of 2730.67
    EXPECT_EQ(least_movement(uniform({1, 2}), equal_nodes(3), 3), 4096U);
    EXPECT_EQ(least_movement(uniform({1, 2, 3}), equal_nodes(3), 2), 2730U);
    EXPECT_EQ(least_movement(Table{}, equal_nodes(3), 2), 8192U);
    EXPECT_EQ(least_movement(uniform({1, 2}), equal_nodes(1), 2), 0U);
}

TEST(Tolerance, TheWorstPartitionCounts) {
    const std::vector<Node> nodes{node(1, "a", "h1"), node(2, "a", "h2"), node(3, "b", "h3"),
                                  node(4, "b", "h3"), node(5, "c"),       node(6, "c")};
    const Table table = uniform({1, 2, 3, 4, 5, 6});
    EXPECT_EQ(tolerance(table, nodes, 4, 2), (Tolerance{1, 1, 2}));
    EXPECT_EQ(tolerance(table, nodes, 5, 1), (Tolerance{0, 0, 1}));
    EXPECT_EQ(tolerance(table, nodes, 3, 3), (Tolerance{1, 2, 3}));
    EXPECT_EQ(tolerance(table, nodes, 1, 2), (Tolerance{1, 2, 2}));  // slots 0, 1, 2 only
    EXPECT_EQ(tolerance(table, nodes, 1, 0), Tolerance{});
    const Table spread = uniform({1, 3, 5, 2, 4, 6});
    EXPECT_EQ(tolerance(spread, nodes, 2, 1), (Tolerance{1, 1, 1}));
    Table one_worse = spread;
    one_worse.set({77, 1}, id(2));  // a: slots 0 and 1
    one_worse.set({77, 3}, id(3));
    EXPECT_EQ(tolerance(one_worse, nodes, 2, 1), (Tolerance{0, 1, 1}));
    EXPECT_EQ(tolerance(table, nodes, 2, 1), (Tolerance{0, 1, 1}));  // a: slots 0 and 1
}

TEST(Tolerance, WhoIsNotThereIsLost) {
    std::vector<Node> nodes = equal_nodes(6);
    const Table table = uniform({1, 2, 3, 4, 5, 6});
    EXPECT_EQ(tolerance(table, nodes, 4, 2), (Tolerance{0, 2, 2}));  // no zones: all in one
    nodes.pop_back();
    EXPECT_EQ(tolerance(table, nodes, 4, 2), (Tolerance{0, 1, 1}));
    nodes.pop_back();
    EXPECT_EQ(tolerance(table, nodes, 4, 2), Tolerance{});
    nodes.pop_back();
    EXPECT_EQ(tolerance(table, nodes, 4, 2), Tolerance{});
    EXPECT_EQ(tolerance(uniform({1, 0, 3}), equal_nodes(3), 2, 1), Tolerance{});
}

TEST(TableDeathTest, Misuse) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const Table table = uniform({1, 2});
    EXPECT_DEATH((void)table.of(kPartitions), "partition < .*partitions");
    EXPECT_DEATH((void)table.at({0, 2}), "place.slot < width");
    EXPECT_DEATH((void)Table::of_width(17), "kMaxWidth");
    EXPECT_DEATH(drop(replace(table, id(1), id(1))), "old != by");
    EXPECT_DEATH(drop(tolerance(table, equal_nodes(2), 2, 1)), "table.width");
    EXPECT_DEATH(drop(tolerance(table, equal_nodes(2), 0, 1)), "k >= 1");
    Table flawed = table;
    flawed.set({1, 0}, id(2));
    EXPECT_DEATH((void)encode(flawed), "twice in partition 1");
}

}  // namespace
}  // namespace hamster::placement
