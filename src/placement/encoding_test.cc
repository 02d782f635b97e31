#include "placement/encoding.h"

#include <gtest/gtest.h>

#include "base/hash.h"
#include "base/property_test.h"
#include "placement/scene.h"

namespace hamster::placement {
namespace {

using namespace testing;

constexpr std::size_t kNodes = 4;  // where the nodes begin

Table small_table() {
    Table table = Table::of_width(2);
    for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
        table.set({partition, 0}, id(partition % 2 == 0 ? 7 : 300));
    }
    table.set({4095, 1}, id(7));
    return table;
}

Code code_of(const std::string& bytes) {
    const auto table = decode(base::as_bytes(bytes));
    EXPECT_FALSE(table.has_value());
    return table ? Code::kNotFound : table.error().code;
}

std::string changed(std::string bytes, std::size_t at, std::string_view by) {
    bytes.replace(at, by.size(), by);
    return bytes;
}

TEST(Encoding, Golden) {
    const std::string bytes = encode(small_table());
    EXPECT_EQ(base::hex_encode(base::as_bytes(bytes).first(52)),
              "01020002"                          // version, width, two nodes
              "4e4e4e4e4e4e4e4e0000000000000007"  // ascending
              "4e4e4e4e4e4e4e4e000000000000012c"
              "0000ffff"  // partition 0: the first of them, nobody
              "0001ffff"  // partition 1: the second
              "0000ffff"  // ...
              "0001ffff");
    EXPECT_EQ(base::hex_encode(base::as_bytes(bytes).last(8)), "0000ffff00010000");
    EXPECT_EQ(bytes.size(), 4U + 32 + 4096 * 4);
    EXPECT_EQ(*decode(base::as_bytes(bytes)), small_table());
}

TEST(Encoding, NoTable) {
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode(Table{}))), "01000000");
    EXPECT_EQ(*decode(base::as_bytes(encode(Table{}))), Table{});
}

TEST(Encoding, SixSlotsAreSmall) {
    const auto table = compute(nullptr, equal_nodes(100), 6);
    const std::string bytes = encode(*table);
    EXPECT_EQ(bytes.size(), 4U + 100 * 16 + 4096 * 6 * 2);
    EXPECT_EQ(*decode(base::as_bytes(bytes)), *table);
}

TEST(Encoding, EveryCutIsNoticed) {
    const std::string bytes = encode(small_table());
    for (std::size_t size = 0; size < bytes.size(); size += size < 100 ? 1 : 97) {
        EXPECT_EQ(code_of(bytes.substr(0, size)), Code::kCorrupt) << size;
    }
    EXPECT_EQ(code_of(bytes + '\0'), Code::kCorrupt);
}

TEST(Encoding, WhatEncodeNeverWrites) {
    const std::string bytes = encode(small_table());
    EXPECT_EQ(code_of(changed(bytes, 0, std::string_view("\x00", 1))), Code::kCorrupt);
    EXPECT_EQ(code_of(changed(bytes, 0, "\x02")), Code::kUnsupported);
    EXPECT_EQ(code_of(changed(bytes, 1, "\x11")), Code::kCorrupt);  // width 17
    EXPECT_EQ(code_of(changed(bytes, 1, "\x01")), Code::kCorrupt);
    EXPECT_EQ(code_of(changed(bytes, kNodes, std::string(16, '\0'))), Code::kCorrupt);
    const std::string first = bytes.substr(kNodes, 16);
    const std::string second = bytes.substr(kNodes + 16, 16);
    EXPECT_EQ(code_of(changed(bytes, kNodes, second + first)), Code::kCorrupt);
    EXPECT_EQ(code_of(changed(bytes, kNodes, first + first)), Code::kCorrupt);
    const std::size_t places = kNodes + 32;
    EXPECT_EQ(code_of(changed(bytes, places, std::string_view("\0\2", 2))), Code::kCorrupt);
    // The first node in both slots of partition 0.
    EXPECT_EQ(code_of(changed(bytes, places + 2, std::string_view("\0\0", 2))), Code::kCorrupt);
    // A node without a place.
    std::string unused = changed(bytes, 2, std::string_view("\0\3", 2));
    unused.insert(places, id(301).view());
    EXPECT_EQ(code_of(unused), Code::kCorrupt);
}

TEST(EncodingProperty, AnyTableComesBack) {
    base::expect_property([] {
        const auto width = *rc::gen::inRange<std::uint32_t>(0, kMaxWidth + 1);
        const auto count = *rc::gen::inRange<std::uint64_t>(1, 400);
        const auto seed = *rc::gen::arbitrary<std::uint64_t>();
        Table table = Table::of_width(width);
        for (std::uint32_t place = 0; place < table.nodes.size(); ++place) {
            const std::uint64_t draw = base::xxh3_64(base::as_bytes(std::to_string(place)), seed);
            const NodeId node = id(draw % count);
            const auto partition = static_cast<std::uint16_t>(place / width);
            if (draw >> 60U != 0 && !table.slot_of(partition, node)) table.nodes[place] = node;
        }
        const std::string bytes = encode(table);
        RC_ASSERT(bytes.size() <= kMaxEncodedTable);
        RC_ASSERT(*decode(base::as_bytes(bytes)) == table);
    });
}

}  // namespace
}  // namespace hamster::placement
