// What writes, copies and uploads decide before they touch a byte.
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "s3/ops/answer.h"
#include "s3/ops/checksums.h"
#include "s3/ops/complete_multipart_upload.h"
#include "s3/ops/copy_object.h"
#include "s3/ops/copy_source.h"
#include "s3/ops/create_bucket.h"
#include "s3/ops/delete_objects.h"
#include "s3/ops/mail_words.h"
#include "s3/ops/object_headers.h"
#include "s3/ops/post_object.h"
#include "s3/ops/put_object.h"
#include "s3/ops/tags.h"
#include "s3/ops/upload_part.h"
#include "s3/ops/upload_part_copy.h"

namespace hamster::s3::ops {
namespace {

RequestHead head_of(std::vector<Header> headers) {
    RequestHead head;
    head.headers = std::move(headers);
    return head;
}

const std::string* find(const Reply& reply, std::string_view name) {
    for (const auto& [have, value] : reply.headers) {
        if (have == name) return &value;
    }
    return nullptr;
}

TEST(Checksums, TextForms) {
    proto::Checksum checksum;
    checksum.set_algorithm(proto::CHECKSUM_CRC32);
    checksum.set_value(std::string("\x0D\x4A\x11\x85", 4));
    checksum.set_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    EXPECT_EQ(checksum_text(checksum, 3), "DUoRhQ==");
    checksum.set_type(proto::CHECKSUM_TYPE_COMPOSITE);
    EXPECT_EQ(checksum_text(checksum, 3), "DUoRhQ==-3");
    EXPECT_EQ(checksum_text(checksum, 0), "DUoRhQ==");
    EXPECT_EQ(*parse_checksum_value(proto::CHECKSUM_CRC32, "DUoRhQ=="), checksum.value());
    EXPECT_EQ(*parse_checksum_value(proto::CHECKSUM_CRC32, "DUoRhQ==-12"), checksum.value());
    EXPECT_FALSE(parse_checksum_value(proto::CHECKSUM_CRC32, "DUoRhQ==-"));
    EXPECT_FALSE(parse_checksum_value(proto::CHECKSUM_CRC32, "DUoRhQ"));
    EXPECT_FALSE(parse_checksum_value(proto::CHECKSUM_SHA1, "DUoRhQ=="));
}

TEST(Checksums, NamesGoBothWays) {
    for (const ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
        EXPECT_EQ(parse_algorithm(algorithm_name(algorithm)), algorithm);
        EXPECT_TRUE(checksum_header(algorithm).starts_with("x-amz-checksum-"));
        EXPECT_GT(checksum_bytes(algorithm), 0U);
    }
    EXPECT_EQ(parse_algorithm("sha256"), proto::CHECKSUM_SHA256);
    EXPECT_FALSE(parse_algorithm("MD5"));
    EXPECT_FALSE(parse_type("PARTIAL"));
}

TEST(Checksums, OfUploads) {
    EXPECT_EQ(upload_checksum(head_of({}))->algorithm, proto::CHECKSUM_CRC64NVME);
    EXPECT_EQ(upload_checksum(head_of({{"x-amz-checksum-algorithm", "CRC32"}}))->type,
              proto::CHECKSUM_TYPE_COMPOSITE);
    EXPECT_EQ(upload_checksum(head_of({{"x-amz-checksum-algorithm", "CRC64NVME"}}))->type,
              proto::CHECKSUM_TYPE_FULL_OBJECT);
    EXPECT_FALSE(upload_checksum(
        head_of({{"x-amz-checksum-algorithm", "SHA256"}, {"x-amz-checksum-type", "FULL_OBJECT"}})));
    EXPECT_FALSE(upload_checksum(head_of(
        {{"x-amz-checksum-algorithm", "CRC64NVME"}, {"x-amz-checksum-type", "COMPOSITE"}})));
    EXPECT_FALSE(upload_checksum(head_of({{"x-amz-checksum-type", "COMPOSITE"}})));
}

TEST(Checksums, OfPartsFitTheirUpload) {
    proto::Upload upload;
    upload.set_checksum_algorithm(proto::CHECKSUM_SHA256);
    upload.set_checksum_type(proto::CHECKSUM_TYPE_COMPOSITE);
    EXPECT_TRUE(check_part_checksum(upload, proto::CHECKSUM_SHA256));
    EXPECT_FALSE(check_part_checksum(upload, proto::CHECKSUM_CRC32));
    EXPECT_FALSE(check_part_checksum(upload, proto::CHECKSUM_NONE));
    upload.set_checksum_algorithm(proto::CHECKSUM_CRC32);
    upload.set_checksum_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    EXPECT_TRUE(check_part_checksum(upload, proto::CHECKSUM_NONE));
    EXPECT_FALSE(check_part_checksum(upload, proto::CHECKSUM_CRC32C));
    upload.set_checksum_algorithm(proto::CHECKSUM_CRC64NVME);
    EXPECT_TRUE(check_part_checksum(upload, proto::CHECKSUM_CRC32));
}

TEST(MailWords, RoundTrip) {
    EXPECT_EQ(encode_mail_word("plain"), "plain");
    EXPECT_EQ(encode_mail_word("gr\xC3\xBC\xC3\x9F"), "=?UTF-8?B?Z3LDvMOf?=");
    EXPECT_EQ(decode_mail_words("=?UTF-8?B?Z3LDvMOf?="), "gr\xC3\xBC\xC3\x9F");
    EXPECT_EQ(decode_mail_words("a =?utf-8?q?b=C3=BC_c?= d"), "a b\xC3\xBC c d");
    for (const char* text : {"=?UTF-8?B?***?=", "=?", "=?UTF-8?X?a?=", "=?UTF-8?B?/w==?=", "a=?b",
                             "=?UTF-8?Q?=C?=", "=?latin-1?Q?a?="}) {
        EXPECT_EQ(decode_mail_words(text), text);
    }
}

TEST(ObjectHeaders, AwsChunkedIsNotStored) {
    EXPECT_EQ(without_aws_chunked("aws-chunked"), "");
    EXPECT_EQ(without_aws_chunked("aws-chunked, gzip"), "gzip");
    EXPECT_EQ(without_aws_chunked("gzip,aws-chunked,br"), "gzip,br");
    EXPECT_EQ(without_aws_chunked("gzip, br"), "gzip, br");
}

TEST(ObjectHeaders, ControlCharactersAreRefused) {
    EXPECT_FALSE(parse_object_headers(head_of({{"x-amz-meta-a", "b\r\nSet-Cookie: c"}})));
    EXPECT_FALSE(parse_object_headers(head_of({{"content-type", std::string("a\0b", 3)}})));
    EXPECT_TRUE(parse_object_headers(head_of({{"x-amz-meta-a", "tab\there"}})));
}

TEST(ObjectHeaders, RepeatedMetadataIsJoined) {
    const auto headers =
        parse_object_headers(head_of({{"x-amz-meta-a", "1"}, {"x-amz-meta-a", "2"}}));
    ASSERT_TRUE(headers);
    ASSERT_EQ(headers->user_metadata_size(), 1);
    EXPECT_EQ(headers->user_metadata(0).value(), "1,2");
}

TEST(Tags, LimitsCountCharacters) {
    const auto key = [](std::size_t n) { return parse_tag_header(std::string(n, 'k') + "=v"); };
    EXPECT_TRUE(key(128));
    EXPECT_EQ(key(129).error().code, ErrorCode::kInvalidTag);
    const auto value = [](std::size_t n) { return parse_tag_header("k=" + std::string(n, 'v')); };
    EXPECT_TRUE(value(256));
    EXPECT_FALSE(value(257));
    std::string wide;
    for (int i = 0; i < 128; ++i) wide += "%C3%BC";
    EXPECT_TRUE(parse_tag_header(wide + "=v"));
    EXPECT_FALSE(parse_tag_header(wide + "%C3%BC=v"));
}

TEST(CopySource, Forms) {
    const auto source = parse_copy_source("/bucket/a%20b%3Fc?versionId=null");
    ASSERT_TRUE(source);
    EXPECT_EQ(source->bucket, "bucket");
    EXPECT_EQ(source->key, "a b?c");
    ASSERT_TRUE(source->version);
    EXPECT_TRUE(source->version->is_zero());
    EXPECT_EQ(parse_copy_source("bucket/k+v")->key, "k+v");
    EXPECT_EQ(parse_copy_source("bucket//k")->key, "/k");
    EXPECT_EQ(parse_copy_source("%2Fbucket%2Fkey")->key, "key");
    for (const char* text : {"", "/", "bucket", "bucket/", "//key", "/bucket/%4", "/bucket/%FF",
                             "/bucket/key?versionId=", "/bucket/key?versionId=x", "/B_/key"}) {
        EXPECT_FALSE(parse_copy_source(text)) << text;
    }
    EXPECT_EQ(parse_copy_source("/bucket/" + std::string(1025, 'k')).error().code,
              ErrorCode::kKeyTooLong);
}

proto::Version source_version() {
    proto::Version version;
    version.set_size(10);
    version.set_etag("e");
    version.mutable_checksum()->set_algorithm(proto::CHECKSUM_CRC64NVME);
    version.mutable_checksum()->set_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    proto::Part* part = version.add_parts();
    part->set_size(10);
    part->set_blob_id(std::string(16, 'b'));
    part->set_md5(std::string(16, 'm'));
    *part->mutable_checksum() = version.checksum();
    version.mutable_headers()->set_content_type("text/plain");
    version.mutable_headers()->set_website_redirect("/old");
    version.mutable_headers()->add_tags()->set_name("t");
    return version;
}

TEST(CopyPlan, ByReferenceUnlessAnotherChecksumIsAskedFor) {
    const proto::Version source = source_version();
    CopyRequest copy;
    EXPECT_FALSE(must_rewrite(copy, source));
    copy.algorithm = proto::CHECKSUM_CRC64NVME;
    EXPECT_FALSE(must_rewrite(copy, source));
    copy.algorithm = proto::CHECKSUM_SHA1;
    EXPECT_TRUE(must_rewrite(copy, source));
    const proto::Version made = plan_copy(CopyRequest{}, source, "owner");
    EXPECT_EQ(made.etag(), "e");
    EXPECT_EQ(made.parts_size(), 1);
    EXPECT_EQ(made.headers().content_type(), "text/plain");
    EXPECT_EQ(made.headers().tags_size(), 1);
    EXPECT_EQ(made.headers().website_redirect(), "");
    EXPECT_EQ(blobs_of(source), std::vector<std::string>{std::string(16, 'b')});
}

TEST(CopyPlan, APartIsSharedOnlyAsAWhole) {
    proto::Version source = source_version();
    EXPECT_TRUE(can_share(source, {0, 10}, proto::CHECKSUM_CRC64NVME));
    EXPECT_FALSE(can_share(source, {0, 9}, proto::CHECKSUM_CRC64NVME));
    EXPECT_FALSE(can_share(source, {1, 9}, proto::CHECKSUM_CRC64NVME));
    EXPECT_FALSE(can_share(source, {0, 10}, proto::CHECKSUM_CRC32));
    source.add_parts()->set_size(0);
    EXPECT_FALSE(can_share(source, {0, 10}, proto::CHECKSUM_CRC64NVME));
}

TEST(PutPlan, NamesItsBlob) {
    Stored stored;
    stored.body.size = 3;
    stored.body.blob.emplace();
    stored.body.blob->set_blob_id(std::string(16, 'b'));
    stored.md5 = std::string(16, '\x01');
    proto::Bucket bucket;
    bucket.set_bucket_id("id");
    bucket.set_owner("owner");
    const proto::Command command = plan_put(bucket, "key", {}, {}, stored);
    const proto::PutObject& put = command.put_object();
    EXPECT_EQ(put.version().etag(), "01010101010101010101010101010101");
    EXPECT_EQ(put.version().parts(0).number(), 0U);
    EXPECT_EQ(put.new_blobs_size(), 1);
    EXPECT_FALSE(put.version().multipart());
    EXPECT_TRUE(command.request_id().empty());
    const proto::Command empty = plan_put(bucket, "key", {}, {}, Stored{});
    EXPECT_EQ(empty.put_object().version().parts_size(), 0);
    EXPECT_EQ(empty.put_object().new_blobs_size(), 0);
}

TEST(CompletePlan, PartList) {
    const auto parts = parse_part_list(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag>"
        "<ChecksumCRC32>DUoRhQ==</ChecksumCRC32></Part></CompleteMultipartUpload>");
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->at(0).etag(), "a");
    EXPECT_EQ(parts->at(0).checksum().algorithm(), proto::CHECKSUM_CRC32);
    EXPECT_FALSE(parse_part_list("<CompleteMultipartUpload/>"));
    EXPECT_FALSE(
        parse_part_list("<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber>"
                        "<ETag>a</ETag></Part></CompleteMultipartUpload>"));
}

TEST(CompletePlan, ClaimsOfAnotherChecksumAreDroppedOnlyByDefault) {
    proto::Upload upload;
    upload.set_checksum_algorithm(proto::CHECKSUM_CRC64NVME);
    upload.set_checksum_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    proto::CompleteUpload complete;
    complete.add_parts()->mutable_checksum()->set_algorithm(proto::CHECKSUM_CRC32);
    EXPECT_TRUE(reconcile_checksums(&upload, complete));
    EXPECT_FALSE(complete.parts(0).has_checksum());
    upload.set_checksum_algorithm(proto::CHECKSUM_CRC32C);
    complete.mutable_parts(0)->mutable_checksum()->set_algorithm(proto::CHECKSUM_CRC32);
    EXPECT_TRUE(reconcile_checksums(&upload, complete));
    EXPECT_TRUE(complete.parts(0).has_checksum());
    EXPECT_TRUE(reconcile_checksums(nullptr, complete));
}

TEST(DeleteList, Parsing) {
    const auto list = parse_delete_list(
        "<Delete><Object><Key>a</Key><VersionId>null</VersionId><ETag>\"e\"</ETag>"
        "<LastModifiedTime>2026-11-22T14:43:50Z</LastModifiedTime><Size>7</Size></Object>"
        "<Quiet>true</Quiet></Delete>");
    ASSERT_TRUE(list);
    EXPECT_TRUE(list->quiet);
    const ObjectToDelete& object = list->objects.at(0);
    EXPECT_EQ(object.version, "null");
    EXPECT_EQ(object.precondition.if_match_etag(), "e");
    EXPECT_EQ(object.precondition.if_match_size(), 7U);
    EXPECT_TRUE(object.precondition.has_if_match_modified_ms());
    for (const char* text :
         {"<Delete/>", "<Delete><Object/></Delete>", "<Delete><Quiet>yes</Quiet></Delete>",
          "<Delete><Object><Key>a</Key><Size>x</Size></Object></Delete>",
          "<Delete><Thing/></Delete>", "<Remove/>"}) {
        EXPECT_FALSE(parse_delete_list(text)) << text;
    }
}

TEST(PostReply, StatusesAndRedirects) {
    const PutOutcome outcome{"abc", {}, {}};
    RequestHead form = head_of({{"host", "h:9000"}});
    form.raw_path = "/bucket";
    Reply reply = plan_post_reply(form, "bucket", "a b", outcome);
    EXPECT_EQ(reply.status, 204);
    EXPECT_EQ(*find(reply, "Location"), "http://h:9000/bucket/a%20b");
    form = head_of({{"host", "bucket.example.com"}});
    form.raw_path = "/";
    form.secure = true;
    EXPECT_EQ(*find(plan_post_reply(form, "bucket", "k/l", outcome), "Location"),
              "https://bucket.example.com/k/l");
    EXPECT_EQ(*find(reply, "ETag"), "\"abc\"");
    reply = plan_post_reply(head_of({{"success_action_status", "201"}}), "bucket", "k", outcome);
    EXPECT_EQ(reply.status, 201);
    EXPECT_NE(reply.body.find("<PostResponse><Location>"), std::string::npos);
    reply = plan_post_reply(head_of({{"success_action_status", "200"}}), "bucket", "k", outcome);
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.body.empty());
    reply = plan_post_reply(head_of({{"success_action_status", "500"}}), "bucket", "k", outcome);
    EXPECT_EQ(reply.status, 204);
    reply = plan_post_reply(head_of({{"success_action_redirect", "https://x/y?z=1"}}), "bucket",
                            "k", outcome);
    EXPECT_EQ(reply.status, 303);
    EXPECT_EQ(*find(reply, "Location"), "https://x/y?z=1&bucket=bucket&key=k&etag=%22abc%22");
    reply = plan_post_reply(head_of({{"success_action_redirect", "https://x/\r\nA: b"}}), "bucket",
                            "k", outcome);
    EXPECT_EQ(reply.status, 204);
    reply = plan_post_reply(head_of({{"success_action_redirect", "javascript:x"}}), "bucket", "k",
                            outcome);
    EXPECT_EQ(reply.status, 204);
}

