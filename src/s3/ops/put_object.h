// PUT /bucket/key: a new object from the request's body.
#pragma once

#include "s3/context.h"
#include "s3/ops/stored.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> put_object(Context* context, const VerifiedRequest* request,
                                          RequestBody* body);

// What PutObject and PostObject have in common: everything but the reply.
struct PutOutcome {
    std::string etag;  // without quotes
    proto::Checksum checksum;
    std::string version_id;
};
runtime::Task<S3Result<PutOutcome>> write_object(Context* context, const VerifiedRequest* request,
                                                 RequestBody* body);

// The command that makes `stored` the newest version of the key. Pure.
proto::Command plan_put(const proto::Bucket& bucket, const std::string& key,
                        proto::Precondition precondition, proto::ObjectHeaders headers,
                        const Stored& stored);

}  // namespace hamster::s3::ops
