// GET /bucket?list-type=2.
#pragma once

#include "s3/context.h"
#include "s3/ops/object_listing.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> list_objects_v2(Context* context, const VerifiedRequest* request,
                                               RequestBody* body);

// The shared part, and start-after or the continuation token. Pure.
S3Result<ObjectListing> parse_list_v2(const RequestHead& head);
std::string render_list_v2(const RequestHead& head, const std::string& bucket,
                           const ObjectListing& listing, const ObjectRows& rows);

}  // namespace hamster::s3::ops
