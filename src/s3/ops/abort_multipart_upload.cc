#include "s3/ops/abort_multipart_upload.h"

#include <utility>

#include "s3/ops/access.h"
#include "s3/ops/answer.h"
#include "s3/ops/uploads.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> abort_multipart_upload(Context* context,
                                                      const VerifiedRequest* request,
                                                      RequestBody*) {
    CO_TRY_ASSIGN(const base::UploadId id, requested_upload(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    proto::Command command;
    proto::AbortUpload& abort = *command.mutable_abort_upload();
    abort.set_bucket_id(access.bucket.bucket_id());
    abort.set_key(request->key());
    abort.set_upload_id(std::string(id.view()));
    auto committed = co_await commit(context->world, access.group, std::move(command));
    CO_TRY_ASSIGN(const Committed outcome, committed);
    if (outcome.answer.status() == proto::Answer::NO_SUCH_UPLOAD) {
        co_return std::unexpected(no_such_upload(id.hex()));
    }
    if (!outcome.ok()) co_return std::unexpected(error_of(outcome.answer));
    Reply reply;
    reply.status = 204;
    co_return reply;
}

}  // namespace hamster::s3::ops
