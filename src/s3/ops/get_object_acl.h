// GET /bucket/key?acl: the default list, if the object is there.
#pragma once

#include "s3/context.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_object_acl(Context* context, const VerifiedRequest* request,
                                              RequestBody* body);

}  // namespace hamster::s3::ops
