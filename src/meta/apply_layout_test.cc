#include <functional>

#include "meta/testing_layout.h"

namespace hamster::meta {
namespace {

using namespace testing;
using Source = PartitionPlaces::Source;

const std::uint16_t kPartition1 = base::partition_of(as_id<BlobId>(kBlob1));

TEST_F(LayoutTest, ATableGivesEveryPartitionItsNodes) {
    found(3);
    EXPECT_EQ(lay(2, 1, {1, 2, 3}), Answer::OK);
    EXPECT_EQ(layout().ShortDebugString(), "version: 1 k: 2 m: 1 width: 3");
    // The founder keeps slot 0; the others are new and nothing was written to them: no sources.
    EXPECT_EQ(places(0), (PartitionPlaces{1, {n(1), n(2), n(3)}, {}}));
    EXPECT_EQ(places(4095), places(0));
}

TEST_F(LayoutTest, OnlyPartitionsThatChangeGetTheVersion) {
    found(3);
    EXPECT_EQ(lay(1, 1, {1, 2}), Answer::OK);
    placement::Table table = table_of({1, 2});
    testing::lay(table, 5, {1, 3});
    EXPECT_EQ(replica_.status(set_layout(1, 1, 1, table)), Answer::OK);
    EXPECT_EQ(places(4).version, 1U);
    EXPECT_EQ(places(5), (PartitionPlaces{2, {n(1), n(3)}, {{slot(1), n(2)}}}));
    EXPECT_EQ(layout().unsettled(), 1U);
    EXPECT_EQ(replica_.status(set_layout(2, 1, 0, table)), Answer::OK);  // only the profile
    EXPECT_EQ(layout().version(), 3U);
    EXPECT_EQ(layout().m(), 0U);
    EXPECT_EQ(places(5).version, 2U);
    refused(set_layout(2, 1, 1, table), Answer::LAYOUT_CHANGED);
    refused(set_layout(4, 1, 1, table), Answer::LAYOUT_CHANGED);
}

TEST_F(LayoutTest, OneNodeHasOneSlotAndNeedsNoRows) {
    found(1);
    EXPECT_EQ(lay(1, 0, {1}), Answer::OK);
    EXPECT_EQ(layout().version(), 1U);
    EXPECT_TRUE(rows_of(replica_.store(), Table::kLayout).empty());
}

TEST_F(LayoutTest, MalformedTablesAreRefused) {
    found(3);
    Command odd = set_layout(0, 2, 1, table_of({1, 2, 3}));
    odd.mutable_set_layout()->mutable_table()->pop_back();
    refused(odd, Answer::INVALID_REQUEST);
    odd.mutable_set_layout()->clear_table();
    refused(odd, Answer::INVALID_REQUEST);
    refused(set_layout(0, 2, 2, table_of({1, 2, 3})), Answer::INVALID_REQUEST);
    refused(set_layout(0, 0, 1, table_of({1, 2, 3})), Answer::INVALID_REQUEST);
    refused(set_layout(0, UINT32_MAX, 2, table_of({1, 2, 3})), Answer::INVALID_REQUEST);
    refused(set_layout(0, 2, 1, table_of({1, 2, 9})), Answer::NO_SUCH_NODE);
    placement::Table table = table_of({1, 2, 3});
    table.set({4095, 2}, NodeId{});
    refused(set_layout(0, 2, 1, table), Answer::INVALID_REQUEST);  // nobody
    odd = set_layout(0, 2, 1, table_of({1, 2, 3}));
    std::string& bytes = *odd.mutable_set_layout()->mutable_table();
    bytes.replace(bytes.size() - 2, 2, bytes.substr(bytes.size() - 6, 2));
    refused(odd, Answer::INVALID_REQUEST);  // a node twice
}

TEST_F(LayoutTest, ASlotThatMovesKeepsItsOldNodesAsSources) {
    found(5);
    lay(1, 1, {1, 2});
    EXPECT_EQ(lay(1, 1, {1, 3}), Answer::OK);
    EXPECT_EQ(places().sources, (std::vector<Source>{{slot(1), n(2)}}));
    EXPECT_EQ(layout().unsettled(), 4096U);
    EXPECT_EQ(lay(1, 1, {1, 4}), Answer::OK);  // before it has settled
    EXPECT_EQ(places().sources, (std::vector<Source>{{slot(1), n(2)}, {slot(1), n(3)}}));
    EXPECT_EQ(lay(1, 1, {1, 2}), Answer::OK);  // back: 2 lacks what was written since
    EXPECT_EQ(places().sources, (std::vector<Source>{{slot(1), n(3)}, {slot(1), n(4)}}));
    EXPECT_EQ(lay(1, 1, {2, 1}), Answer::OK);  // swapped
    EXPECT_EQ(
        places().sources,
        (std::vector<Source>{{slot(1), n(3)}, {slot(1), n(4)}, {slot(0), n(1)}, {slot(1), n(2)}}));
    EXPECT_EQ(lay(1, 0, {2}), Answer::OK);  // slot 1 falls off, and its sources
    EXPECT_EQ(places().sources, (std::vector<Source>{{slot(0), n(1)}}));
}

TEST_F(LayoutTest, ThereIsABoundOnMovesThatHaveNotSettled) {
    found(kMaxSources + 2);
    for (std::uint64_t i = 2; i <= kMaxSources + 1; ++i) ASSERT_EQ(lay(1, 0, {i}), Answer::OK);
    EXPECT_EQ(places().sources.size(), kMaxSources);
    refused(set_layout(kMaxSources, 1, 0, table_of({kMaxSources + 2})), Answer::INVALID_REQUEST);
    EXPECT_EQ(lay(1, 0, {1}), Answer::OK);  // 1 is a source already
    EXPECT_EQ(places().sources.size(), kMaxSources);
}

TEST_F(LayoutTest, SettledSlotsForgetTheirSources) {
    found(4);
    lay(1, 1, {1, 2});
    lay(1, 1, {3, 4});
    const std::uint64_t version = layout().version();
    ignored(settle_slot(7, 0, 3, version - 1));  // of another time
    ignored(settle_slot(7, 0, 3, version + 1));
    ignored(settle_slot(7, 0, 4, version));  // of another node
    ignored(settle_slot(7, 2, 3, version));
    EXPECT_EQ(replica_.status(settle_slot(7, 0, 3, version)), Answer::OK);
    EXPECT_EQ(places(7).sources, (std::vector<Source>{{slot(1), n(2)}}));
    EXPECT_EQ(places(7).version, version);
    EXPECT_EQ(layout().unsettled(), 4096U);
    ignored(settle_slot(7, 0, 3, version));  // again: nothing happens
    Command both = settle_slot(7, 1, 4, version);
    both.mutable_settle_slots()->MergeFrom(settle_slot(8, 0, 3, version).settle_slots());
    both.mutable_settle_slots()->MergeFrom(settle_slot(8, 1, 4, version).settle_slots());
    EXPECT_EQ(replica_.status(both), Answer::OK);
    EXPECT_EQ(layout().unsettled(), 4094U);
    EXPECT_TRUE(places(8).sources.empty());
    refused(settle_slot(4096, 0, 3, version), Answer::INVALID_REQUEST);
    refused(settle_slot(7, 256, 3, version), Answer::INVALID_REQUEST);
    Command odd = settle_slot(7, 0, 3, version);
    odd.mutable_settle_slots()->mutable_settled(0)->set_node("short");
    refused(odd, Answer::INVALID_REQUEST);
    // A node that was settled once is asked again for what it lacks when it comes back.
    lay(1, 1, {1, 4});
    EXPECT_EQ(places(8).sources, (std::vector<Source>{{slot(0), n(3)}}));
}

TEST_F(LayoutTest, ALayoutIsAsWideAsTheWidestBlob) {
    found(4);
    lay(2, 1, {1, 2, 3});
    EXPECT_EQ(replica_.status(placed(put_object(kBucket, "k", kBlob1, 9), 2, 1, 1)), Answer::OK);
    refused(set_layout(1, 1, 1, table_of({1, 2})), Answer::INVALID_REQUEST);
    EXPECT_EQ(lay(1, 1, {1, 2, 4}), Answer::OK);
    replica_.apply(delete_object(kBucket, "k"));
    refused(set_layout(2, 1, 1, table_of({1, 2})), Answer::INVALID_REQUEST);  // garbage counts
    drop(kBlob1);
    EXPECT_EQ(lay(1, 1, {1, 2}), Answer::OK);
}

TEST_F(LayoutTest, AnOlderStoreIsCountedWithItsFirstLayout) {
    const std::uint64_t count = kBlobScanRows + 5;
    for (std::uint64_t i = 0; i < count; ++i) {
        replica_.apply(put_object(kBucket, "k" + std::to_string(i), id16('x', i), 3));
    }
    for (std::uint64_t i = 0; i < 10; ++i) {
        replica_.apply(delete_object(kBucket, "k" + std::to_string(i)));
    }
    drop(id16('x', 0));
    found(2);
    EXPECT_TRUE(replica_.view().geometries()->empty());
    EXPECT_EQ(lay(1, 1, {1, 2}), Answer::OK);
    const auto geometries = *replica_.view().geometries();
    ASSERT_EQ(geometries.size(), 1U);
    EXPECT_EQ(geometries[0].k, 1U);
    EXPECT_EQ(geometries[0].m, 0U);
    EXPECT_EQ(geometries[0].count.blobs(), count - 1);
    EXPECT_EQ(geometries[0].count.bytes(), 3 * (count - 1));
}

TEST_F(LayoutTest, GeometriesCountLiveBlobsAndGarbage) {
    found(3);
    lay(2, 1, {1, 2, 3});
    replica_.apply(placed(put_object(kBucket, "k", kBlob1, 9), 2, 1, 1));
    replica_.apply(placed(put_object(kBucket, "l", kBlob2, 5), 1, 2, 1));
    replica_.apply(put_object(kBucket, "m", kBlob3, 4));
    EXPECT_EQ(replica_.view().geometries()->size(), 3U);
    replica_.apply(copy_object(kBucket, "n", kBlob1, 9));
    replica_.apply(delete_object(kBucket, "k"));
    replica_.apply(delete_object(kBucket, "n"));
    EXPECT_EQ((*replica_.view().geometries())[2].count.bytes(), 9U);
    EXPECT_EQ(held(1), 1U);  // only the blob without a place is anybody's
    drop(kBlob1);
    drop(kBlob1);
    EXPECT_EQ(replica_.view().geometries()->size(), 2U);
}

TEST_F(LayoutTest, ACommitNamesTheLayoutThatItsShardsLieUnder) {
    found(4);
    lay(2, 1, {1, 2, 3});
    placement::Table table = table_of({1, 2, 3});
    testing::lay(table, kPartition1, {1, 2, 4});
    ASSERT_EQ(replica_.status(set_layout(1, 2, 1, table)), Answer::OK);
    const Command late = put_object(kBucket, "k", kBlob1, 9);
    refused(placed(late, 2, 1, 1), Answer::LAYOUT_CHANGED);
    refused(placed(late, 2, 1, 3), Answer::INVALID_REQUEST);  // there is none yet
    EXPECT_EQ(replica_.status(placed(late, 2, 1, 2)), Answer::OK);
    // Another partition did not change.
    EXPECT_EQ(replica_.status(placed(put_object(kBucket, "l", kBlob2, 9), 2, 1, 1)), Answer::OK);
    EXPECT_TRUE(blob(kBlob2).placed());
    EXPECT_EQ(blob(kBlob2).references(), 1U);
}

TEST_F(LayoutTest, MalformedGeometriesAreRefused) {
    found(3);
    lay(2, 1, {1, 2, 3});
    const auto spoiled = [this](const std::function<void(proto::Blob&)>& spoil,
                                Answer::Status status = Answer::INVALID_REQUEST) {
        Command command = placed(put_object(kBucket, "k", kBlob1, 9), 2, 1, 1);
        spoil(*command.mutable_put_object()->mutable_new_blobs(0)->mutable_geometry());
        refused(command, status);
    };
    spoiled([](auto& blob) { blob.set_k(0); });
    spoiled([](auto& blob) { blob.set_k(UINT32_MAX); });
    spoiled([](auto& blob) { blob.set_m(31); });
    spoiled([](auto& blob) { blob.set_m(2); });  // the layout has three slots
    spoiled([](auto& blob) { blob.set_size(0); });
    spoiled([](auto& blob) { blob.set_size(kMaxObjectPutBytes + 1); });
    spoiled([](auto& blob) { blob.set_slice_bytes(0); });
    spoiled([](auto& blob) { blob.set_slice_bytes(256 * 1024 + 1); });
    spoiled([](auto& blob) { blob.set_missing(8); });
    spoiled([](auto& blob) { blob.set_holder(node_id(1)); });
    spoiled([](auto& blob) { blob.set_placed(false); });
    spoiled([](auto& blob) { blob.set_missing(1); }, Answer::TOO_FEW_SHARDS);
}

TEST_F(LayoutTest, ADegradedWriteHasOneShardMoreThanItNeeds) {
    found(5);
    lay(2, 2, {1, 2, 3, 4});
    refused(placed(put_object(kBucket, "k", kBlob1, 9), 2, 2, 1, 0b1001), Answer::TOO_FEW_SHARDS);
    EXPECT_EQ(replica_.status(placed(put_object(kBucket, "k", kBlob1, 9), 2, 2, 1, 0b1000)),
              Answer::OK);
    EXPECT_EQ(degraded(), 1U);
    EXPECT_EQ(replica_.status(placed(put_object(kBucket, "l", kBlob2, 9), 1, 3, 1, 0b1010)),
              Answer::OK);
    refused(placed(put_object(kBucket, "m", kBlob3, 9), 3, 0, 1, 0b1), Answer::TOO_FEW_SHARDS);
    EXPECT_EQ(replica_.status(placed(put_object(kBucket, "m", kBlob3, 9), 3, 0, 1)), Answer::OK);
    EXPECT_EQ(degraded(), 2U);
    replica_.apply(delete_object(kBucket, "l"));
    EXPECT_EQ(degraded(), 1U);
}

TEST_F(LayoutTest, ALoneNodePlacesBlobsWithoutALayout) {
    EXPECT_EQ(replica_.status(placed(put_object(kBucket, "k", kBlob1, 9), 1, 0, 0)), Answer::OK);
    found(1);
    EXPECT_EQ(held(1), 0U);
    EXPECT_EQ(replica_.status(placed(put_object(kBucket, "l", kBlob2, 9), 1, 0, 0)), Answer::OK);
    EXPECT_EQ(held(1), 0U);
    refused(placed(put_object(kBucket, "m", kBlob3, 9), 1, 1, 0), Answer::INVALID_REQUEST);
}

TEST_F(LayoutTest, TheOperatorChoosesAProfile) {
    found(3);
    refused(set_profile("7+9"), Answer::INVALID_REQUEST);
    refused(set_profile("auto"), Answer::INVALID_REQUEST);
    refused(set_profile("3+2"), Answer::PROFILE_IMPOSSIBLE);
    EXPECT_EQ(replica_.status(set_profile("2+1")), Answer::OK);
    EXPECT_EQ(layout().pinned(), "2+1");
    EXPECT_EQ(layout().version(), 0U);
    refused(set_leaving(3), Answer::PROFILE_IMPOSSIBLE);
    refused(remove_node(3), Answer::PROFILE_IMPOSSIBLE);
    admit(node(4));
    EXPECT_EQ(replica_.status(set_leaving(3)), Answer::OK);
    EXPECT_EQ(replica_.status(set_leaving(3)), Answer::OK);
    refused(set_leaving(4), Answer::PROFILE_IMPOSSIBLE);
    EXPECT_EQ(replica_.status(remove_node(3)), Answer::OK);
    EXPECT_EQ(replica_.status(set_profile("")), Answer::OK);
    EXPECT_EQ(replica_.status(set_leaving(4)), Answer::OK);
    refused(set_profile("2+1"), Answer::PROFILE_IMPOSSIBLE);
}

// recover gives nodes up that are gone for good: no profile brings them back.
TEST_F(LayoutTest, ALostNodeGoesAlsoWhenTheProfileNeedsIt) {
    found(3);
    EXPECT_EQ(replica_.status(set_profile("2+1")), Answer::OK);
    refused(remove_node(3), Answer::PROFILE_IMPOSSIBLE);
    EXPECT_EQ(replica_.status(remove_node(3, true)), Answer::OK);
    EXPECT_EQ(layout().pinned(), "2+1");
}

TEST_F(LayoutTest, ALayoutKeepsTheChosenProfileAndWhatIsToBeReencoded) {
    found(3);
    replica_.apply(set_profile("2+1"));
    Command command;
    auto& wanted = *command.mutable_set_reencode()->mutable_reencode();
    wanted.set_k(1);
    wanted.set_bytes_at_start(77);
    wanted.set_since_ms(5);
    replica_.now += 10;
    EXPECT_EQ(replica_.status(command), Answer::OK);
    EXPECT_EQ(layout().reencode().since_ms(), kStart + 10);
    EXPECT_EQ(layout().reencode().bytes_at_start(), 77U);
    wanted.set_m(1);
    refused(command, Answer::INVALID_REQUEST);  // wider than the layout
    lay(2, 1, {1, 2, 3});
    EXPECT_EQ(layout().pinned(), "2+1");
    EXPECT_TRUE(layout().has_reencode());
    EXPECT_EQ(replica_.status(command), Answer::OK);
    wanted.set_k(0);
    refused(command, Answer::INVALID_REQUEST);
    command.mutable_set_reencode()->clear_reencode();
    EXPECT_EQ(replica_.status(command), Answer::OK);
    EXPECT_FALSE(layout().has_reencode());
    EXPECT_EQ(layout().pinned(), "2+1");
}

TEST_F(LayoutTest, ANodeWithSlotsIsNotRemoved) {
    found(4);
    lay(1, 1, {1, 2});
    refused(remove_node(1), Answer::NODE_NOT_EMPTY);
    refused(remove_node(2), Answer::NODE_NOT_EMPTY);
    placement::Table table = table_of({1, 3});
    ASSERT_EQ(replica_.status(set_layout(1, 1, 1, table)), Answer::OK);
    refused(remove_node(2), Answer::NODE_NOT_EMPTY);  // a source
    Command all_but_one = settle_all(1, 3, 2);
    all_but_one.mutable_settle_slots()->mutable_settled()->RemoveLast();
    replica_.apply(all_but_one);
    EXPECT_EQ(layout().unsettled(), 1U);
    refused(remove_node(2), Answer::NODE_NOT_EMPTY);
    replica_.apply(settle_slot(4095, 1, 3, 2));
    EXPECT_EQ(replica_.status(remove_node(2)), Answer::OK);
    EXPECT_EQ(replica_.status(remove_node(3, true)), Answer::OK);  // with what it held
    EXPECT_EQ(places().nodes, (std::vector{n(1), n(3)}));
    refused(set_layout(2, 1, 1, table_of({3, 1})), Answer::NO_SUCH_NODE);
    EXPECT_EQ(replica_.status(set_layout(2, 1, 0, table)), Answer::OK);  // it gets no new place
    EXPECT_EQ(lay(1, 1, {1, 4}), Answer::OK);  // from a source that is out of reach
    EXPECT_EQ(places().sources, (std::vector<Source>{{slot(1), n(3)}}));
}

TEST_F(LayoutTest, ANewNodeMayReplaceAMember) {
    found(2);
    replica_.apply(put_token(50));
    proto::Node heir = node(3);
    const auto odd = [&](const std::string& replaces) {
        heir.set_replaces(replaces);
        refused(admit_node(50, heir), Answer::INVALID_REQUEST);
    };
    odd("short");
    odd(node_id(9));
    odd(node_id(3));  // itself
    heir.set_replaces(node_id(2));
    EXPECT_EQ(replica_.status(admit_node(50, heir)), Answer::OK);
    EXPECT_EQ((*replica_.view().node(n(3)))->replaces(), node_id(2));
    heir.clear_replaces();
    EXPECT_EQ(replica_.status(update_node(heir)), Answer::OK);
    EXPECT_EQ(replica_.status(admit_node(50, heir)), Answer::OK);  // again
    EXPECT_EQ((*replica_.view().node(n(3)))->replaces(), node_id(2));
    replica_.apply(put_token(51));
    heir = node(4);
    heir.set_replaces(node_id(2));
    refused(admit_node(51, heir), Answer::INVALID_REQUEST);
    EXPECT_EQ(replica_.status(remove_node(3)), Answer::OK);
    EXPECT_EQ(replica_.status(admit_node(51, heir)), Answer::OK);
    EXPECT_EQ(replica_.status(remove_node(2)), Answer::OK);
}

std::vector<Command> layout_history() {
    Command reencode;
    reencode.mutable_set_reencode()->mutable_reencode()->set_k(1);
    reencode.mutable_set_reencode()->mutable_reencode()->set_m(1);
    return {create_bucket("photos", kBucket),
            put_object(kBucket, "old", kBlob1, 3),
            found_trust(),
            put_token(2),
            put_token(3),
            admit_node(2, node(2)),
            admit_node(3, node(3)),
            set_profile("1+1"),
            set_layout(0, 1, 1, table_of({1, 2})),
            placed(put_object(kBucket, "k", kBlob2, 10), 1, 1, 1),
            set_layout(1, 1, 1, table_of({1, 3})),
            settle_slot(5, 1, 3, 2),
            set_layout(1, 1, 1, table_of({1, 3})),
            fill_slot_of(kBlob1, 0, 1, 2),
            reencode,
            replace_blob(kBlob2, kBlob3, 10),
            replace_blob(kBlob2, kBlob3, 10)};
}

TEST(LayoutReplicas, TheSameCommandsGiveTheSameBytes) {
    Replica one;
    Replica two;
    Staging staging(two.store());  // as a group applies them: in one batch
    std::uint64_t index = 0;
    for (const Command& command : layout_history()) {
        const Answer answer = one.apply(command);
        one.now += 50;
        for (int times = 0; times < 2; ++times) {  // the second time it is a replay
            const auto other = meta::apply(staging, base::LogIndex{++index}, one.last);
            ASSERT_TRUE(other);
            EXPECT_EQ(other->SerializeAsString(), answer.SerializeAsString());
            if (times == 0) {
                EXPECT_EQ(one.apply(one.last).SerializeAsString(), answer.SerializeAsString());
            }
        }
    }
    ASSERT_TRUE(staging.write());
    EXPECT_TRUE(rows_of(one.store()) == rows_of(two.store()));
    EXPECT_EQ(flaw_of_rows(one.store()), "");
}

// Rows of version 1 of the format. A change here is a change of the format.
TEST(LayoutGolden, Rows) {
    Replica replica;
    for (const Command& command : layout_history()) replica.apply(command);
    const auto hex = [&](const std::string& row) {
        return base::hex_encode(base::as_bytes(replica.store().get(row).value().value_or("none")));
    };
    EXPECT_EQ(hex(system_row("layout")),
              "080210011801200228ff1f3203312b313a0b080110011880d095ffbc31");
    EXPECT_EQ(hex(layout_row(5)),
              "080212104e4e4e4e4e4e4e4e000000000000000112104e4e4e4e4e4e4e4e0000000000000003");
    EXPECT_EQ(hex(layout_row(6)),
              "080212104e4e4e4e4e4e4e4e000000000000000112104e4e4e4e4e4e4e4e"
              "00000000000000031a14080112104e4e4e4e4e4e4e4e0000000000000002");
    EXPECT_EQ(hex(geometry_row({1, 1})), "0801100a");
    EXPECT_EQ(hex(alias_row(as_id<BlobId>(kBlob2))), base::hex_encode(base::as_bytes(kBlob3)));
    EXPECT_EQ(hex(blob_row(as_id<BlobId>(kBlob1))), "0803100120802028013080d095ffbc315001");
    EXPECT_EQ(hex(blob_row(as_id<BlobId>(kBlob3))),
              "080a100120802028013080d095ffbc314a1079797979797979790000000000000002");
}

}  // namespace
}  // namespace hamster::meta
