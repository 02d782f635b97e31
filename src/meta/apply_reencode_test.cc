#include <functional>

#include "meta/testing_layout.h"

namespace hamster::meta {
namespace {

using namespace testing;

class ReencodeTest : public LayoutTest {
  protected:
    ReencodeTest() {
        found(4);
        EXPECT_EQ(lay(2, 1, {1, 2, 3}), Answer::OK);
    }
    std::string found_as(const std::string& named) {
        const auto entry = *replica_.view().find_blob(as_id<BlobId>(named));
        return entry ? std::string(entry->id.view()) : "";
    }
    bool is_garbage(const std::string& id) {
        return rows_of(replica_.store(), Table::kGarbage).contains(garbage_row(as_id<BlobId>(id)));
    }
    std::size_t aliases() { return rows_of(replica_.store(), Table::kAlias).size(); }
    // 2+1 in place of what there was.
    static Command replaced(const std::string& blob, const std::string& by, std::uint64_t version,
                            std::uint64_t missing = 0) {
        Command command = replace_blob(blob, by, 9);
        place(*command.mutable_replace_blob()->mutable_by(), 2, 1, version, missing);
        return command;
    }
    void put(const std::string& key, const std::string& blob_id, std::uint64_t missing = 0) {
        const Command command = placed(put_object(kBucket, key, blob_id, 9), 1, 2, 1, missing);
        ASSERT_EQ(replica_.status(command), Answer::OK);
    }
};

TEST_F(ReencodeTest, AMissingSlotIsFilledByTheNodeThatHasIt) {
    ASSERT_EQ(lay(2, 2, {1, 2, 3, 4}), Answer::OK);
    ASSERT_EQ(replica_.status(placed(put_object(kBucket, "k", kBlob1, 9), 1, 3, 2, 0b110)),
              Answer::OK);
    EXPECT_EQ(degraded(), 1U);
    ignored(fill_slot_of(kBlob1, 1, 3, 2));  // another node's slot
    ignored(fill_slot_of(kBlob1, 1, 2, 1));  // of another time
    ignored(fill_slot_of(kBlob1, 1, 2, 3));
    ignored(fill_slot_of(kBlob1, 0, 1, 2));  // not missing
    ignored(fill_slot_of(kBlob1, 7, 1, 2));
    ignored(fill_slot_of(kBlob2, 1, 2, 2));  // no such blob
    EXPECT_EQ(replica_.status(fill_slot_of(kBlob1, 1, 2, 2)), Answer::OK);
    EXPECT_EQ(blob(kBlob1).missing(), 0b100U);
    EXPECT_EQ(degraded(), 1U);
    ignored(fill_slot_of(kBlob1, 1, 2, 2));
    EXPECT_EQ(replica_.status(fill_slot_of(kBlob1, 2, 3, 2)), Answer::OK);
    EXPECT_EQ(degraded(), 0U);
    replica_.apply(delete_object(kBucket, "k"));
    ignored(fill_slot_of(kBlob1, 2, 3, 2));  // garbage
}

TEST_F(ReencodeTest, MalformedFillsAreRefused) {
    const auto spoiled = [this](const std::function<void(proto::FillSlots::Filled&)>& spoil) {
        Command command = fill_slot_of(kBlob1, 1, 2, 1);
        spoil(*command.mutable_fill_slots()->mutable_filled(0));
        refused(command, Answer::INVALID_REQUEST);
    };
    spoiled([](auto& filled) { filled.set_blob_id("short"); });
    spoiled([](auto& filled) { filled.set_node("short"); });
    spoiled([](auto& filled) { filled.set_slot(256); });
}

TEST_F(ReencodeTest, ABlobOfTheTimeBeforeBecomesPlaced) {
    ASSERT_EQ(replica_.status(on_node(put_object(kBucket, "k", kBlob1, 9), 4)), Answer::OK);
    ASSERT_EQ(replica_.status(put_object(kBucket, "l", kBlob2, 9)), Answer::OK);
    EXPECT_EQ(held(4), 1U);
    EXPECT_EQ(held(1), 1U);
    ignored(fill_slot_of(kBlob1, 1, 2, 1));
    Command both = fill_slot_of(kBlob1, 0, 1, 1);
    both.mutable_fill_slots()->MergeFrom(fill_slot_of(kBlob2, 0, 1, 1).fill_slots());
    EXPECT_EQ(replica_.status(both), Answer::OK);
    EXPECT_TRUE(blob(kBlob1).placed());
    EXPECT_EQ(blob(kBlob1).holder(), "");
    EXPECT_EQ(held(4), 0U);
    EXPECT_EQ(held(1), 0U);
    ignored(both);
    EXPECT_EQ(replica_.status(remove_node(4)), Answer::OK);
}

TEST_F(ReencodeTest, TheNewBlobTakesOverReferencesAndName) {
    put("k", kBlob1);
    replica_.apply(copy_object(kBucket, "l", kBlob1, 9));
    replica_.now += 100;
    EXPECT_EQ(replica_.status(replaced(kBlob1, kBlob2, 1, 0)), Answer::OK);
    EXPECT_EQ(found_as(kBlob1), kBlob2);
    EXPECT_EQ(blob(kBlob2).references(), 2U);
    EXPECT_EQ(blob(kBlob2).created_ms(), kStart);
    EXPECT_EQ(blob(kBlob2).logical(), kBlob1);
    EXPECT_EQ(blob(kBlob2).k(), 2U);
    EXPECT_TRUE(is_garbage(kBlob1));
    EXPECT_EQ((*replica_.view().garbage(std::nullopt, 9))[0].garbage.since_ms(), kStart + 100);
    // Parts go on naming it as they did.
    EXPECT_EQ(replica_.status(copy_object(kBucket, "m", kBlob1, 9)), Answer::OK);
    EXPECT_EQ(blob(kBlob2).references(), 3U);
    refused(copy_object(kBucket, "n", kBlob2, 9), Answer::BLOB_GONE);  // that is no name
    replica_.apply(delete_object(kBucket, "k"));
    replica_.apply(delete_object(kBucket, "l"));
    EXPECT_EQ(aliases(), 1U);
    replica_.apply(delete_object(kBucket, "m"));
    EXPECT_TRUE(is_garbage(kBlob2));
    EXPECT_EQ(aliases(), 0U);
    EXPECT_EQ(found_as(kBlob1), "");
    drop(kBlob1);
    drop(kBlob2);
    EXPECT_TRUE(replica_.view().geometries()->empty());
}

TEST_F(ReencodeTest, ABlobIsReplacedAgainUnderItsFirstName) {
    put("k", kBlob1);
    replica_.apply(replaced(kBlob1, kBlob2, 1));
    refused(replaced(kBlob1, kBlob3, 1), Answer::BLOB_GONE);  // that one is garbage
    EXPECT_EQ(replica_.status(replaced(kBlob2, kBlob3, 1)), Answer::OK);
    EXPECT_EQ(found_as(kBlob1), kBlob3);
    EXPECT_EQ(found_as(kBlob2), "");
    EXPECT_EQ(blob(kBlob3).logical(), kBlob1);
    EXPECT_TRUE(is_garbage(kBlob2));
    drop(kBlob1);
    drop(kBlob2);
    EXPECT_EQ(found_as(kBlob1), kBlob3);
    // The name is taken for as long as it is in use.
    refused(placed(put_object(kBucket, "l", kBlob1, 9), 2, 1, 1), Answer::BLOB_GONE);
    refused(replaced(kBlob3, kBlob1, 1), Answer::BLOB_GONE);
}

TEST_F(ReencodeTest, TheNewBlobIsAdmittedLikeAnyOther) {
    put("k", kBlob1, 0b100);
    put("l", kBlob2);
    refused(replaced(kBlob1, kBlob2, 1), Answer::BLOB_GONE);
    refused(replaced(kBlob1, kBlob1, 1), Answer::BLOB_GONE);
    refused(replaced(kBlob3, id16('w', 1), 1), Answer::BLOB_GONE);
    refused(replaced(kBlob1, kBlob3, 2), Answer::INVALID_REQUEST);
    refused(replaced(kBlob1, kBlob3, 1, 0b1), Answer::TOO_FEW_SHARDS);
    refused(replaced("short", kBlob3, 1), Answer::INVALID_REQUEST);
    refused(replaced(kBlob1, "short", 1), Answer::INVALID_REQUEST);
    Command other_size = replaced(kBlob1, kBlob3, 1);
    other_size.mutable_replace_blob()->mutable_by()->mutable_geometry()->set_size(8);
    refused(other_size, Answer::INVALID_REQUEST);
    ASSERT_EQ(lay(2, 1, {1, 2, 4}), Answer::OK);
    refused(replaced(kBlob1, kBlob3, 1), Answer::LAYOUT_CHANGED);
    EXPECT_EQ(replica_.status(replaced(kBlob1, kBlob3, 2)), Answer::OK);
    EXPECT_EQ(degraded(), 0U);  // the new one lacks nothing
    replica_.now += kCommitWindowMs + 1;
    refused(replaced(kBlob2, id16('w', 1), 2), Answer::BLOB_GONE);  // sealed too long ago
}

TEST_F(ReencodeTest, TheNewBlobMayLackASlotToo) {
    Command command = placed(put_object(kBucket, "k", kBlob1, 9), 1, 0, 1);
    ASSERT_EQ(replica_.status(command), Answer::OK);
    command = replaced(kBlob1, kBlob2, 1);
    place(*command.mutable_replace_blob()->mutable_by(), 1, 2, 1, 0b10);
    EXPECT_EQ(replica_.status(command), Answer::OK);
    EXPECT_EQ((*replica_.view().degraded(std::nullopt, 9))[0].id.view(), kBlob2);
    EXPECT_EQ(replica_.status(fill_slot_of(kBlob2, 1, 2, 1)), Answer::OK);
    EXPECT_EQ(blob(kBlob2).logical(), kBlob1);
}

TEST_F(ReencodeTest, ABlobWithItsHolderIsReplaced) {
    ASSERT_EQ(replica_.status(on_node(put_object(kBucket, "k", kBlob1, 9), 4)), Answer::OK);
    EXPECT_EQ(replica_.status(replaced(kBlob1, kBlob2, 1)), Answer::OK);
    EXPECT_EQ(held(4), 1U);  // as garbage
    drop(kBlob1);
    EXPECT_EQ(held(4), 0U);
}

TEST_F(ReencodeTest, PartsOfUploadsFollowTheirBlobs) {
    replica_.apply(create_upload(kBucket, "k", kUpload));
    ASSERT_EQ(replica_.status(placed(put_part(kBucket, "k", kUpload, 1, kBlob1, 9), 1, 2, 1)),
              Answer::OK);
    EXPECT_EQ(replica_.status(replaced(kBlob1, kBlob2, 1)), Answer::OK);
    EXPECT_EQ(replica_.status(complete_upload(kBucket, "k", kUpload, {{1, kBlob1}})), Answer::OK);
    EXPECT_EQ(blob(kBlob2).references(), 1U);
    replica_.apply(create_upload(kBucket, "l", kUpload));
    put("m", kBlob3);
    EXPECT_EQ(replica_.status(replaced(kBlob3, id16('w', 1), 1)), Answer::OK);
    EXPECT_EQ(replica_.status(copy_object(kBucket, "k", kBlob1, 9)), Answer::OK);  // onto itself
    EXPECT_EQ(blob(kBlob2).references(), 1U);
    replica_.apply(placed(put_object(kBucket, "k", id16('w', 2), 9), 2, 1, 1));
    EXPECT_TRUE(is_garbage(kBlob2));
}

TEST_F(ReencodeTest, ANameAndWhatItLeadsToAreOneBlob) {
    put("k", kBlob1);
    replica_.apply(replaced(kBlob1, kBlob2, 1));
    Command command = copy_object(kBucket, "l", kBlob1, 9);
    auto& body = *command.mutable_put_object();
    *body.mutable_version()->add_parts() = body.version().parts(0);
    body.mutable_version()->set_size(18);
    EXPECT_EQ(replica_.status(command), Answer::OK);
    EXPECT_EQ(blob(kBlob2).references(), 3U);
    body.add_shared_blobs(kBlob2);
    refused(command, Answer::BLOB_GONE);
}

}  // namespace
}  // namespace hamster::meta
