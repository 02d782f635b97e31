// Conditional requests. Reads: RFC 9110 section 13.2.2 as AWS applies it, for the object itself
// and for a copy's source. Writes: what apply is to judge, and the same judgement early, so that a
// hopeless body is not read. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "proto/commands.pb.h"
#include "s3/error.h"
#include "s3/request.h"

namespace hamster::s3::ops {

// Views into the request's headers.
struct ReadConditions {
    std::optional<std::string_view> if_match;
    std::optional<std::string_view> if_none_match;
    std::optional<std::uint64_t> if_modified_since_ms;
    std::optional<std::uint64_t> if_unmodified_since_ms;
};
ReadConditions read_conditions(const RequestHead& head);         // If-*
ReadConditions copy_source_conditions(const RequestHead& head);  // x-amz-copy-source-if-*

enum class Verdict : std::uint8_t {
    kProceed,
    kNotModified,       // If-None-Match or If-Modified-Since
    kMatchFailed,       // If-Match
    kUnmodifiedFailed,  // If-Unmodified-Since
};
// `etag` without quotes. Dates have whole seconds, so the object's are cut to those.
Verdict judge(const ReadConditions& conditions, std::string_view etag, std::uint64_t modified_ms);

// True when a (list of) entity tag(s) names `etag`; "*" names all. A weak tag matches only when
// `weak` comparison is allowed.
bool etag_matches(std::string_view header, std::string_view etag, bool weak);
// One entity tag without its quotes.
std::string_view unquoted(std::string_view etag);

// If-Match / If-None-Match of PutObject, CopyObject, CompleteMultipartUpload. NotImplemented for
// what S3 does not offer there (If-None-Match other than *, dates).
S3Result<proto::Precondition> write_precondition(const RequestHead& head);
// If-Match, x-amz-if-match-last-modified-time, x-amz-if-match-size of DeleteObject.
S3Result<proto::Precondition> delete_precondition(const RequestHead& head);
// The refusal that apply would answer for a write over `newest` (null: no version).
S3Result<> judge_write(const proto::Precondition& precondition, const proto::Version* newest);

// PreconditionFailed naming the condition, e.g. "If-Match".
S3Error precondition_failed(std::string_view condition);

}  // namespace hamster::s3::ops
