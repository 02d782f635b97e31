// DELETE /bucket/key: 204, whether or not there was anything. Conditions that name another state
// of an existing object are refused.
#pragma once

#include "s3/context.h"
#include "s3/ops/access.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> delete_object(Context* context, const VerifiedRequest* request,
                                             RequestBody* body);

// The command for one key; also of DeleteObjects. Pure.
proto::Command plan_delete(const base::BucketId& bucket, const std::string& key,
                           const std::optional<base::VersionId>& version,
                           proto::Precondition precondition);
// Commits it. S3's conditions on a delete hold when there is nothing: that is a success, too.
runtime::Task<S3Result<proto::Answer>> perform_delete(Context* context, meta::Group* group,
                                                      proto::Command command);

}  // namespace hamster::s3::ops
