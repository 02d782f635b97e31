#include "s3/ops/get_object.h"

#include <iterator>
#include <utility>
#include <vector>

#include "s3/ops/access.h"
#include "s3/ops/read_object.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

namespace {

std::vector<proto::Part> take_parts(proto::Version& version) {
    auto* parts = version.mutable_parts();
    return {std::make_move_iterator(parts->begin()), std::make_move_iterator(parts->end())};
}

}  // namespace

runtime::Task<S3Result<Reply>> get_object(Context* context, const VerifiedRequest* request,
                                          RequestBody*) {
    CO_TRY_ASSIGN(const auto wanted, requested_version(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(BucketAccess access, opened);
    CO_TRY_ASSIGN(proto::Version version, find_version(access, request->key(), wanted));
    CO_TRY_ASSIGN(const ReadPlan plan, plan_read(request->head(), version));
    Reply reply = read_reply(plan, version);
    if (plan.range.length == 0) co_return reply;
    auto reader =
        co_await context->objects->open(std::move(access.view), take_parts(version), plan.range);
    if (!reader) co_return std::unexpected(from_error(reader.error()));
    reply.stream = std::move(*reader);
    reply.stream_length = plan.range.length;
    co_return reply;
}

}  // namespace hamster::s3::ops
