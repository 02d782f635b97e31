// GET /bucket: the first form of the listing, with markers instead of tokens.
#pragma once

#include "s3/context.h"
#include "s3/ops/object_listing.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> list_objects(Context* context, const VerifiedRequest* request,
                                            RequestBody* body);

S3Result<ObjectListing> parse_list_v1(const RequestHead& head);  // pure
// NextMarker only with a delimiter: without one clients go on from the last key.
std::string render_list_v1(const RequestHead& head, const std::string& bucket,
                           const ObjectListing& listing, const ObjectRows& rows);

}  // namespace hamster::s3::ops
