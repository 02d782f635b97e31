// GET /bucket?versioning: never configured, so an empty document.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_bucket_versioning(Context* context,
                                                     const VerifiedRequest* request,
                                                     RequestBody* body);

}  // namespace hamster::s3::ops
