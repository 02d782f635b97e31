#include "s3/ops/copy_object.h"

#include <optional>
#include <utility>

#include "base/encoding.h"
#include "meta/limits.h"
#include "s3/ops/access.h"
#include "s3/ops/answer.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/conditions.h"
#include "s3/ops/object_headers.h"
#include "s3/ops/version_ids.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

namespace {

// COPY (the default) or REPLACE.
S3Result<bool> replaces(const RequestHead& head, std::string_view name, const char* message) {
    const auto directive = head.header(name);
    if (!directive || *directive == "COPY") return false;
    if (*directive == "REPLACE") return true;
    return invalid_argument(name, *directive, message);
}

S3Result<> check_source_size(std::uint64_t size) {
    if (size <= meta::kMaxObjectPutBytes) return {};
    return refuse(ErrorCode::kInvalidRequest,
                  "The specified copy source is larger than the maximum allowable size for a copy "
                  "source: " +
                      std::to_string(meta::kMaxObjectPutBytes));
}

proto::Command command_for(const BucketAccess& target, const std::string& key,
                           const CopyRequest& copy, proto::Version version) {
    proto::Command command;
    proto::PutObject& put = *command.mutable_put_object();
    put.set_bucket_id(target.bucket.bucket_id());
    put.set_key(key);
    *put.mutable_precondition() = copy.precondition;
    *put.mutable_version() = std::move(version);
    return command;
}

// Turns a version by reference into one of freshly stored bytes.
void take_stored(const Stored& stored, proto::PutObject& put) {
    proto::Version& version = *put.mutable_version();
    version.clear_parts();
    version.set_multipart(false);
    version.set_etag(etag_of(stored));
    *version.mutable_checksum() = stored.checksum;
    if (!stored.body.blob) return;
    *version.add_parts() = part_of(stored, 0);
    *put.add_new_blobs() = *stored.body.blob;
}

std::string render(const proto::Answer& answer, std::size_t parts) {
    XmlWriter xml;
    xml.open_root("CopyObjectResult");
    xml.element("LastModified", base::iso8601(answer.modified_ms()));
    xml.element("ETag", '"' + answer.etag() + '"');
    if (answer.checksum().algorithm() != proto::CHECKSUM_NONE) {
        xml.element("ChecksumType", type_name(answer.checksum().type()));
    }
    add_checksum_element(xml, answer.checksum(), parts);
    xml.close();
    return std::move(xml).take();
}

// Of bytes that are stored anew: as asked for, or as the source has it.
ChecksumAlgorithm algorithm_for(const CopyRequest& copy, const proto::Version& source) {
    if (copy.algorithm != proto::CHECKSUM_NONE) return copy.algorithm;
    const ChecksumAlgorithm same = source.checksum().algorithm();
    return same == proto::CHECKSUM_NONE ? kDefaultChecksum : same;
}

// One attempt: nullopt when the source's blobs went away under it.
struct Copied {
    proto::Answer answer;
    std::size_t parts = 0;
    std::string source_version;
};

runtime::Task<S3Result<std::optional<Copied>>> copy_once(Context* context,
                                                         const VerifiedRequest* request,
                                                         const CopySource* source,
                                                         const CopyRequest* copy, bool by_value) {
    auto target_opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess target, target_opened);
    auto origin_opened = co_await open_copy_source(context, request, source);
    CO_TRY_ASSIGN(const CopyOrigin origin, origin_opened);
    CO_TRY(check_source_size(origin.version.size()));

    proto::Command command = command_for(target, request->key(), *copy,
                                         plan_copy(*copy, origin.version, target.bucket.owner()));
    proto::PutObject& put = *command.mutable_put_object();
    std::optional<Stored> stored;
    if (by_value || must_rewrite(*copy, origin.version)) {
        std::vector<proto::Part> parts(origin.version.parts().begin(),
                                       origin.version.parts().end());
        auto rewritten = co_await store_copy(context, origin.view, std::move(parts),
                                             objects::ByteRange{0, origin.version.size()},
                                             algorithm_for(*copy, origin.version));
        CO_TRY_ASSIGN(stored, rewritten);
        take_stored(*stored, put);
    } else {
        for (std::string& blob : blobs_of(origin.version)) put.add_shared_blobs(std::move(blob));
    }
    const auto part_count = static_cast<std::size_t>(put.version().parts_size());
    objects::StoredBody* const body = stored ? &stored->body : nullptr;
    auto committed = co_await commit_body(context, target.group, std::move(command), body);
    CO_TRY_ASSIGN(Committed outcome, committed);
    if (outcome.ok()) {
        co_return Copied{std::move(outcome.answer), part_count, origin.version.version_id()};
    }
    if (stored) co_await context->objects->discard(std::move(stored->body));
    if (outcome.answer.status() == proto::Answer::BLOB_GONE) co_return std::nullopt;
    co_return std::unexpected(error_of(outcome.answer));
}

}  // namespace

