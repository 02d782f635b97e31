// PUT /bucket/key?tagging: replaces the tags of a version.
#pragma once

#include "s3/context.h"
#include "s3/ops/tags.h"

namespace hamster::s3::ops {

inline constexpr std::size_t kMaxTaggingBodyBytes = 64ULL << 10;  // 10 tags, escaped

runtime::Task<S3Result<Reply>> put_object_tagging(Context* context, const VerifiedRequest* request,
                                                  RequestBody* body);

// Commits the tags (none: removes them) of the request's object; answers with `status`.
runtime::Task<S3Result<Reply>> replace_tags(Context* context, const VerifiedRequest* request,
                                            Tags tags, int status);

}  // namespace hamster::s3::ops
