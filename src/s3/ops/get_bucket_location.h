// GET /bucket?location: the region; empty for us-east-1, as ever.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_bucket_location(Context* context, const VerifiedRequest* request,
                                                   RequestBody* body);

}  // namespace hamster::s3::ops
