// HEAD /bucket/key: what GET would say, without the bytes.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> head_object(Context* context, const VerifiedRequest* request,
                                           RequestBody* body);

}  // namespace hamster::s3::ops