TEST(Answers, EachRefusalHasItsError) {
    const auto code = [](proto::Answer::Status status) {
        proto::Answer answer;
        answer.set_status(status);
        return error_of(answer).code;
    };
    EXPECT_EQ(code(proto::Answer::KEY_NOT_FOUND_FOR_IF_MATCH), ErrorCode::kNoSuchKey);
    EXPECT_EQ(code(proto::Answer::BAD_CHECKSUM), ErrorCode::kBadDigest);
    EXPECT_EQ(code(proto::Answer::SIZE_MISMATCH), ErrorCode::kInvalidRequest);
    EXPECT_EQ(code(proto::Answer::BLOB_GONE), ErrorCode::kSlowDown);
    EXPECT_EQ(code(proto::Answer::NODE_LEAVING), ErrorCode::kSlowDown);
    EXPECT_EQ(code(proto::Answer::UNKNOWN_COMMAND), ErrorCode::kInternalError);
    EXPECT_EQ(code(proto::Answer::BUCKET_NOT_EMPTY), ErrorCode::kBucketNotEmpty);
}

TEST(Location, OneRegion) {
    const auto body = [](std::string_view name) {
        return "<CreateBucketConfiguration><LocationConstraint>" + std::string(name) +
               "</LocationConstraint></CreateBucketConfiguration>";
    };
    EXPECT_TRUE(check_location("", "us-east-1"));
    EXPECT_FALSE(check_location("", "eu-west-1"));
    EXPECT_TRUE(check_location(body("eu-west-1"), "eu-west-1"));
    EXPECT_TRUE(check_location(body("EU"), "eu-west-1"));
    EXPECT_TRUE(check_location(body("home"), "home"));
    EXPECT_EQ(check_location(body("us-east-1"), "us-east-1").error().code,
              ErrorCode::kInvalidLocationConstraint);
    EXPECT_EQ(check_location(body("eu-west-1"), "us-east-1").error().code,
              ErrorCode::kIllegalLocationConstraint);
}

}  // namespace
}  // namespace hamster::s3::ops
