// GET /bucket/key: the bytes of an object, or a range or part of it.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_object(Context* context, const VerifiedRequest* request,
                                          RequestBody* body);

}  // namespace hamster::s3::ops
