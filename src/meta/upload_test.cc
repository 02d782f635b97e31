#include "meta/composite.h"
#include "meta/testing.h"

namespace hamster::meta {
namespace {

using namespace testing;

const std::string kKey = "film";
constexpr std::uint64_t kBig = 5 * kMiB;

std::string blob(std::uint64_t number) { return id16('p', number); }

class UploadTest : public ::testing::Test {
  protected:
    UploadTest() {
        EXPECT_EQ(replica_.status(create_bucket("films", kBucket)), Answer::OK);
        EXPECT_EQ(replica_.status(create_upload(kBucket, kKey, kUpload)), Answer::OK);
    }
    Answer::Status part(std::uint32_t number, std::uint64_t blob_number, std::uint64_t size) {
        return replica_.status(put_part(kBucket, kKey, kUpload, number, blob(blob_number), size));
    }
    bool is_garbage(std::uint64_t number) {
        return rows_of(replica_.store(), Table::kGarbage)
            .contains(garbage_row(as_id<BlobId>(blob(number))));
    }
    Answer complete(const Listed& parts) {
        return replica_.apply(complete_upload(kBucket, kKey, kUpload, parts));
    }
    Replica replica_;
};

TEST_F(UploadTest, CompleteJoinsPartsAndLetsTheOthersGo) {
    part(1, 1, kBig);
    part(2, 2, kBig);
    part(7, 7, 3);
    auto counters = *replica_.view().counters(as_id<BucketId>(kBucket));
    EXPECT_EQ(counters.uploads(), 1U);
    EXPECT_EQ(counters.bytes(), 2 * kBig + 3);
    const Answer answer = complete({{1, blob(1)}, {7, blob(7)}});
    EXPECT_EQ(answer.status(), Answer::OK);
    EXPECT_EQ(answer.size(), kBig + 3);
    const std::string joined = md5_of(blob(1)) + md5_of(blob(7));
    EXPECT_EQ(answer.etag(), etag_of(joined) + "-2");
    const auto version = *replica_.view().newest(as_id<BucketId>(kBucket), kKey);
    EXPECT_TRUE(version->multipart());
    EXPECT_EQ(version->parts(1).number(), 7U);
    EXPECT_TRUE(is_garbage(2));
    EXPECT_EQ((*replica_.view().blob(as_id<BlobId>(blob(1))))->references(), 1U);
    counters = *replica_.view().counters(as_id<BucketId>(kBucket));
    EXPECT_EQ(counters.uploads(), 0U);
    EXPECT_EQ(counters.objects(), 1U);
    EXPECT_EQ(counters.bytes(), kBig + 3);
    EXPECT_TRUE(rows_of(replica_.store(), Table::kPart).empty());
    EXPECT_TRUE(rows_of(replica_.store(), Table::kUploadById).empty());
}

TEST_F(UploadTest, APartPutAgainReplacesTheFirst) {
    part(1, 1, kBig);
    EXPECT_EQ(part(1, 2, 9), Answer::OK);
    EXPECT_TRUE(is_garbage(1));
    EXPECT_EQ(replica_.view().counters(as_id<BucketId>(kBucket))->bytes(), 9U);
    const Answer stale = complete({{1, blob(1)}});
    EXPECT_EQ(stale.status(), Answer::INVALID_PART);
    EXPECT_EQ(stale.detail(), "1");
    EXPECT_EQ(complete({{1, blob(2)}}).status(), Answer::OK);
}

TEST_F(UploadTest, TheListIsJudged) {
    part(1, 1, kBig - 1);
    part(2, 2, 9);
    EXPECT_EQ(complete({}).status(), Answer::INVALID_REQUEST);
    EXPECT_EQ(complete({{2, blob(2)}, {1, blob(1)}}).status(), Answer::INVALID_PART_ORDER);
    EXPECT_EQ(complete({{1, blob(1)}, {1, blob(1)}}).status(), Answer::INVALID_PART_ORDER);
    EXPECT_EQ(complete({{1, blob(1)}, {3, blob(3)}}).detail(), "3");
    EXPECT_EQ(complete({{1, blob(1)}, {2, blob(2)}}).status(), Answer::ENTITY_TOO_SMALL);
    Command sized = complete_upload(kBucket, kKey, kUpload, {{2, blob(2)}});
    sized.mutable_complete_upload()->set_expected_size(10);
    EXPECT_EQ(replica_.status(sized), Answer::SIZE_MISMATCH);
    sized.mutable_complete_upload()->set_expected_size(9);
    sized.mutable_complete_upload()->mutable_precondition()->set_if_match_etag("x");
    EXPECT_EQ(replica_.status(sized), Answer::KEY_NOT_FOUND_FOR_IF_MATCH);
    sized.mutable_complete_upload()->clear_precondition();
    EXPECT_EQ(replica_.status(sized), Answer::OK);
}

TEST_F(UploadTest, MalformedPartsAreRefused) {
    EXPECT_EQ(part(0, 1, 5), Answer::INVALID_REQUEST);
    EXPECT_EQ(part(kMaxParts + 1, 1, 5), Answer::INVALID_REQUEST);
    EXPECT_EQ(part(1, 1, kMaxObjectPutBytes + 1), Answer::INVALID_REQUEST);
    EXPECT_EQ(part(kMaxParts, 1, 0), Answer::OK);
    EXPECT_EQ(replica_.status(put_part(kBucket, "other", kUpload, 1, blob(1), 5)),
              Answer::NO_SUCH_UPLOAD);
    EXPECT_EQ(replica_.status(create_upload(kBucket, "other", kUpload)), Answer::INVALID_REQUEST);
}

TEST_F(UploadTest, CompleteAndAbortAreIdempotentForAWhile) {
    part(1, 1, 9);
    const Answer first = complete({{1, blob(1)}});
    replica_.now += kFinishedUploadMemoryMs;
    EXPECT_EQ(complete({{1, blob(1)}}).SerializeAsString(), first.SerializeAsString());
    EXPECT_EQ(complete({{1, blob(2)}}).status(), Answer::NO_SUCH_UPLOAD);
    EXPECT_EQ(replica_.status(abort_upload(kBucket, kKey, kUpload)), Answer::NO_SUCH_UPLOAD);

    const std::string other = id16('u', 2);
    replica_.apply(create_upload(kBucket, kKey, other));
    replica_.apply(put_part(kBucket, kKey, other, 1, blob(5), 9, replica_.now));
    EXPECT_EQ(replica_.status(abort_upload(kBucket, kKey, other)), Answer::OK);
    EXPECT_TRUE(is_garbage(5));
    EXPECT_EQ(replica_.status(abort_upload(kBucket, kKey, other)), Answer::OK);
    EXPECT_EQ(replica_.status(abort_upload(kBucket, "else", other)), Answer::NO_SUCH_UPLOAD);
    EXPECT_EQ(replica_.status(complete_upload(kBucket, kKey, other, {{1, blob(5)}})),
              Answer::NO_SUCH_UPLOAD);
    EXPECT_EQ(replica_.status(abort_upload(kBucket, kKey, id16('u', 9))), Answer::NO_SUCH_UPLOAD);
}

TEST_F(UploadTest, EndedUploadsAreForgottenAFewAtATime) {
    const std::size_t count = kForgetUploadsPerCommand + 5;
    for (std::size_t i = 0; i < count; ++i) {
        replica_.apply(create_upload(kBucket, kKey, id16('w', i)));
        EXPECT_EQ(replica_.status(abort_upload(kBucket, kKey, id16('w', i))), Answer::OK);
    }
    EXPECT_EQ(rows_of(replica_.store(), Table::kFinishedUpload).size(), count);
    replica_.now += kFinishedUploadMemoryMs + 1;
    EXPECT_EQ(replica_.status(abort_upload(kBucket, kKey, kUpload)), Answer::OK);
    EXPECT_EQ(rows_of(replica_.store(), Table::kFinishedUpload).size(), 5U + 1);
    replica_.apply(create_upload(kBucket, kKey, id16('w', count)));
    EXPECT_EQ(replica_.status(abort_upload(kBucket, kKey, id16('w', count))), Answer::OK);
    EXPECT_EQ(rows_of(replica_.store(), Table::kFinishedUpload).size(), 2U);
    EXPECT_EQ(rows_of(replica_.store(), Table::kFinishedByTime).size(), 2U);
}

// Checksums of a multipart object against those of its joined bytes.
class ChecksumTest : public ::testing::TestWithParam<proto::ChecksumAlgorithm> {
  protected:
    static crypto::DigestKind kind() {
        switch (GetParam()) {
            case proto::CHECKSUM_CRC32:
                return crypto::DigestKind::kCrc32;
            case proto::CHECKSUM_CRC32C:
                return crypto::DigestKind::kCrc32c;
            case proto::CHECKSUM_CRC64NVME:
                return crypto::DigestKind::kCrc64Nvme;
            case proto::CHECKSUM_SHA1:
                return crypto::DigestKind::kSha1;
            default:
                return crypto::DigestKind::kSha256;
        }
    }
    static std::string raw(const std::string& bytes) {
        return crypto::digest_of(kind(), base::as_bytes(bytes));
    }
    static proto::Part part_of(const std::string& bytes) {
        proto::Part part;
        part.set_size(bytes.size());
        part.mutable_checksum()->set_algorithm(GetParam());
        part.mutable_checksum()->set_value(raw(bytes));
        return part;
    }
};

TEST_P(ChecksumTest, FullObjectAndComposite) {
    const std::vector<std::string> bodies = {"first part", "", "and the second", "x"};
    std::vector<proto::Part> parts;
    std::string joined;
    std::string digests;
    for (const auto& body : bodies) {
        parts.push_back(part_of(body));
        joined += body;
        digests += raw(body);
    }
    proto::Upload upload;
    upload.set_checksum_algorithm(GetParam());
    upload.set_checksum_type(proto::CHECKSUM_TYPE_COMPOSITE);
    EXPECT_EQ(composite_checksum(upload, parts)->value(), raw(digests));
    upload.set_checksum_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    const auto full = composite_checksum(upload, parts);
    EXPECT_EQ(full.has_value(), crypto::is_crc(kind()));
    if (full) {
        EXPECT_EQ(full->value(), raw(joined));
    }
    parts[2].clear_checksum();
    EXPECT_FALSE(composite_checksum(upload, parts));
}

INSTANTIATE_TEST_SUITE_P(All, ChecksumTest,
                         ::testing::Values(proto::CHECKSUM_CRC32, proto::CHECKSUM_CRC32C,
                                           proto::CHECKSUM_CRC64NVME, proto::CHECKSUM_SHA1,
                                           proto::CHECKSUM_SHA256));

TEST_F(UploadTest, ClaimedChecksumsMustMatch) {
    const std::string upload = id16('u', 3);
    Command create = create_upload(kBucket, kKey, upload);
    create.mutable_create_upload()->mutable_upload()->set_checksum_algorithm(
        proto::CHECKSUM_SHA256);
    replica_.apply(create);
    Command put = put_part(kBucket, kKey, upload, 1, blob(1), 9);
    proto::Checksum checksum;
    checksum.set_algorithm(proto::CHECKSUM_SHA256);
    checksum.set_value(crypto::sha256(base::as_bytes("nine byte")));
    *put.mutable_put_part()->mutable_part()->mutable_checksum() = checksum;
    EXPECT_EQ(replica_.apply(put).checksum().value(), checksum.value());

    Command command = complete_upload(kBucket, kKey, upload, {{1, blob(1)}});
    auto& body = *command.mutable_complete_upload();
    *body.mutable_parts(0)->mutable_checksum() = checksum;
    body.mutable_parts(0)->mutable_checksum()->set_value("wrong");
    EXPECT_EQ(replica_.status(command), Answer::INVALID_PART);
    *body.mutable_parts(0)->mutable_checksum() = checksum;
    *body.mutable_checksum() = checksum;  // of the bytes, but the whole is composite
    EXPECT_EQ(replica_.status(command), Answer::BAD_CHECKSUM);
    body.mutable_checksum()->set_value(crypto::sha256(base::as_bytes(checksum.value())));
    body.mutable_checksum()->set_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    EXPECT_EQ(replica_.status(command), Answer::INVALID_REQUEST);
    body.mutable_checksum()->set_type(proto::CHECKSUM_TYPE_COMPOSITE);
    const Answer answer = replica_.apply(command);
    EXPECT_EQ(answer.status(), Answer::OK);
    EXPECT_EQ(answer.checksum().type(), proto::CHECKSUM_TYPE_COMPOSITE);
    EXPECT_EQ(answer.checksum().value(), body.checksum().value());
}

}  // namespace
}  // namespace hamster::meta
