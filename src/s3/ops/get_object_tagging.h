// GET /bucket/key?tagging: the tags of a version.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_object_tagging(Context* context, const VerifiedRequest* request,
                                                  RequestBody* body);

}  // namespace hamster::s3::ops
