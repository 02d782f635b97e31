#include "s3/ops/put_object.h"

#include <utility>

#include "base/planted.h"
#include "s3/ops/access.h"
#include "s3/ops/answer.h"
#include "s3/ops/checksums.h"
#include "s3/ops/conditions.h"
#include "s3/ops/object_headers.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

namespace {

// Refuses early what apply would refuse, so that the body need not be read.
S3Result<> check_early(const BucketAccess& access, const std::string& key,
                       const proto::Precondition& precondition) {
    if (!precondition.if_none_match_any() && precondition.if_match_etag().empty()) return {};
    auto newest = access.view.newest(access.id, key);
    if (!newest) return std::unexpected(from_error(newest.error()));
    return judge_write(precondition, *newest ? &**newest : nullptr);
}

}  // namespace

proto::Command plan_put(const proto::Bucket& bucket, const std::string& key,
                        proto::Precondition precondition, proto::ObjectHeaders headers,
                        const Stored& stored) {
    proto::Command command;
    proto::PutObject& put = *command.mutable_put_object();
    put.set_bucket_id(bucket.bucket_id());
    put.set_key(key);
    *put.mutable_precondition() = std::move(precondition);
    proto::Version& version = *put.mutable_version();
    version.set_size(stored.body.size);
    version.set_etag(etag_of(stored));
    if (stored.checksum.algorithm() != proto::CHECKSUM_NONE) {
        *version.mutable_checksum() = stored.checksum;
    }
    *version.mutable_headers() = std::move(headers);
    version.set_owner(bucket.owner());
    if (stored.body.blob) {
        *version.add_parts() = part_of(stored, 0);
        *put.add_new_blobs() = *stored.body.blob;
    }
    return command;
}

runtime::Task<S3Result<PutOutcome>> write_object(Context* context, const VerifiedRequest* request,
                                                 RequestBody* body) {
    const RequestHead& head = request->head();
    CO_TRY_ASSIGN(proto::ObjectHeaders headers, parse_object_headers(head));
    CO_TRY_ASSIGN(proto::Precondition precondition, write_precondition(head));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY(check_early(access, request->key(), precondition));
    if (base::planted(base::Bug::kPreconditionTooEarly)) precondition.Clear();
    if (context->objects->refuses_bodies()) co_return refuse(ErrorCode::kInsufficientStorage);

    const bool announced = body->announced() != proto::CHECKSUM_NONE;
    auto read = co_await store_request_body(context, body,
                                            announced ? proto::CHECKSUM_NONE : kDefaultChecksum);
    CO_TRY_ASSIGN(Stored stored, read);
    auto fits = check_put_size(stored.body.size);
    if (!fits) {
        co_await context->objects->discard(std::move(stored.body));
        co_return std::unexpected(std::move(fits).error());
    }
    proto::Command command = plan_put(access.bucket, request->key(), std::move(precondition),
                                      std::move(headers), stored);
    auto committed = co_await commit_body(context, access.group, std::move(command), &stored.body);
    CO_TRY_ASSIGN(const Committed outcome, committed);
    if (!outcome.ok()) {
        co_await context->objects->discard(std::move(stored.body));
        co_return std::unexpected(error_of(outcome.answer));
    }
    co_return PutOutcome{etag_of(stored), std::move(stored.checksum), outcome.answer.version_id()};
}

runtime::Task<S3Result<Reply>> put_object(Context* context, const VerifiedRequest* request,
                                          RequestBody* body) {
    if (!body->length()) co_return refuse(ErrorCode::kMissingContentLength);
    CO_TRY(check_put_size(*body->length()));
    auto written = co_await write_object(context, request, body);
    CO_TRY_ASSIGN(const PutOutcome outcome, written);
    Reply reply;
    reply.header("ETag", '"' + outcome.etag + '"');
    add_checksum_headers(reply, outcome.checksum, 0);
    add_version_header(reply, outcome.version_id);
    co_return reply;
}

}  // namespace hamster::s3::ops
