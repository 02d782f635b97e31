// GET /bucket/key?attributes: what is known of an object, without its bytes or its metadata.
#pragma once

#include <string>

#include "s3/context.h"
#include "s3/ops/listing.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_object_attributes(Context* context,
                                                     const VerifiedRequest* request,
                                                     RequestBody* body);

struct Attributes {
    bool etag = false;
    bool checksum = false;
    bool parts = false;
    bool storage_class = false;
    bool size = false;
    std::uint32_t max_parts = kMaxListed;
    std::uint32_t part_marker = 0;
};
// x-amz-object-attributes and its companions. Pure.
S3Result<Attributes> parse_attributes(const RequestHead& head);
std::string render_attributes(const Attributes& wanted, const proto::Version& version);  // pure

}  // namespace hamster::s3::ops
