// POST /bucket with a form (browser upload). The authenticator has turned the form's fields into
// headers, so the object is written by PutObject's code; only the reply differs.
#pragma once

#include <string>

#include "s3/context.h"
#include "s3/ops/put_object.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> post_object(Context* context, const VerifiedRequest* request,
                                           RequestBody* body);

// 303 to success_action_redirect, or the status of success_action_status: 200, 201 with a
// document, else 204. Pure.
Reply plan_post_reply(const RequestHead& head, const std::string& bucket, const std::string& key,
                      const PutOutcome& outcome);

}  // namespace hamster::s3::ops
