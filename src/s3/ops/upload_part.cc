#include "s3/ops/upload_part.h"

#include <fmt/format.h>

#include <cctype>
#include <utility>

#include "s3/ops/answer.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/uploads.h"

namespace hamster::s3::ops {

namespace {

std::string lower_name(proto::ChecksumAlgorithm algorithm) {
    std::string name(algorithm_name(algorithm));
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name.empty() ? "null" : name;
}

// What the client sent comes back; what it left to us comes back as we computed it. A trailer is
// not in the head: then it is the one we kept.
void add_part_checksum(Reply& reply, const RequestHead& head, const proto::Checksum& computed) {
    for (const ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
        const std::string_view name = checksum_header(algorithm);
        if (const auto sent = head.header(name)) {
            reply.header(std::string(name), std::string(*sent));
            return;
        }
    }
    if (computed.algorithm() == proto::CHECKSUM_NONE) return;
    reply.header(std::string(checksum_header(computed.algorithm())), checksum_text(computed, 0));
}

}  // namespace

S3Result<> check_part_checksum(const proto::Upload& upload, proto::ChecksumAlgorithm announced) {
    const proto::ChecksumAlgorithm expected = upload.checksum_algorithm();
    if (announced == expected) return {};
    const bool optional = upload.checksum_type() == proto::CHECKSUM_TYPE_FULL_OBJECT;
    if (optional && (announced == proto::CHECKSUM_NONE || expected == kDefaultChecksum)) return {};
    return refuse(ErrorCode::kInvalidRequest,
                  fmt::format("Checksum Type mismatch occurred, expected checksum Type: {}, actual "
                              "checksum Type: {}",
                              lower_name(expected), lower_name(announced)));
}

proto::Command plan_part(const proto::Upload& upload, proto::Part part) {
    proto::Command command;
    proto::PutPart& put = *command.mutable_put_part();
    put.set_bucket_id(upload.bucket_id());
    put.set_key(upload.key());
    put.set_upload_id(upload.upload_id());
    *put.mutable_part() = std::move(part);
    return command;
}

runtime::Task<S3Result<Reply>> upload_part(Context* context, const VerifiedRequest* request,
                                           RequestBody* body) {
    const RequestHead& head = request->head();
    CO_TRY_ASSIGN(const std::uint32_t number,
                  part_number_argument(param_or_empty(head, "partNumber")));
    CO_TRY_ASSIGN(const base::UploadId id, requested_upload(head));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY_ASSIGN(const proto::Upload upload, find_upload(access, request->key(), id));
    CO_TRY(check_part_checksum(upload, body->announced()));
    CO_TRY(check_before_body(*context, *body));

    auto read = co_await store_request_body(context, body, upload.checksum_algorithm());
    CO_TRY_ASSIGN(Stored stored, read);
    proto::Command command = plan_part(upload, part_of(stored, number));
    if (stored.body.blob) *command.mutable_put_part()->add_new_blobs() = *stored.body.blob;
    auto committed = co_await commit_body(context, access.group, std::move(command), &stored.body);
    CO_TRY_ASSIGN(const Committed outcome, committed);
    if (!outcome.ok()) {
        co_await context->objects->discard(std::move(stored.body));
        co_return std::unexpected(error_of(outcome.answer));
    }
    Reply reply;
    reply.header("ETag", '"' + etag_of(stored) + '"');
    add_part_checksum(reply, head, stored.checksum);
    co_return reply;
}

}  // namespace hamster::s3::ops
