#include "s3/ops/head_bucket.h"

#include "s3/ops/access.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> head_bucket(Context* context, const VerifiedRequest* request,
                                           RequestBody*) {
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    Reply reply;
    reply.is_head = true;
    reply.header("x-amz-bucket-region", access.bucket.region());
    reply.header("x-amz-access-point-alias", "false");
    reply.header("Content-Type", "application/xml");
    co_return reply;
}

}  // namespace hamster::s3::ops
