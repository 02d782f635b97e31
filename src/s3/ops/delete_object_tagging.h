// DELETE /bucket/key?tagging: a version without tags.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> delete_object_tagging(Context* context,
                                                     const VerifiedRequest* request,
                                                     RequestBody* body);

}  // namespace hamster::s3::ops
