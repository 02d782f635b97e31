// Parses the head of one HTTP/1.x request, strictly: whatever two parsers could read differently
// (bare LF, folded lines, a space before a colon, repeated or odd lengths, CL beside TE, NUL) is
// refused rather than interpreted. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "s3/error.h"
#include "s3/request.h"

namespace hamster::s3 {

inline constexpr std::size_t kMaxHeadBytes = 32 * 1024;  // S3 itself: 8 KiB of headers
inline constexpr std::size_t kMaxHeaders = 200;          // lines

struct ParsedHead {
    RequestHead head;
    std::size_t bytes = 0;  // of the buffer, the empty line included
};

// `buffered` starts with the request line. nullopt: the head is not complete yet. Errors are final:
// the connection cannot be used further.
// Repeated headers are joined with "," where HTTP allows a list; a repeated single-valued one
// (host, authorization, content-*, x-amz-* but not x-amz-meta-*) is refused, so every name occurs
// once in the result.
S3Result<std::optional<ParsedHead>> parse_head(std::string_view buffered);

}  // namespace hamster::s3
