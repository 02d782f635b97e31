#include "s3/ops/delete_bucket.h"

#include "s3/ops/access.h"
#include "s3/ops/answer.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> delete_bucket(Context* context, const VerifiedRequest* request,
                                             RequestBody*) {
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    proto::Command command;
    command.mutable_delete_bucket()->set_bucket_id(access.bucket.bucket_id());
    auto committed = co_await commit(context->world, access.group, std::move(command));
    CO_TRY_ASSIGN(const Committed outcome, committed);
    if (!outcome.ok()) co_return std::unexpected(error_of(outcome.answer));
    Reply reply;
    reply.status = 204;
    co_return reply;
}

}  // namespace hamster::s3::ops
