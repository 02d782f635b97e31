#include "s3/ops/delete_objects.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "meta/limits.h"
#include "runtime/sync.h"
#include "s3/ops/access.h"
#include "s3/ops/conditions.h"
#include "s3/ops/delete_object.h"
#include "s3/ops/version_ids.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

namespace {

S3Result<std::uint64_t> parse_time(const std::string& text) {
    auto ms = base::parse_iso8601(text);
    if (!ms) ms = base::parse_http_date(text);
    if (!ms) return refuse(ErrorCode::kMalformedXml);
    return *ms;
}

S3Result<ObjectToDelete> parse_object(const XmlElement& element) {
    ObjectToDelete out;
    TRY_ASSIGN(auto key, element.text_of("Key"));
    if (!key || key->empty()) return refuse(ErrorCode::kMalformedXml);
    out.key = std::move(*key);
    TRY_ASSIGN(out.version, element.text_of("VersionId"));
    TRY_ASSIGN(const auto etag, element.text_of("ETag"));
    if (etag) out.precondition.set_if_match_etag(std::string(unquoted(*etag)));
    TRY_ASSIGN(const auto time, element.text_of("LastModifiedTime"));
    if (time) {
        TRY_ASSIGN(const std::uint64_t ms, parse_time(*time));
        out.precondition.set_if_match_modified_ms(ms);
    }
    TRY_ASSIGN(const auto size, element.text_of("Size"));
    if (size) {
        const auto bytes = base::parse_u64(*size);
        if (!bytes) return refuse(ErrorCode::kMalformedXml);
        out.precondition.set_if_match_size(*bytes);
    }
    return out;
}

S3Result<std::optional<base::VersionId>> version_of(const ObjectToDelete& object) {
    if (!object.version || object.version->empty()) return std::optional<base::VersionId>();
    const auto id = parse_version_text(*object.version);
    if (!id) return refuse(ErrorCode::kNoSuchVersion);
    return id;
}

runtime::Task<DeleteOutcome> delete_one(Context* context, const VerifiedRequest* request,
                                        const BucketAccess* access, const ObjectToDelete* object) {
    // Each key is a question of its own to the authorizer.
    const auto allowed = authorize(access->view, request->identity(), Action::kDeleteObject,
                                   request->bucket(), object->key);
    if (!allowed) co_return DeleteOutcome{allowed.error(), {}};
    if (object->key.size() > meta::kMaxKeyBytes) {
        co_return DeleteOutcome{S3Error{ErrorCode::kKeyTooLong, {}, {}, {}}, {}};
    }
    const auto version = version_of(*object);
    if (!version) co_return DeleteOutcome{version.error(), {}};
    auto deleted = co_await perform_delete(
        context, access->group,
        plan_delete(access->id, object->key, *version, object->precondition));
    if (!deleted) co_return DeleteOutcome{std::move(deleted).error(), {}};
    co_return DeleteOutcome{std::nullopt, std::move(*deleted)};
}

void render_deleted(XmlWriter& xml, const ObjectToDelete& object, const proto::Answer& answer) {
    xml.open("Deleted");
    xml.element("Key", object.key);
    if (object.version && !object.version->empty()) xml.element("VersionId", *object.version);
    if (answer.delete_marker()) {
        xml.element("DeleteMarker", true);
        xml.element("DeleteMarkerVersionId", version_text(answer.version_id()));
    }
    xml.close();
}

void render_error(XmlWriter& xml, const ObjectToDelete& object, const S3Error& error) {
    const ErrorRow& row = row_of(error.code);
    xml.open("Error");
    xml.element("Key", object.key);
    if (object.version && !object.version->empty()) xml.element("VersionId", *object.version);
    xml.element("Code", row.name);
    xml.element("Message", error.message.empty() ? row.message : error.message);
    xml.close();
}

}  // namespace

S3Result<DeleteList> parse_delete_list(std::string_view body) {
    TRY_ASSIGN(const XmlElement root, parse_xml(body, "Delete"));
    DeleteList out;
    TRY_ASSIGN(const auto quiet, root.text_of("Quiet"));
    if (quiet && *quiet != "true" && *quiet != "false") return refuse(ErrorCode::kMalformedXml);
    out.quiet = quiet && *quiet == "true";
    for (const XmlElement& element : root.children) {
        if (element.name == "Quiet") continue;
        if (element.name != "Object") return refuse(ErrorCode::kMalformedXml);
        TRY_ASSIGN(auto object, parse_object(element));
        out.objects.push_back(std::move(object));
    }
    if (out.objects.empty() || out.objects.size() > kMaxDeletedKeys) {
        return refuse(ErrorCode::kMalformedXml);
    }
    return out;
}

std::string render_delete_result(const DeleteList& list,
                                 const std::vector<DeleteOutcome>& outcomes) {
    XmlWriter xml;
    xml.open_root("DeleteResult");
    for (std::size_t i = 0; i < list.objects.size(); ++i) {
        if (outcomes[i].error) {
            render_error(xml, list.objects[i], *outcomes[i].error);
        } else if (!list.quiet) {
            render_deleted(xml, list.objects[i], outcomes[i].answer);
        }
    }
    xml.close();
    return std::move(xml).take();
}

S3Result<> check_body_is_vouched_for(const RequestHead& head, const RequestBody& body) {
    constexpr std::size_t kSha256HexDigits = 64;
    const auto payload = head.header("x-amz-content-sha256");
    const bool vouched = head.header("content-md5") || body.announced() != proto::CHECKSUM_NONE ||
                         (payload && payload->size() == kSha256HexDigits);
    if (vouched) return {};
    return refuse(ErrorCode::kInvalidRequest,
                  "Missing required header for this request: Content-MD5");
}

runtime::Task<S3Result<Reply>> delete_objects(Context* context, const VerifiedRequest* request,
                                              RequestBody* body) {
    CO_TRY(check_body_is_vouched_for(request->head(), *body));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    auto text = co_await read_all(body, kMaxDeleteBodyBytes);
    CO_TRY(text);
    CO_TRY_ASSIGN(const DeleteList list, parse_delete_list(*text));
    std::vector<DeleteOutcome> outcomes;
    outcomes.reserve(list.objects.size());
    while (outcomes.size() < list.objects.size()) {
        const std::size_t from = outcomes.size();
        const std::size_t to = std::min(list.objects.size(), from + kDeletesAtOnce);
        std::vector<runtime::Task<DeleteOutcome>> tasks;
        for (std::size_t i = from; i < to; ++i) {
            tasks.push_back(delete_one(context, request, &access, &list.objects[i]));
        }
        auto finished = co_await runtime::when_all(std::move(tasks));
        std::ranges::move(finished, std::back_inserter(outcomes));
    }
    co_return xml_reply(render_delete_result(list, outcomes));
}

}  // namespace hamster::s3::ops
