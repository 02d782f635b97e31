// GET /bucket/key?uploadId: the parts uploaded so far, by number.
#pragma once

#include <string>
#include <vector>

#include "s3/context.h"
#include "s3/ops/listing.h"
#include "s3/ops/owner.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> list_parts(Context* context, const VerifiedRequest* request,
                                          RequestBody* body);

struct PartPage {
    std::uint32_t marker = 0;
    std::uint32_t limit = kMaxListed;
    std::vector<proto::Part> parts;  // at most `limit`
    bool truncated = false;
};
std::string render_parts(const std::string& bucket, const proto::Upload& upload, const Owner& owner,
                         const PartPage& page);  // pure

}  // namespace hamster::s3::ops
