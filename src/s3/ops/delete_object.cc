#include "s3/ops/delete_object.h"

#include <utility>

#include "s3/ops/answer.h"
#include "s3/ops/conditions.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

proto::Command plan_delete(const base::BucketId& bucket, const std::string& key,
                           const std::optional<base::VersionId>& version,
                           proto::Precondition precondition) {
    proto::Command command;
    proto::DeleteObject& out = *command.mutable_delete_object();
    out.set_bucket_id(std::string(bucket.view()));
    out.set_key(key);
    if (version) out.set_version_id(std::string(version->view()));
    *out.mutable_precondition() = std::move(precondition);
    return command;
}

runtime::Task<S3Result<proto::Answer>> perform_delete(Context* context, meta::Group* group,
                                                      proto::Command command) {
    auto committed = co_await commit(context->world, group, std::move(command));
    CO_TRY_ASSIGN(Committed outcome, committed);
    switch (outcome.answer.status()) {
        case proto::Answer::OK:
        case proto::Answer::NO_SUCH_KEY:
        case proto::Answer::NO_SUCH_VERSION:
        case proto::Answer::KEY_NOT_FOUND_FOR_IF_MATCH:
            co_return std::move(outcome.answer);
        default:
            break;
    }
    co_return std::unexpected(error_of(outcome.answer));
}

runtime::Task<S3Result<Reply>> delete_object(Context* context, const VerifiedRequest* request,
                                             RequestBody*) {
    CO_TRY_ASSIGN(const auto version, requested_version(request->head()));
    CO_TRY_ASSIGN(proto::Precondition precondition, delete_precondition(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    proto::Command command =
        plan_delete(access.id, request->key(), version, std::move(precondition));
    auto deleted = co_await perform_delete(context, access.group, std::move(command));
    CO_TRY_ASSIGN(const proto::Answer answer, deleted);
    Reply reply;
    reply.status = 204;
    if (answer.delete_marker()) reply.header("x-amz-delete-marker", "true");
    if (version) {
        // Named explicitly, the null version is shown as such.
        reply.header("x-amz-version-id", version_text(version->view()));
    } else {
        add_version_header(reply, answer.version_id());
    }
    co_return reply;
}

}  // namespace hamster::s3::ops
