// HEAD /bucket: whether it is there and the caller's, and in which region.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> head_bucket(Context* context, const VerifiedRequest* request,
                                           RequestBody* body);

}  // namespace hamster::s3::ops
