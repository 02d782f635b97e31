// DELETE /bucket: only when it is empty.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> delete_bucket(Context* context, const VerifiedRequest* request,
                                             RequestBody* body);

}  // namespace hamster::s3::ops
