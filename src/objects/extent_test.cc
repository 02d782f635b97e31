#include "objects/extent.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "objects/budget.h"
#include "objects/pins.h"

namespace hamster::objects {
namespace {

base::BlobId blob_id(int n) {
    base::BlobId id;
    id.raw[15] = static_cast<std::byte>(n);
    return id;
}

std::vector<proto::Part> parts_of(const std::vector<std::uint64_t>& sizes) {
    std::vector<proto::Part> parts;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        proto::Part part;
        part.set_size(sizes[i]);
        if (sizes[i] > 0) part.set_blob_id(std::string(blob_id(static_cast<int>(i)).view()));
        parts.push_back(part);
    }
    return parts;
}

std::shared_ptr<const BlobMap> blob_map(base::BlobId id, std::uint64_t size,
                                        erasure::Profile profile, std::uint32_t slice_bytes) {
    auto blob = std::make_shared<BlobMap>();
    blob->id = id;
    blob->shape = {size, {profile, slice_bytes}};
    return blob;
}

using Address = std::pair<base::BlobId, std::uint64_t>;  // of a byte: its blob, and where in it

// What a read gives out, byte by byte.
void append_read(const StripeRead& read, std::vector<Address>* seen) {
    const Shape& shape = read.blob->shape;
    const std::uint32_t length = shape.slice_length(read.stripe);
    std::optional<std::uint32_t> before;
    for (const SlicePart& part : parts_of(read)) {
        ASSERT_GT(part.take, 0U);
        ASSERT_LE(part.skip + part.take, length);
        ASSERT_LT(part.slot.value, shape.k());
        if (before) ASSERT_EQ(part.slot.value, *before + 1) << "each once, in order";
        before = part.slot.value;
        const std::uint64_t start =
            read.stripe * shape.geometry.stripe_bytes() + std::uint64_t{part.slot.value} * length;
        for (std::uint32_t i = 0; i < part.take; ++i) {
            seen->emplace_back(read.blob->id, start + part.skip + i);
        }
    }
}

// Every range of a small object against a byte-by-byte model.
TEST(Extent, EveryRangeOfSeveralPartsMapsToTheBytesAsked) {
    const std::vector<std::uint64_t> sizes{5, 0, 8, 1, 17};
    const std::uint64_t total = 31;
    const auto parts = parts_of(sizes);
    std::vector<Address> model;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        for (std::uint64_t at = 0; at < sizes[i]; ++at)
            model.emplace_back(blob_id(static_cast<int>(i)), at);
    }
    for (const erasure::Profile profile :
         {erasure::Profile{1, 0}, {1, 2}, {2, 1}, {3, 2}, {4, 2}}) {
        for (std::uint64_t offset = 0; offset < total; ++offset) {
            for (std::uint64_t length = 1; offset + length <= total; ++length) {
                auto extents = map_range(parts, {offset, length});
                ASSERT_TRUE(extents.has_value());
                for (Extent& extent : *extents) {
                    extent.blob = blob_map(extent.named, extent.blob_size, profile, 3);
                }
                StripeCursor cursor(*extents);
                std::vector<Address> seen;
                while (const auto read = cursor.next()) append_read(*read, &seen);
                EXPECT_TRUE(cursor.is_at_end());
                const std::vector<Address> wanted(
                    model.begin() + static_cast<std::ptrdiff_t>(offset),
                    model.begin() + static_cast<std::ptrdiff_t>(offset + length));
                ASSERT_EQ(seen, wanted)
                    << profile.k << "+" << profile.m << " " << offset << "+" << length;
            }
        }
    }
}

TEST(Extent, ARangeTouchesOnlyTheSlicesItNeeds) {
    const auto blob = blob_map(blob_id(1), 100, {4, 2}, 10);
    EXPECT_EQ(parts_of(StripeRead{blob, 0, 10, 10}),
              (std::vector<SlicePart>{{base::Slot{1}, 0, 10}}));
    EXPECT_EQ(parts_of(StripeRead{blob, 1, 9, 2}),
              (std::vector<SlicePart>{{base::Slot{0}, 9, 1}, {base::Slot{1}, 0, 1}}));
    // The last stripe: 20 bytes, in slices of 5.
    EXPECT_EQ(parts_of(StripeRead{blob, 2, 14, 6}),
              (std::vector<SlicePart>{{base::Slot{2}, 4, 1}, {base::Slot{3}, 0, 5}}));
}

TEST(Extent, RefusesRangesOutsideTheObject) {
    const auto parts = parts_of({5, 8});
    EXPECT_EQ(map_range(parts, {13, 1}).error().code, Code::kInvalid);
    EXPECT_EQ(map_range(parts, {0, 14}).error().code, Code::kInvalid);
    EXPECT_EQ(map_range(parts, {UINT64_MAX, 2}).error().code, Code::kInvalid);
    EXPECT_EQ(map_range({}, {0, 1}).error().code, Code::kInvalid);
}

TEST(Extent, APartWithDataAndNoBlobIsCorrupt) {
    auto parts = parts_of({5});
    parts[0].clear_blob_id();
    EXPECT_EQ(map_range(parts, {0, 5}).error().code, Code::kCorrupt);
}

TEST(MemoryBudget, RefusesBeyondItsLimitAndTakesBackWhatALeaseHeld) {
    auto budget = std::make_shared<MemoryBudget>(100);
    {
        Lease first(budget);
        EXPECT_TRUE(first.grow_to(60));
        Lease second(budget);
        EXPECT_FALSE(second.grow_to(41));
        EXPECT_EQ(second.bytes(), 0U);
        EXPECT_TRUE(second.grow_to(40));
        EXPECT_FALSE(first.grow_to(61));
        second.shrink_to(10);
        Lease moved(std::move(first));
        EXPECT_TRUE(moved.grow_to(90));
        EXPECT_EQ(budget->used(), 100U);
    }
    EXPECT_EQ(budget->used(), 0U);
}

TEST(MemoryBudget, WhatWidensLeavesHalfToThoseThatCome) {
    const auto budget = std::make_shared<MemoryBudget>(100);
    Lease body(budget);
    EXPECT_TRUE(body.grow_to(10));
    EXPECT_TRUE(body.widen_to(50));
    EXPECT_FALSE(body.widen_to(51));
    EXPECT_EQ(body.bytes(), 50U);
    Lease next(budget);
    EXPECT_TRUE(next.grow_to(50));
    EXPECT_FALSE(next.widen_to(51));
    EXPECT_TRUE(body.widen_to(50)) << "it has that much";
}

TEST(PinTable, ABlobStaysPinnedUntilItsLastReaderLeaves) {
    auto table = std::make_shared<PinTable>();
    auto one = std::make_unique<Pins>(table, std::vector{blob_id(1), blob_id(2), blob_id(1)});
    {
        const Pins two(table, {blob_id(2)});
        one.reset();
        EXPECT_FALSE(table->is_pinned(blob_id(1)));
        EXPECT_TRUE(table->is_pinned(blob_id(2)));
    }
    EXPECT_EQ(table->size(), 0U);
}

}  // namespace
}  // namespace hamster::objects
