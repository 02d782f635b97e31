// GET /: the caller's own buckets; all of them for root.
#pragma once

#include <string>
#include <vector>

#include "s3/context.h"
#include "s3/ops/owner.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> list_buckets(Context* context, const VerifiedRequest* request,
                                            RequestBody* body);

inline constexpr std::uint32_t kMaxBucketsListed = 10000;

struct BucketListing {
    std::string prefix;
    std::string after;
    std::string region;  // only buckets of this one; empty: any
    std::uint32_t limit = kMaxBucketsListed;
    bool paged = false;  // any parameter was given: buckets show their region
};
S3Result<BucketListing> parse_bucket_listing(const RequestHead& head);  // pure
// `next`: the token to go on from; empty at the end. Pure.
std::string render_buckets(const BucketListing& listing, const Owner& owner,
                           const std::vector<proto::Bucket>& buckets, const std::string& next);

}  // namespace hamster::s3::ops
