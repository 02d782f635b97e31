#include "s3/ops/upload_part_copy.h"

#include <optional>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "s3/ops/access.h"
#include "s3/ops/answer.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/copy_source.h"
#include "s3/ops/range.h"
#include "s3/ops/upload_part.h"
#include "s3/ops/uploads.h"
#include "s3/ops/version_ids.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

namespace {

std::string render(const proto::Answer& answer) {
    XmlWriter xml;
    xml.open_root("CopyPartResult");
    xml.element("LastModified", base::iso8601(answer.modified_ms()));
    xml.element("ETag", '"' + answer.etag() + '"');
    add_checksum_element(xml, answer.checksum(), 0);
    xml.close();
    return std::move(xml).take();
}

proto::Part shared_part(const proto::Version& source, std::uint32_t number) {
    proto::Part part = source.parts(0);
    part.set_number(number);
    part.mutable_checksum()->set_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    return part;
}

struct Copied {
    proto::Answer answer;
    std::string source_version;
};

// nullopt: the source's blob went away under it.
runtime::Task<S3Result<std::optional<Copied>>> copy_once(Context* context,
                                                         const VerifiedRequest* request,
                                                         const CopySource* source,
                                                         std::uint32_t number, bool by_value) {
    const RequestHead& head = request->head();
    CO_TRY_ASSIGN(const base::UploadId id, requested_upload(head));
    auto target_opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess target, target_opened);
    CO_TRY_ASSIGN(const proto::Upload upload, find_upload(target, request->key(), id));
    auto origin_opened = co_await open_copy_source(context, request, source);
    CO_TRY_ASSIGN(const CopyOrigin origin, origin_opened);
    CO_TRY_ASSIGN(const objects::ByteRange range,
                  plan_copy_range(head.header("x-amz-copy-source-range"), origin.version.size()));
    CO_TRY(check_put_size(range.length));

    proto::Command command;
    std::optional<Stored> stored;
    if (!by_value && can_share(origin.version, range, upload.checksum_algorithm())) {
        command = plan_part(upload, shared_part(origin.version, number));
        command.mutable_put_part()->add_shared_blobs(origin.version.parts(0).blob_id());
    } else {
        std::vector<proto::Part> parts(origin.version.parts().begin(),
                                       origin.version.parts().end());
        auto rewritten = co_await store_copy(context, origin.view, std::move(parts), range,
                                             upload.checksum_algorithm());
        CO_TRY_ASSIGN(stored, rewritten);
        command = plan_part(upload, part_of(*stored, number));
        if (stored->body.blob) *command.mutable_put_part()->add_new_blobs() = *stored->body.blob;
    }
    objects::StoredBody* const body = stored ? &stored->body : nullptr;
    auto committed = co_await commit_body(context, target.group, std::move(command), body);
    CO_TRY_ASSIGN(Committed outcome, committed);
    if (outcome.ok()) co_return Copied{std::move(outcome.answer), origin.version.version_id()};
    if (stored) co_await context->objects->discard(std::move(stored->body));
    if (outcome.answer.status() == proto::Answer::BLOB_GONE) co_return std::nullopt;
    co_return std::unexpected(error_of(outcome.answer));
}

}  // namespace

bool can_share(const proto::Version& source, objects::ByteRange range,
               proto::ChecksumAlgorithm algorithm) {
    if (source.parts_size() != 1 || range.offset != 0 || range.length != source.size()) {
        return false;
    }
    const proto::Part& part = source.parts(0);
    const bool has_checksum =
        algorithm == proto::CHECKSUM_NONE || part.checksum().algorithm() == algorithm;
    return !part.blob_id().empty() && !part.md5().empty() && has_checksum;
}

runtime::Task<S3Result<Reply>> upload_part_copy(Context* context, const VerifiedRequest* request,
                                                RequestBody*) {
    const RequestHead& head = request->head();
    CO_TRY_ASSIGN(const std::uint32_t number,
                  part_number_argument(param_or_empty(head, "partNumber")));
    CO_TRY_ASSIGN(const CopySource source,
                  parse_copy_source(head.header("x-amz-copy-source").value_or("")));
    if (context->objects->refuses_bodies()) co_return refuse(ErrorCode::kInsufficientStorage);
    for (int attempt = 0; attempt < kMaxCopyAttempts; ++attempt) {
        const bool by_value = attempt + 1 == kMaxCopyAttempts;
        auto tried = co_await copy_once(context, request, &source, number, by_value);
        CO_TRY_ASSIGN(const std::optional<Copied> copied, tried);
        if (!copied) continue;
        Reply reply = xml_reply(render(copied->answer));
        if (const std::string id = version_text(copied->source_version); id != "null") {
            reply.header("x-amz-copy-source-version-id", id);
        }
        co_return reply;
    }
    co_return refuse(ErrorCode::kSlowDown);
}

}  // namespace hamster::s3::ops
