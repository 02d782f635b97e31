#include "s3/ops/head_object.h"

#include "s3/ops/access.h"
#include "s3/ops/read_object.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> head_object(Context* context, const VerifiedRequest* request,
                                           RequestBody*) {
    CO_TRY_ASSIGN(const auto wanted, requested_version(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY_ASSIGN(const proto::Version version, find_version(access, request->key(), wanted));
    CO_TRY_ASSIGN(const ReadPlan plan, plan_read(request->head(), version));
    Reply reply = read_reply(plan, version);
    reply.is_head = true;
    reply.head_length = plan.range.length;
    co_return reply;
}

}  // namespace hamster::s3::ops
