// The second step of every operation: a fresh view of the metadata, and the bucket the request may
// touch in it.
#pragma once

#include <string>
#include <string_view>

#include "meta/group.h"
#include "s3/authorize.h"
#include "s3/context.h"
#include "s3/error.h"
#include "s3/request.h"

namespace hamster::s3::ops {

struct BucketAccess {
    meta::Group* group;  // that holds the bucket
    meta::View view;     // of that group
    proto::Bucket bucket;
    base::BucketId id;
};

// Authorizes the request's own action on its own bucket and key, x-amz-expected-bucket-owner
// included.
runtime::Task<S3Result<BucketAccess>> open_bucket(Context* context, const VerifiedRequest* request);
// The same for another bucket or key that the request names (the source of a copy).
// `owner_header`: the header that may name the expected owner.
runtime::Task<S3Result<BucketAccess>> open_named_bucket(Context* context,
                                                        const VerifiedRequest* request,
                                                        Action action, std::string bucket,
                                                        std::string key, const char* owner_header);

// AccessDenied when the header is there and names somebody else. Pure.
S3Result<> check_expected_owner(const RequestHead& head, std::string_view owner_header,
                                const proto::Bucket& bucket);

}  // namespace hamster::s3::ops
