// What GetObject and HeadObject decide before they touch a byte.
#include <gtest/gtest.h>

#include "s3/ops/conditions.h"
#include "s3/ops/range.h"
#include "s3/ops/read_object.h"

namespace hamster::s3::ops {
namespace {

RequestHead head_with(std::vector<Header> headers, std::vector<QueryParam> query = {}) {
    RequestHead head;
    head.headers = std::move(headers);
    head.query = std::move(query);
    return head;
}

TEST(Range, OneRangeAsAwsReadsIt) {
    const auto plan = plan_range("bytes=2-5", 10);
    ASSERT_TRUE(plan);
    EXPECT_TRUE(plan->partial);
    EXPECT_EQ(plan->range.offset, 2U);
    EXPECT_EQ(plan->range.length, 4U);
    EXPECT_EQ(content_range(plan->range, 10), "bytes 2-5/10");
    EXPECT_EQ(plan_range("bytes=-3", 10)->range.offset, 7U);
    EXPECT_EQ(plan_range("bytes=-30", 10)->range.length, 10U);
    EXPECT_EQ(plan_range("bytes=7-", 10)->range.length, 3U);
    EXPECT_EQ(plan_range("bytes=7-99", 10)->range.length, 3U);
    EXPECT_EQ(plan_range("bytes=0-18446744073709551615", 10)->range.length, 10U);
    EXPECT_EQ(plan_range("bytes=007-8", 10)->range.length, 2U);
}

TEST(Range, WhatCannotBeReadIsIgnored) {
    for (const char* text : {"", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-", "bytes=-b",
                             "bytes=0-1,2-3", "items=0-1", "bytes=1-2-3", "bytes= "}) {
        const auto plan = plan_range(text, 10);
        ASSERT_TRUE(plan) << text;
        EXPECT_FALSE(plan->partial) << text;
        EXPECT_EQ(plan->range.length, 10U) << text;
    }
}

TEST(Range, BeyondTheEndSaysHowLongItIs) {
    for (const char* text :
         {"bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999999999999999999999-"}) {
        const auto plan = plan_range(text, 10);
        ASSERT_FALSE(plan) << text;
        EXPECT_EQ(plan.error().code, ErrorCode::kInvalidRange);
        EXPECT_EQ(plan.error().headers.at(0).second, "bytes */10");
        EXPECT_EQ(plan.error().details.at(1).second, "10");
    }
    EXPECT_FALSE(plan_range("bytes=0-", 0));
    EXPECT_FALSE(plan_range("bytes=-1", 0));
}

TEST(Range, OfACopyMustLieInsideItsSource) {
    EXPECT_EQ(plan_copy_range(std::nullopt, 10)->length, 10U);
    EXPECT_EQ(plan_copy_range("bytes=9-9", 10)->offset, 9U);
    for (const char* text : {"bytes=0-10", "bytes=5-", "bytes=-5", "0-1", "bytes=3-1"}) {
        const auto plan = plan_copy_range(text, 10);
        ASSERT_FALSE(plan) << text;
        EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
    }
}

TEST(Conditions, EntityTags) {
    EXPECT_TRUE(etag_matches("\"a\"", "a", false));
    EXPECT_TRUE(etag_matches("a", "a", false));  // S3 forgives missing quotes
    EXPECT_TRUE(etag_matches("*", "a", false));
    EXPECT_TRUE(etag_matches("\"b\" , \"a\"", "a", false));
    EXPECT_FALSE(etag_matches("W/\"a\"", "a", false));
    EXPECT_TRUE(etag_matches("W/\"a\"", "a", true));
    EXPECT_FALSE(etag_matches("", "a", true));
    EXPECT_FALSE(etag_matches("\"A\"", "a", true));
}

constexpr std::uint64_t kMs = 1'700'000'000'500;  // half a second past the whole one

TEST(Conditions, DatesAreHeldAgainstWholeSeconds) {
    ReadConditions since;
    since.if_modified_since_ms = 1'700'000'000'000;
    EXPECT_EQ(judge(since, "a", kMs), Verdict::kNotModified);
    since.if_modified_since_ms = 1'699'999'999'000;
    EXPECT_EQ(judge(since, "a", kMs), Verdict::kProceed);
    ReadConditions until;
    until.if_unmodified_since_ms = 1'700'000'000'000;
    EXPECT_EQ(judge(until, "a", kMs), Verdict::kProceed);
    until.if_unmodified_since_ms = 1'699'999'999'000;
    EXPECT_EQ(judge(until, "a", kMs), Verdict::kUnmodifiedFailed);
}

TEST(Conditions, TagsOutrankDates) {
    ReadConditions conditions;
    conditions.if_match = "\"a\"";
    conditions.if_unmodified_since_ms = 0;
    EXPECT_EQ(judge(conditions, "a", kMs), Verdict::kProceed);
    EXPECT_EQ(judge(conditions, "b", kMs), Verdict::kMatchFailed);
    ReadConditions none;
    none.if_none_match = "\"b\"";
    none.if_modified_since_ms = kMs + 5000;
    EXPECT_EQ(judge(none, "a", kMs), Verdict::kProceed);
    EXPECT_EQ(judge(none, "b", kMs), Verdict::kNotModified);
}

TEST(Conditions, OfWrites) {
    const auto any = write_precondition(head_with({{"if-none-match", "*"}}));
    ASSERT_TRUE(any);
    EXPECT_TRUE(any->if_none_match_any());
    EXPECT_TRUE(judge_write(*any, nullptr));
    proto::Version version;
    version.set_etag("a");
    EXPECT_EQ(judge_write(*any, &version).error().code, ErrorCode::kPreconditionFailed);
    version.set_delete_marker(true);
    EXPECT_TRUE(judge_write(*any, &version));

    const auto match = write_precondition(head_with({{"if-match", "\"a\""}}));
    ASSERT_TRUE(match);
    EXPECT_EQ(match->if_match_etag(), "a");
    EXPECT_EQ(judge_write(*match, &version).error().code, ErrorCode::kNoSuchKey);
    version.set_delete_marker(false);
    EXPECT_TRUE(judge_write(*match, &version));
    version.set_etag("b");
    EXPECT_EQ(judge_write(*match, &version).error().code, ErrorCode::kPreconditionFailed);

    EXPECT_EQ(write_precondition(head_with({{"if-none-match", "\"a\""}})).error().code,
              ErrorCode::kNotImplemented);
    EXPECT_EQ(write_precondition(head_with({{"if-modified-since", "x"}})).error().code,
              ErrorCode::kNotImplemented);
    EXPECT_EQ(write_precondition(head_with({{"if-match", "\"\""}})).error().code,
              ErrorCode::kInvalidArgument);
}

proto::Version multipart_version() {
    proto::Version version;
    version.set_size(15);
    version.set_etag("e-2");
    version.set_multipart(true);
    version.set_modified_ms(kMs);
    version.add_parts()->set_size(10);
    version.add_parts()->set_size(5);
    return version;
}

TEST(ReadPlan, PartsCountFromOne) {
    const proto::Version version = multipart_version();
    const auto plan = plan_read(head_with({}, {{"partNumber", "2", true}}), version);
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->status, 206);
    EXPECT_EQ(plan->range.offset, 10U);
    EXPECT_EQ(plan->range.length, 5U);
    EXPECT_TRUE(plan->with_parts_count);
    EXPECT_EQ(plan_read(head_with({}, {{"partNumber", "3", true}}), version).error().code,
              ErrorCode::kInvalidPartNumber);
}

TEST(ReadPlan, ConditionsComeBeforeRanges) {
    const proto::Version version = multipart_version();
    const auto plan =
        plan_read(head_with({{"if-none-match", "\"e-2\""}, {"range", "bytes=99-"}}), version);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code, ErrorCode::kNotModified);
}

TEST(ReadPlan, ChecksumsOnlyOfWhatTheyCover) {
    const proto::Version version = multipart_version();
    const Header mode{"x-amz-checksum-mode", "ENABLED"};
    EXPECT_TRUE(plan_read(head_with({mode}), version)->with_checksum);
    EXPECT_FALSE(plan_read(head_with({mode, {"range", "bytes=0-1"}}), version)->with_checksum);
    EXPECT_TRUE(plan_read(head_with({mode}, {{"partNumber", "1", true}}), version)->with_checksum);
    EXPECT_FALSE(plan_read(head_with({}), version)->with_checksum);
}

}  // namespace
}  // namespace hamster::s3::ops
