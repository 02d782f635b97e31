#include "meta/apply.h"

#include "meta/testing.h"

namespace hamster::meta {
namespace {

using namespace testing;

class ApplyTest : public ::testing::Test {
  protected:
    ApplyTest() { EXPECT_EQ(replica_.status(create_bucket("photos", kBucket)), Answer::OK); }
    std::uint32_t references(const std::string& blob) {
        const auto found = *replica_.view().blob(as_id<BlobId>(blob));
        return found ? found->references() : 0;
    }
    bool is_garbage(const std::string& blob) {
        return rows_of(replica_.store(), Table::kGarbage)
            .contains(garbage_row(as_id<BlobId>(blob)));
    }
    proto::BucketCounters counters() { return *replica_.view().counters(as_id<BucketId>(kBucket)); }
    std::optional<proto::Version> newest(const std::string& key) {
        return *replica_.view().newest(as_id<BucketId>(kBucket), key);
    }
    Replica replica_;
};

TEST_F(ApplyTest, PutReplacesTheNullVersionAndLetsItsBlobGo) {
    const Answer first = replica_.apply(put_object(kBucket, "k", kBlob1, 10));
    EXPECT_EQ(first.status(), Answer::OK);
    EXPECT_EQ(first.etag(), etag_of(kBlob1));
    EXPECT_EQ(first.version_id(), std::string(16, '\0'));
    EXPECT_EQ(first.modified_ms(), kStart);
    EXPECT_EQ(references(kBlob1), 1U);
    replica_.now += 7;
    EXPECT_EQ(replica_.status(put_object(kBucket, "k", kBlob2, 5)), Answer::OK);
    EXPECT_EQ(references(kBlob1), 0U);
    EXPECT_TRUE(is_garbage(kBlob1));
    EXPECT_EQ(newest("k")->modified_ms(), kStart + 7);
    EXPECT_EQ(counters().objects(), 1U);
    EXPECT_EQ(counters().versions(), 1U);
    EXPECT_EQ(counters().bytes(), 5U);
}

TEST_F(ApplyTest, CopySharesBlobsAlsoOntoItself) {
    replica_.apply(put_object(kBucket, "k", kBlob1, 10));
    EXPECT_EQ(replica_.status(copy_object(kBucket, "k", kBlob1, 10)), Answer::OK);
    EXPECT_EQ(references(kBlob1), 1U);
    EXPECT_EQ(replica_.status(copy_object(kBucket, "l", kBlob1, 10)), Answer::OK);
    EXPECT_EQ(references(kBlob1), 2U);
    replica_.apply(delete_object(kBucket, "k"));
    EXPECT_FALSE(is_garbage(kBlob1));
    replica_.apply(delete_object(kBucket, "l"));
    EXPECT_TRUE(is_garbage(kBlob1));
    EXPECT_EQ(replica_.status(copy_object(kBucket, "m", kBlob1, 10)), Answer::BLOB_GONE);
    EXPECT_FALSE(newest("m"));
}

TEST_F(ApplyTest, NewBlobsMustBeFreshAndUnknown) {
    replica_.now = kStart + kCommitWindowMs;
    EXPECT_EQ(replica_.status(put_object(kBucket, "k", kBlob1, 1, kStart)), Answer::OK);
    EXPECT_EQ(replica_.status(put_object(kBucket, "l", kBlob2, 1, kStart - 1)), Answer::BLOB_GONE);
    EXPECT_EQ(replica_.status(put_object(kBucket, "l", kBlob3, 1, UINT64_MAX)), Answer::OK);
    EXPECT_EQ(replica_.status(put_object(kBucket, "m", kBlob1, 1, replica_.now)),
              Answer::BLOB_GONE);
    replica_.apply(delete_object(kBucket, "k"));
    EXPECT_EQ(replica_.status(put_object(kBucket, "m", kBlob1, 1, replica_.now)),
              Answer::BLOB_GONE);
}

TEST_F(ApplyTest, MalformedPutsChangeNothing) {
    const Rows before = rows_of(replica_.store(), Table::kBlob);
    Command wrong_size = put_object(kBucket, "k", kBlob1, 10);
    wrong_size.mutable_put_object()->mutable_version()->set_size(11);
    EXPECT_EQ(replica_.status(wrong_size), Answer::INVALID_REQUEST);
    Command unnamed = put_object(kBucket, "k", kBlob1, 10);
    add_new_blob(*unnamed.mutable_put_object()->add_new_blobs(), kBlob2, 3, kStart);
    EXPECT_EQ(replica_.status(unnamed), Answer::INVALID_REQUEST);
    Command missing = put_object(kBucket, "k", kBlob1, 10);
    missing.mutable_put_object()->clear_new_blobs();
    EXPECT_EQ(replica_.status(missing), Answer::INVALID_REQUEST);
    EXPECT_EQ(replica_.status(put_object(kBucket, "", kBlob1, 10)), Answer::INVALID_REQUEST);
    EXPECT_EQ(replica_.status(put_object(kBucket, std::string(1025, 'k'), kBlob1, 10)),
              Answer::INVALID_REQUEST);
    EXPECT_EQ(replica_.status(put_object(id16('b', 9), "k", kBlob1, 10)), Answer::NO_SUCH_BUCKET);
    EXPECT_EQ(rows_of(replica_.store(), Table::kBlob), before);
}

TEST_F(ApplyTest, PreconditionsHaveOneWinner) {
    Command create = put_object(kBucket, "k", kBlob1, 1);
    create.mutable_put_object()->mutable_precondition()->set_if_none_match_any(true);
    EXPECT_EQ(replica_.status(create), Answer::OK);
    Command again = put_object(kBucket, "k", kBlob2, 1);
    again.mutable_put_object()->mutable_precondition()->set_if_none_match_any(true);
    EXPECT_EQ(replica_.status(again), Answer::PRECONDITION_FAILED);
    EXPECT_EQ(references(kBlob2), 0U);
    Command swap = put_object(kBucket, "k", kBlob2, 1);
    swap.mutable_put_object()->mutable_precondition()->set_if_match_etag(etag_of(kBlob3));
    EXPECT_EQ(replica_.status(swap), Answer::PRECONDITION_FAILED);
    swap.mutable_put_object()->mutable_precondition()->set_if_match_etag(etag_of(kBlob1));
    EXPECT_EQ(replica_.status(swap), Answer::OK);
    swap.mutable_put_object()->set_key("absent");
    EXPECT_EQ(replica_.status(swap), Answer::KEY_NOT_FOUND_FOR_IF_MATCH);
}

TEST_F(ApplyTest, DeletesAreConditionalAndIdempotent) {
    EXPECT_EQ(replica_.status(delete_object(kBucket, "absent")), Answer::OK);
    replica_.now += 400;
    replica_.apply(put_object(kBucket, "k", kBlob1, 3));
    Command command = delete_object(kBucket, "k");
    auto& condition = *command.mutable_delete_object()->mutable_precondition();
    condition.set_if_match_size(4);
    EXPECT_EQ(replica_.status(command), Answer::PRECONDITION_FAILED);
    condition.set_if_match_size(3);
    condition.set_if_match_modified_ms(kStart + 1000);
    EXPECT_EQ(replica_.status(command), Answer::PRECONDITION_FAILED);
    condition.set_if_match_modified_ms(kStart);  // clients know the second only
    EXPECT_EQ(replica_.status(command), Answer::OK);
    EXPECT_FALSE(newest("k"));
    EXPECT_EQ(replica_.status(command), Answer::KEY_NOT_FOUND_FOR_IF_MATCH);
    replica_.apply(put_object(kBucket, "k", kBlob2, 3));
    command = delete_object(kBucket, "k");
    command.mutable_delete_object()->set_version_id(id16('v', 1));
    EXPECT_EQ(replica_.status(command), Answer::OK);  // no such version: nothing to do
    EXPECT_TRUE(newest("k"));
    command.mutable_delete_object()->set_version_id(std::string(16, '\0'));
    EXPECT_EQ(replica_.apply(command).version_id(), std::string(16, '\0'));
    EXPECT_FALSE(newest("k"));
    EXPECT_EQ(counters().bytes(), 0U);
}

TEST_F(ApplyTest, TagsChangeInPlace) {
    replica_.apply(put_object(kBucket, "k", kBlob1, 3));
    const auto listed = rows_of(replica_.store(), Table::kCurrent);
    Command command;
    auto& body = *command.mutable_put_tags();
    body.set_bucket_id(kBucket);
    body.set_key("k");
    body.add_tags()->set_name("colour");
    replica_.now += 5000;
    EXPECT_EQ(replica_.status(command), Answer::OK);
    EXPECT_EQ(newest("k")->headers().tags(0).name(), "colour");
    EXPECT_EQ(newest("k")->modified_ms(), kStart);
    EXPECT_EQ(rows_of(replica_.store(), Table::kCurrent), listed);
    body.set_version_id(id16('v', 1));
    EXPECT_EQ(replica_.status(command), Answer::NO_SUCH_VERSION);
    body.clear_version_id();
    body.set_key("absent");
    EXPECT_EQ(replica_.status(command), Answer::NO_SUCH_KEY);
}

TEST_F(ApplyTest, AReplayChangesNothingAndAnswersTheSame) {
    const Answer first = replica_.apply(put_object(kBucket, "k", kBlob1, 3));
    const Command replay = replica_.last;
    replica_.apply(delete_object(kBucket, "k"));
    Rows before = rows_of(replica_.store());
    replica_.now += kRequestForgetStepMs - 1;
    const Answer second = replica_.apply(replay);
    EXPECT_EQ(second.SerializeAsString(), first.SerializeAsString());
    Rows after = rows_of(replica_.store());
    before.erase(system_row("applied"));
    after.erase(system_row("applied"));
    EXPECT_EQ(before, after);
}

TEST_F(ApplyTest, AnOldRequestIdIsRefusedEvenWhenForgotten) {
    replica_.apply(put_object(kBucket, "k", kBlob1, 3));
    const Command replay = replica_.last;
    replica_.apply(delete_object(kBucket, "k"));
    replica_.now += kRequestMemoryMs;
    EXPECT_EQ(replica_.status(replay), Answer::OK);  // still remembered
    replica_.now += kRequestForgetStepMs;
    replica_.apply(delete_object(kBucket, "k"));  // forgets
    EXPECT_EQ(rows_of(replica_.store(), Table::kRequest).size(), 1U);
    EXPECT_EQ(replica_.status(replay), Answer::REQUEST_EXPIRED);
    EXPECT_FALSE(newest("k"));
}

TEST_F(ApplyTest, UnknownAndMalformedCommandsOnlyAdvance) {
    Rows before = rows_of(replica_.store());
    Command unknown;
    EXPECT_EQ(replica_.status(unknown), Answer::UNKNOWN_COMMAND);
    Command short_id = delete_object(kBucket, "k");
    short_id.set_request_id("short");
    EXPECT_EQ(replica_.status(short_id), Answer::INVALID_REQUEST);
    Command future = delete_object(kBucket, "k");
    future.set_request_id(
        std::string(mint_request_id(kStart + kRequestAheadMs + 1, base::RequestId{}).view()));
    EXPECT_EQ(replica_.status(future), Answer::INVALID_REQUEST);
    Command stamp = delete_object(kBucket, "k");
    stamp.set_stamp_ms(UINT64_MAX);
    stamp.set_request_id(std::string(mint_request_id(kStart, base::RequestId{}).view()));
    Staging staging(replica_.store());
    const auto answer = meta::apply(staging, base::LogIndex{replica_.index() + 1}, stamp);
    ASSERT_TRUE(staging.write());
    EXPECT_EQ(answer->status(), Answer::INVALID_REQUEST);
    EXPECT_EQ(applied(replica_.store())->stamp_ms(), kStart);
    Rows after = rows_of(replica_.store());
    before.erase(system_row("applied"));
    after.erase(system_row("applied"));
    EXPECT_EQ(before, after);
    EXPECT_FALSE(decode_command(base::as_bytes("\xFF\xFF")));
}

TEST_F(ApplyTest, ClusterTimeNeverGoesBack) {
    replica_.now += 1000;
    replica_.apply(put_object(kBucket, "k", kBlob1, 3));
    replica_.now -= 900;
    EXPECT_EQ(replica_.apply(put_object(kBucket, "l", kBlob2, 3)).modified_ms(), kStart + 1000);
}

TEST_F(ApplyTest, BucketsAreUniqueAndEmptyWhenDeleted) {
    EXPECT_EQ(replica_.status(create_bucket("photos", id16('b', 2))),
              Answer::BUCKET_ALREADY_OWNED_BY_YOU);
    EXPECT_EQ(replica_.status(put_user(id16('U', 1), "ada")), Answer::OK);
    EXPECT_EQ(replica_.status(create_bucket("photos", id16('b', 2), id16('U', 1))),
              Answer::BUCKET_ALREADY_EXISTS);
    EXPECT_EQ(replica_.status(create_bucket("other", id16('b', 2), id16('U', 7))),
              Answer::NO_SUCH_USER);
    EXPECT_EQ(replica_.status(create_bucket("other", kBucket)), Answer::INVALID_REQUEST);
    replica_.apply(put_object(kBucket, "k", kBlob1, 3));
    EXPECT_EQ(replica_.status(delete_bucket(kBucket)), Answer::BUCKET_NOT_EMPTY);
    replica_.apply(delete_object(kBucket, "k"));
    replica_.apply(create_upload(kBucket, "k", kUpload));
    replica_.apply(put_part(kBucket, "k", kUpload, 1, kBlob2, 3));
    EXPECT_EQ(replica_.status(delete_bucket(kBucket)), Answer::OK);
    EXPECT_TRUE(is_garbage(kBlob2));
    EXPECT_TRUE(rows_of(replica_.store(), Table::kPart).empty());
    EXPECT_TRUE(rows_of(replica_.store(), Table::kUpload).empty());
    EXPECT_TRUE(rows_of(replica_.store(), Table::kBucketCounters).empty());
    EXPECT_EQ(replica_.status(delete_bucket(kBucket)), Answer::NO_SUCH_BUCKET);
    EXPECT_EQ(replica_.status(create_bucket("photos", id16('b', 3))), Answer::OK);
}

TEST_F(ApplyTest, UsersAndCredentials) {
    const std::string ada = id16('U', 1);
    EXPECT_EQ(replica_.status(put_user(ada, "ada")), Answer::OK);
    EXPECT_EQ(replica_.status(put_user(id16('U', 2), "ada")), Answer::USER_EXISTS);
    EXPECT_EQ(replica_.status(put_user(kRoot, "root")), Answer::INVALID_REQUEST);
    Command credential;
    auto& body = *credential.mutable_put_credential()->mutable_credential();
    body.set_access_key_id("AK1");
    body.set_user_id(ada);
    body.set_sealed_secret("sealed");
    EXPECT_EQ(replica_.status(credential), Answer::OK);
    EXPECT_EQ(replica_.view().credentials_of(as_id<UserId>(ada))->size(), 1U);
    body.set_user_id(id16('U', 9));
    EXPECT_EQ(replica_.status(credential), Answer::NO_SUCH_USER);
    EXPECT_EQ(replica_.status(put_user(ada, "lovelace")), Answer::OK);  // renamed
    EXPECT_FALSE(*replica_.view().user_by_name("ada"));
    EXPECT_EQ((*replica_.view().user_by_name("lovelace"))->user_id(), ada);
    replica_.apply(create_bucket("engine", id16('b', 4), ada));
    Command gone;
    gone.mutable_delete_user()->set_user_id(ada);
    EXPECT_EQ(replica_.apply(gone).detail(), "the user owns bucket engine");
    replica_.apply(delete_bucket(id16('b', 4)));
    EXPECT_EQ(replica_.status(gone), Answer::OK);
    EXPECT_FALSE(*replica_.view().credential("AK1"));
    EXPECT_TRUE(replica_.view().users()->empty());
    EXPECT_EQ(replica_.status(gone), Answer::NO_SUCH_USER);
    Command revoke;
    revoke.mutable_delete_credential()->set_access_key_id("AK1");
    EXPECT_EQ(replica_.status(revoke), Answer::NO_SUCH_CREDENTIAL);
}

TEST_F(ApplyTest, GarbageIsDroppedOnlyWhenItIsGarbage) {
    replica_.apply(put_object(kBucket, "k", kBlob1, 3));
    Command drop;
    drop.mutable_drop_garbage()->add_blob_ids(kBlob1);
    drop.mutable_drop_garbage()->add_blob_ids(kBlob2);
    EXPECT_EQ(replica_.status(drop), Answer::OK);
    EXPECT_EQ(references(kBlob1), 1U);
    replica_.apply(delete_object(kBucket, "k"));
    EXPECT_TRUE(*replica_.view().knows_blob(as_id<BlobId>(kBlob1)));
    EXPECT_EQ(replica_.view().garbage(std::nullopt, 9)->front().garbage.since_ms(), kStart);
    EXPECT_EQ(replica_.status(drop), Answer::OK);
    EXPECT_FALSE(*replica_.view().knows_blob(as_id<BlobId>(kBlob1)));
    EXPECT_TRUE(replica_.view().garbage(std::nullopt, 9)->empty());
}

// What one PUT leaves in the store, byte for byte. A change here is a change of the format.
TEST(ApplyGolden, OnePut) {
    Replica replica;
    replica.apply(create_bucket("photos", kBucket));
    replica.apply(put_object(kBucket, "k", kBlob1, 10));
    const auto hex = [&](const std::string& row) {
        return base::hex_encode(base::as_bytes(*replica.store().get(row).value()));
    };
    const auto bucket = as_id<BucketId>(kBucket);
    EXPECT_EQ(hex(system_row("applied")), "08021080d095ffbc3118c0a68effbc31");
    EXPECT_EQ(hex(bucket_counters_row(bucket)), "0801100a1801");
    EXPECT_EQ(hex(current_row(bucket, "k")),
              "080a1080d095ffbc311a203536376536373432356236343139346166613939616339616136393761"
              "323361");
    EXPECT_EQ(hex(version_row(bucket, "k", VersionId{})),
              "0a1000000000000000000000000000000000180a2080d095ffbc312a203536376536373432356236"
              "34313934616661393961633961613639376132336142261210787878787878787800000000000000"
              "01180a2210567e67425b64194afa99ac9aa697a23a5a10018bcfe5680070008000000000000800");
    EXPECT_EQ(hex(blob_row(as_id<BlobId>(kBlob1))), "080a100120802028013080d095ffbc31");
    EXPECT_EQ(base::hex_encode(base::as_bytes(replica.last.SerializeAsString())),
              "0a10018bcfe56800727280000000000000021080d095ffbc316287010a1062626262626262620000"
              "00000000000112016b224c180a2a2035363765363734323562363431393461666139396163396161"
              "363937613233614226121078787878787878780000000000000001180a2210567e67425b64194afa"
              "99ac9aa697a23a2a220a10787878787878787800000000000000011207080a10012080201880d095"
              "ffbc31");
}

}  // namespace
}  // namespace hamster::meta
