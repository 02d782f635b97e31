#include "objects/extent.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

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

// Every range of a small object against a byte-by-byte model.
TEST(Extent, EveryRangeOfSeveralPartsMapsToTheBytesAsked) {
    const std::vector<std::uint64_t> sizes{5, 0, 8, 1, 12};
    const std::uint64_t total = 26;
    const std::uint32_t slice_bytes = 4;
    const auto parts = parts_of(sizes);
    std::vector<std::pair<base::BlobId, std::uint64_t>> model;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        for (std::uint64_t at = 0; at < sizes[i]; ++at)
            model.emplace_back(blob_id(static_cast<int>(i)), at);
    }
    for (std::uint64_t offset = 0; offset < total; ++offset) {
        for (std::uint64_t length = 1; offset + length <= total; ++length) {
            auto extents = map_range(parts, {offset, length});
            ASSERT_TRUE(extents.has_value());
            for (Extent& extent : *extents) extent.slice_bytes = slice_bytes;
            SliceCursor cursor(*extents);
            std::vector<std::pair<base::BlobId, std::uint64_t>> seen;
            while (const auto read = cursor.next()) {
                ASSERT_LE(read->skip + read->take, read->slice_size);
                ASSERT_LE(read->slice_size, slice_bytes);
                for (std::uint32_t i = 0; i < read->take; ++i) {
                    seen.emplace_back(read->blob, read->stripe * slice_bytes + read->skip + i);
                }
            }
            const std::vector<std::pair<base::BlobId, std::uint64_t>> wanted(
                model.begin() + static_cast<std::ptrdiff_t>(offset),
                model.begin() + static_cast<std::ptrdiff_t>(offset + length));
            ASSERT_EQ(seen, wanted) << offset << "+" << length;
        }
    }
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
