// POST /bucket/key?uploads.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> create_multipart_upload(Context* context,
                                                       const VerifiedRequest* request,
                                                       RequestBody* body);

}  // namespace hamster::s3::ops