S3Result<CopyRequest> parse_copy(const RequestHead& head, bool onto_itself) {
    CopyRequest copy;
    TRY_ASSIGN(copy.replace_metadata,
               replaces(head, "x-amz-metadata-directive", "Unknown metadata directive."));
    TRY_ASSIGN(copy.replace_tags,
               replaces(head, "x-amz-tagging-directive", "Unknown tagging directive."));
    TRY_ASSIGN(copy.algorithm, requested_algorithm(head));
    TRY_ASSIGN(copy.headers, parse_object_headers(head));
    TRY_ASSIGN(copy.precondition, write_precondition(head));
    copy.onto_itself = onto_itself;
    const bool changes = copy.replace_metadata || copy.algorithm != proto::CHECKSUM_NONE ||
                         head.header("x-amz-storage-class") ||
                         head.header("x-amz-website-redirect-location");
    if (onto_itself && !changes) {
        return refuse(ErrorCode::kInvalidRequest,
                      "This copy request is illegal because it is trying to copy an object to "
                      "itself without changing the object's metadata, storage class, website "
                      "redirect location or encryption attributes.");
    }
    return copy;
}

bool must_rewrite(const CopyRequest& copy, const proto::Version& source) {
    if (copy.algorithm == proto::CHECKSUM_NONE) return false;
    return copy.algorithm != source.checksum().algorithm() ||
           source.checksum().type() != proto::CHECKSUM_TYPE_FULL_OBJECT;
}

proto::Version plan_copy(const CopyRequest& copy, const proto::Version& source,
                         const std::string& owner) {
    proto::Version out;
    out.set_size(source.size());
    out.set_etag(source.etag());
    if (source.has_checksum()) *out.mutable_checksum() = source.checksum();
    *out.mutable_parts() = source.parts();
    out.set_multipart(source.multipart());
    out.set_owner(owner);
    proto::ObjectHeaders& headers = *out.mutable_headers();
    headers = copy.replace_metadata ? copy.headers : source.headers();
    *headers.mutable_tags() = copy.replace_tags ? copy.headers.tags() : source.headers().tags();
    // Neither of these is metadata that a COPY takes along.
    headers.set_website_redirect(copy.headers.website_redirect());
    headers.set_storage_class(copy.headers.storage_class());
    return out;
}

runtime::Task<S3Result<Reply>> copy_object(Context* context, const VerifiedRequest* request,
                                           RequestBody*) {
    CO_TRY_ASSIGN(const CopySource source,
                  parse_copy_source(request->head().header("x-amz-copy-source").value_or("")));
    const bool onto_itself = source.bucket == request->bucket() && source.key == request->key();
    CO_TRY_ASSIGN(const CopyRequest copy, parse_copy(request->head(), onto_itself));
    if (context->objects->refuses_bodies()) co_return refuse(ErrorCode::kInsufficientStorage);
    for (int attempt = 0; attempt < kMaxCopyAttempts; ++attempt) {
        const bool by_value = attempt + 1 == kMaxCopyAttempts;
        auto tried = co_await copy_once(context, request, &source, &copy, by_value);
        CO_TRY_ASSIGN(const std::optional<Copied> copied, tried);
        if (!copied) continue;
        Reply reply = xml_reply(render(copied->answer, copied->parts));
        if (const std::string id = version_text(copied->source_version); id != "null") {
            reply.header("x-amz-copy-source-version-id", id);
        }
        add_version_header(reply, copied->answer.version_id());
        co_return reply;
    }
    co_return refuse(ErrorCode::kSlowDown);
}

}  // namespace hamster::s3::ops
