#include "objects/duty.h"

#include <gtest/gtest.h>

namespace hamster::objects {
namespace {

using base::NodeId;
using base::Slot;
using meta::PartitionPlaces;

NodeId node(int n) {
    NodeId id;
    id.raw.fill(static_cast<std::byte>(n));
    return id;
}
const NodeId kFounder = node(1);

proto::Blob placed(std::uint32_t k, std::uint32_t m, std::uint64_t missing = 0) {
    proto::Blob blob;
    blob.set_size(1'000'000);
    blob.set_k(k);
    blob.set_m(m);
    blob.set_slice_bytes(262'144);
    blob.set_missing(missing);
    blob.set_placed(true);
    return blob;
}
proto::Blob unplaced(const NodeId& holder) {
    proto::Blob blob = placed(1, 0);
    blob.set_placed(false);
    if (holder != kFounder) blob.set_holder(std::string(holder.view()));
    return blob;
}

// Slot 1 moved from node 5 to node 2.
const PartitionPlaces kPlaces{7, {node(1), node(2), node(3)}, {{Slot{1}, node(5)}}};

TEST(Duty, IsOfTheSlotsNodeOnly) {
    const auto of = [](const proto::Blob& blob, int n) {
        return duty_of(blob, kPlaces, node(n), kFounder);
    };
    EXPECT_EQ(of(placed(2, 1), 1), (Duty{Slot{0}, false, false}));
    EXPECT_EQ(of(placed(2, 1), 2), (Duty{Slot{1}, false, true}));
    EXPECT_EQ(of(placed(2, 1), 3), (Duty{Slot{2}, false, false}));
    EXPECT_EQ(of(placed(2, 1), 5), std::nullopt);  // a source keeps, and owes nothing
    EXPECT_EQ(of(placed(1, 1), 3), std::nullopt);  // narrower than the layout
    EXPECT_EQ(of(placed(2, 1, 0b010), 2), (Duty{Slot{1}, true, false}));
    EXPECT_EQ(of(placed(2, 1, 0b010), 1), (Duty{Slot{0}, false, false}));
}

TEST(Duty, OfABlobFromBeforeIsTheFirstSlots) {
    const auto of = [](const proto::Blob& blob, int n) {
        return duty_of(blob, kPlaces, node(n), kFounder);
    };
    EXPECT_EQ(of(unplaced(node(1)), 1), (Duty{Slot{0}, true, false}));
    EXPECT_EQ(of(unplaced(node(3)), 1), (Duty{Slot{0}, true, true}));
    EXPECT_EQ(of(unplaced(node(3)), 3), std::nullopt);
}

TEST(Duty, WithoutALayoutItIsTheHolders) {
    const PartitionPlaces first{0, {kFounder}, {}};
    const auto of = [&first](const proto::Blob& blob, int n) {
        return first_duty_of(blob, first, node(n), kFounder);
    };
    EXPECT_EQ(of(unplaced(node(3)), 3), (Duty{Slot{0}, false, false}));
    EXPECT_EQ(of(unplaced(node(3)), 1), std::nullopt);
    EXPECT_EQ(of(unplaced(kFounder), 1), (Duty{Slot{0}, false, false}));
    EXPECT_EQ(of(placed(1, 0), 1), (Duty{Slot{0}, false, false}));
}

TEST(Duty, WhatMustBeKept) {
    const auto needs = [](const proto::Blob& blob, int n, std::uint8_t slot) {
        return is_needed_at(node(n), Slot{slot}, blob, kPlaces, kFounder);
    };
    for (int n = 1; n <= 6; ++n) {
        for (std::uint8_t slot = 0; slot < 4; ++slot) {
            const bool is_place = (slot < 3 && n == slot + 1) || (slot == 1 && n == 5);
            EXPECT_EQ(needs(placed(2, 1), n, slot), is_place) << n << " " << int{slot};
            EXPECT_EQ(needs(placed(2, 1, 0b111), n, slot), is_place);
            EXPECT_EQ(needs(placed(1, 1), n, slot), is_place && slot < 2);
        }
    }
    EXPECT_TRUE(needs(unplaced(node(6)), 6, 0));
    EXPECT_TRUE(needs(unplaced(node(6)), 1, 0));
    EXPECT_FALSE(needs(unplaced(node(6)), 2, 0));
    EXPECT_FALSE(needs(unplaced(node(6)), 6, 1));
    EXPECT_TRUE(needs(unplaced(kFounder), 1, 0));
    // A blob that is wider than its partition: nothing of it goes.
    EXPECT_TRUE(needs(placed(4, 2), 6, 4));
}

TEST(Duty, EveryHomeOnce) {
    EXPECT_EQ(homes_of(placed(2, 1), kPlaces, kFounder),
              (std::vector{node(1), node(2), node(3), node(5)}));
    EXPECT_EQ(homes_of(placed(2, 1, 0b100), kPlaces, kFounder),
              (std::vector{node(1), node(2), node(3), node(5)}));
    EXPECT_EQ(homes_of(placed(1, 0), kPlaces, kFounder), (std::vector{node(1)}));
    EXPECT_EQ(homes_of(unplaced(node(6)), kPlaces, kFounder), (std::vector{node(6), node(1)}));
    EXPECT_EQ(homes_of(unplaced(kFounder), kPlaces, kFounder), (std::vector{node(1)}));
    const PartitionPlaces swapped{8, {node(1), node(2)}, {{Slot{0}, node(2)}, {Slot{1}, node(1)}}};
    EXPECT_EQ(homes_of(placed(1, 1), swapped, kFounder), (std::vector{node(1), node(2)}));
}

TEST(Duty, PlacesOfWhatIsThere) {
    base::BlobId id;
    const auto place = place_of(id, placed(2, 1, 0b001), kPlaces, kFounder);
    ASSERT_TRUE(place.has_value());
    const std::vector<BlobPlace::Shard> there{
        {Slot{1}, node(2)}, {Slot{1}, node(5)}, {Slot{2}, node(3)}};
    EXPECT_EQ(place->shards, there);
    EXPECT_EQ(place->shape.width(), 3U);
    proto::Blob broken = placed(2, 1);
    broken.set_slice_bytes(0);
    EXPECT_EQ(place_of(id, broken, kPlaces, kFounder).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace hamster::objects
