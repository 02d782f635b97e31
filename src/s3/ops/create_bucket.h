// PUT /bucket: a new bucket of the caller's, in the one region there is.
#pragma once

#include <string>
#include <string_view>

#include "s3/context.h"

namespace hamster::s3::ops {

inline constexpr std::size_t kMaxCreateBucketBodyBytes = 64ULL << 10;
inline constexpr std::string_view kClassicRegion = "us-east-1";

runtime::Task<S3Result<Reply>> create_bucket(Context* context, const VerifiedRequest* request,
                                             RequestBody* body);

// Holds the LocationConstraint of the body (which may be empty) against the region: us-east-1 is
// asked for by naming none, every other region by its name. Pure.
S3Result<> check_location(std::string_view body, std::string_view region);

}  // namespace hamster::s3::ops
