#include "meta/layout.h"

#include <functional>

#include "meta/testing.h"

namespace hamster::meta {
namespace {

using namespace testing;
using Source = PartitionPlaces::Source;

NodeId n(std::uint64_t number) { return as_id<NodeId>(node_id(number)); }
base::Slot slot(std::uint8_t value) { return base::Slot{value}; }

PartitionPlaces three() {
    return {7, {n(1), n(2), n(3)}, {{slot(1), n(4)}, {slot(1), n(1)}, {slot(2), n(2)}}};
}
proto::Blob two_and_one() {
    proto::Blob blob;
    blob.set_k(2);
    blob.set_m(1);
    blob.set_placed(true);
    return blob;
}

TEST(Layout, TheSlotsNodeIsAskedFirstThenItsSources) {
    const proto::Blob blob = two_and_one();
    EXPECT_EQ(width_of(blob), 3U);
    EXPECT_EQ(places_of(blob, three(), slot(0), n(9)), (std::vector{n(1)}));
    EXPECT_EQ(places_of(blob, three(), slot(1), n(9)), (std::vector{n(2), n(4), n(1)}));
    EXPECT_EQ(places_of(blob, three(), slot(2), n(9)), (std::vector{n(3), n(2)}));
    EXPECT_TRUE(places_of(blob, three(), slot(3), n(9)).empty());
    EXPECT_TRUE(places_of(blob, three(), slot(200), n(9)).empty());
}

TEST(Layout, NobodyIsAskedForAMissingShard) {
    proto::Blob blob = two_and_one();
    blob.set_missing(2);
    EXPECT_FALSE(is_missing(blob, slot(0)));
    EXPECT_TRUE(is_missing(blob, slot(1)));
    EXPECT_FALSE(is_missing(blob, slot(65)));
    EXPECT_TRUE(places_of(blob, three(), slot(1), n(9)).empty());
    EXPECT_EQ(places_of(blob, three(), slot(2), n(9)).size(), 2U);
}

TEST(Layout, ABlobThatIsNotPlacedLiesWithItsHolderOrTheFounder) {
    proto::Blob blob;
    blob.set_k(1);
    EXPECT_EQ(places_of(blob, three(), slot(0), n(9)), (std::vector{n(9)}));
    EXPECT_TRUE(places_of(blob, three(), slot(1), n(9)).empty());
    blob.set_holder(node_id(5));
    EXPECT_EQ(places_of(blob, three(), slot(0), n(9)), (std::vector{n(5)}));
    blob.set_holder("odd");
    EXPECT_TRUE(places_of(blob, three(), slot(0), n(9)).empty());
}

TEST(Layout, APartitionsRowComesBack) {
    const PartitionPlaces places = three();
    EXPECT_EQ(*parse_places(row_of(places).SerializeAsString()), places);
    const PartitionPlaces first = first_places(n(1));
    EXPECT_EQ(*parse_places(row_of(first).SerializeAsString()), first);
}

TEST(Layout, MalformedPartitionsAreCorrupt) {
    const auto refused = [](const std::function<void(proto::PartitionLayout&)>& spoil) {
        proto::PartitionLayout row = row_of(three());
        spoil(row);
        const auto parsed = parse_places(row.SerializeAsString());
        ASSERT_FALSE(parsed) << row.ShortDebugString();
        EXPECT_EQ(parsed.error().code, Code::kCorrupt);
    };
    EXPECT_EQ(parse_places("\xFF").error().code, Code::kCorrupt);
    EXPECT_EQ(parse_places("").error().code, Code::kCorrupt);
    refused([](auto& row) { row.clear_nodes(); });
    refused([](auto& row) { row.add_nodes("short"); });
    refused([](auto& row) { row.add_nodes(node_id(2)); });
    refused([](auto& row) {
        for (std::uint64_t i = 10; i < 10 + kMaxSlots; ++i) row.add_nodes(node_id(i));
    });
    refused([](auto& row) { row.mutable_sources(0)->set_slot(3); });
    refused([](auto& row) { row.mutable_sources(0)->set_slot(257); });
    refused([](auto& row) { row.mutable_sources(0)->set_node("short"); });
    refused([](auto& row) { row.mutable_sources(0)->set_node(node_id(2)); });
    refused([](auto& row) { *row.add_sources() = row.sources(0); });
    refused([](auto& row) {
        for (std::uint64_t i = 10; i < 10 + kMaxSources; ++i) {
            row.add_sources()->set_node(node_id(i));
        }
    });
}

TEST(Layout, MalformedLayoutsAreCorrupt) {
    EXPECT_EQ(parse_layout(first_layout().SerializeAsString())->width(), 1U);
    const auto refused = [](const std::function<void(proto::Layout&)>& spoil) {
        proto::Layout layout = first_layout();
        spoil(layout);
        const auto parsed = parse_layout(layout.SerializeAsString());
        ASSERT_FALSE(parsed) << layout.ShortDebugString();
        EXPECT_EQ(parsed.error().code, Code::kCorrupt);
    };
    EXPECT_EQ(parse_layout("\xFF").error().code, Code::kCorrupt);
    refused([](auto& layout) { layout.set_k(0); });
    refused([](auto& layout) { layout.set_m(1); });
    refused([](auto& layout) { layout.set_m(UINT32_MAX); });
    refused([](auto& layout) { layout.set_width(kMaxSlots + 1); });
    refused([](auto& layout) { layout.set_unsettled(base::kPartitions + 1U); });
}

class LayoutView : public ::testing::Test {
  protected:
    void write(const std::string& row, const std::string& value) {
        const auto batch = replica_.store().batch();
        batch->put(row, value);
        ASSERT_TRUE(replica_.store().write(*batch));
    }
    void blob(const std::string& id, std::uint64_t size, std::uint64_t missing = 0) {
        proto::Blob row = two_and_one();
        row.set_size(size);
        row.set_missing(missing);
        write(blob_row(as_id<BlobId>(id)), row.SerializeAsString());
        if (missing != 0) write(degraded_row(as_id<BlobId>(id)), "");
    }
    static std::vector<std::uint64_t> sizes(const std::vector<BlobEntry>& entries) {
        std::vector<std::uint64_t> out;
        out.reserve(entries.size());
        for (const BlobEntry& entry : entries) out.push_back(entry.blob.size());
        return out;
    }
    Replica replica_;
};

TEST_F(LayoutView, WithoutRowsAllIsOnTheFounder) {
    EXPECT_EQ(replica_.view().layout()->ShortDebugString(), "k: 1 width: 1");
    EXPECT_EQ(*replica_.view().places(0), first_places(NodeId{}));  // nobody yet: this node
    replica_.apply(found_trust());
    EXPECT_EQ(*replica_.view().places(4095), first_places(n(1)));
    EXPECT_TRUE(replica_.view().geometries()->empty());
}

TEST_F(LayoutView, ReadsTheRows) {
    proto::Layout layout = first_layout();
    layout.set_version(7);
    write(system_row("layout"), layout.SerializeAsString());
    write(layout_row(9), row_of(three()).SerializeAsString());
    EXPECT_EQ(replica_.view().layout()->version(), 7U);
    EXPECT_EQ(*replica_.view().places(9), three());
    EXPECT_EQ(replica_.view().places(8)->version, 0U);
    proto::GeometryCount count;
    count.set_blobs(3);
    write(geometry_row({2, 1}), count.SerializeAsString());
    write(geometry_row({4, 2}), count.SerializeAsString());
    const auto geometries = *replica_.view().geometries();
    ASSERT_EQ(geometries.size(), 2U);
    EXPECT_EQ(geometries[1].k, 4U);
    EXPECT_EQ(geometries[1].m, 2U);
    EXPECT_EQ(geometries[1].count.blobs(), 3U);
}

TEST_F(LayoutView, BlobsOfAPartitionInIdOrder) {
    for (std::uint64_t i = 1; i <= 5; ++i) blob(id16('x', i), i);
    blob(id16('w', 1), 100);
    blob(id16('y', 1), 200);
    const std::uint16_t partition = base::partition_of(as_id<BlobId>(id16('x', 1)));
    const View view = replica_.view();
    EXPECT_EQ(sizes(*view.blobs_of(partition, std::nullopt, 3)),
              (std::vector<std::uint64_t>{1, 2, 3}));
    const auto rest = *view.blobs_of(partition, as_id<BlobId>(id16('x', 3)), 10);
    EXPECT_EQ(sizes(rest), (std::vector<std::uint64_t>{4, 5}));
    EXPECT_EQ(rest[0].id.view(), id16('x', 4));
    // A position of another partition: from the beginning, or nothing.
    EXPECT_EQ(view.blobs_of(partition, as_id<BlobId>(id16('w', 9)), 10)->size(), 5U);
    EXPECT_EQ(view.blobs_of(partition, as_id<BlobId>(id16('y', 9)), 10)->size(), 0U);
    EXPECT_EQ(view.blobs_of(0, std::nullopt, 10)->size(), 0U);
}

TEST_F(LayoutView, DegradedBlobsOfAllPartitions) {
    blob(id16('w', 1), 1, 4);
    blob(id16('x', 1), 2);
    blob(id16('x', 2), 3, 1);
    blob(id16('y', 1), 4, 2);
    const View view = replica_.view();
    EXPECT_EQ(sizes(*view.degraded(std::nullopt, 2)), (std::vector<std::uint64_t>{1, 3}));
    EXPECT_EQ(sizes(*view.degraded(as_id<BlobId>(id16('x', 2)), 2)),
              (std::vector<std::uint64_t>{4}));
    write(degraded_row(as_id<BlobId>(id16('z', 1))), "");
    EXPECT_EQ(replica_.view().degraded(std::nullopt, 9).error().code, Code::kCorrupt);
}

TEST_F(LayoutView, ABlobIsFoundByItsIdThenByItsAlias) {
    const BlobId named = as_id<BlobId>(id16('a', 1));
    const BlobId now = as_id<BlobId>(id16('x', 1));
    EXPECT_FALSE(*replica_.view().find_blob(named));
    write(alias_row(named), std::string(now.view()));
    EXPECT_EQ(replica_.view().find_blob(named).error().code, Code::kCorrupt);
    blob(id16('x', 1), 5);
    const auto found = *replica_.view().find_blob(named);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, now);
    EXPECT_EQ(found->blob.size(), 5U);
    EXPECT_FALSE(*replica_.view().knows_blob(named));
    EXPECT_TRUE(*replica_.view().knows_blob(now));
    blob(id16('a', 1), 6);
    EXPECT_EQ((*replica_.view().find_blob(named))->id, named);
    write(alias_row(now), "odd");
    EXPECT_EQ((*replica_.view().find_blob(now))->id, now);
}

TEST_F(LayoutView, RowsThatCannotBeReadAreCorrupt) {
    write(system_row("layout"), "\xFF");
    write(layout_row(1), "\xFF");
    write(table_prefix(Table::kGeometry) + "odd", "");
    write(blobs_of_partition(1) + "odd", "");
    write(table_prefix(Table::kDegraded) + "odd", "");
    const View view = replica_.view();
    EXPECT_EQ(view.layout().error().code, Code::kCorrupt);
    EXPECT_EQ(view.places(1).error().code, Code::kCorrupt);
    EXPECT_EQ(view.geometries().error().code, Code::kCorrupt);
    EXPECT_EQ(view.blobs_of(1, std::nullopt, 9).error().code, Code::kCorrupt);
    EXPECT_EQ(view.degraded(std::nullopt, 9).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace hamster::meta
