#include "s3/ops/put_object_tagging.h"

#include <utility>

#include "s3/ops/access.h"
#include "s3/ops/answer.h"
#include "s3/ops/read_object.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> replace_tags(Context* context, const VerifiedRequest* request,
                                            Tags tags, int status) {
    CO_TRY_ASSIGN(const auto wanted, requested_version(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY_ASSIGN(const proto::Version version, find_version(access, request->key(), wanted));
    proto::Command command;
    proto::PutTags& put = *command.mutable_put_tags();
    put.set_bucket_id(access.bucket.bucket_id());
    put.set_key(request->key());
    if (wanted) put.set_version_id(std::string(wanted->view()));
    *put.mutable_tags() = std::move(tags);
    auto committed = co_await commit(context->world, access.group, std::move(command));
    CO_TRY_ASSIGN(const Committed outcome, committed);
    if (!outcome.ok()) co_return std::unexpected(error_of(outcome.answer));
    Reply reply;
    reply.status = status;
    add_version_header(reply, version.version_id());
    co_return reply;
}

runtime::Task<S3Result<Reply>> put_object_tagging(Context* context, const VerifiedRequest* request,
                                                  RequestBody* body) {
    // Authorized before the body is read; replace_tags() looks again at what is there by then.
    auto opened = co_await open_bucket(context, request);
    CO_TRY(opened);
    auto text = co_await read_all(body, kMaxTaggingBodyBytes);
    CO_TRY(text);
    CO_TRY_ASSIGN(Tags tags, parse_tag_xml(*text));
    auto replaced = co_await replace_tags(context, request, std::move(tags), 200);
    co_return replaced;
}

}  // namespace hamster::s3::ops
