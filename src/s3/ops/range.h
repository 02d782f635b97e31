// The Range header as AWS reads it: one byte range; what it cannot read it ignores. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "objects/service.h"
#include "s3/error.h"

namespace hamster::s3::ops {

struct RangePlan {
    bool partial = false;  // 206 with Content-Range
    objects::ByteRange range;
};

// Absent, malformed or multiple ranges give the whole body. InvalidRange (416, with Content-Range:
// bytes */size) when no byte of the body is meant.
S3Result<RangePlan> plan_range(std::optional<std::string_view> header, std::uint64_t size);

// "bytes first-last/size"
std::string content_range(const objects::ByteRange& range, std::uint64_t size);

// x-amz-copy-source-range: bytes=first-last, both within the source. Absent: the whole source.
S3Result<objects::ByteRange> plan_copy_range(std::optional<std::string_view> header,
                                             std::uint64_t size);

}  // namespace hamster::s3::ops
