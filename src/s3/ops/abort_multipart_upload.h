// DELETE /bucket/key?uploadId: the parts go; repeating it succeeds.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> abort_multipart_upload(Context* context,
                                                      const VerifiedRequest* request,
                                                      RequestBody* body);

}  // namespace hamster::s3::ops
