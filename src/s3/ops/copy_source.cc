#include "s3/ops/copy_source.h"

#include <set>
#include <utility>

#include "base/encoding.h"
#include "s3/address.h"
#include "s3/bucket_name.h"
#include "s3/ops/arguments.h"
#include "s3/ops/conditions.h"
#include "s3/ops/read_object.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

namespace {

constexpr std::string_view kName = "x-amz-copy-source";

// All four answer 412 when they do not hold: a copy has no 304.
S3Result<> check_source_conditions(const RequestHead& head, const proto::Version& version) {
    const ReadConditions conditions = copy_source_conditions(head);
    switch (judge(conditions, version.etag(), version.modified_ms())) {
        case Verdict::kProceed:
            return {};
        case Verdict::kMatchFailed:
            return std::unexpected(precondition_failed("x-amz-copy-source-If-Match"));
        case Verdict::kUnmodifiedFailed:
            return std::unexpected(precondition_failed("x-amz-copy-source-If-Unmodified-Since"));
        case Verdict::kNotModified:
            break;
    }
    return std::unexpected(precondition_failed(conditions.if_none_match
                                                   ? "x-amz-copy-source-If-None-Match"
                                                   : "x-amz-copy-source-If-Modified-Since"));
}

}  // namespace

S3Result<CopySource> parse_copy_source(std::string_view header) {
    constexpr std::string_view kVersion = "?versionId=";
    CopySource out;
    std::string_view path = header;
    if (const auto at = path.rfind(kVersion); at != std::string_view::npos) {
        out.version = parse_version_text(path.substr(at + kVersion.size()));
        if (!out.version) return invalid_argument(kName, header, "Invalid version id specified");
        path = path.substr(0, at);
    }
    const auto decoded = base::uri_decode(path);
    if (!decoded) return invalid_argument(kName, header, "Invalid copy source encoding.");
    std::string_view plain = *decoded;
    if (plain.starts_with('/')) plain.remove_prefix(1);
    const auto slash = plain.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == plain.size()) {
        return invalid_argument(
            kName, header,
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
    }
    out.bucket = plain.substr(0, slash);
    out.key = plain.substr(slash + 1);
    if (!is_valid_bucket_name(out.bucket)) return refuse(ErrorCode::kInvalidBucketName);
    if (!base::is_valid_utf8(out.key)) {
        return invalid_argument(kName, header, "Invalid copy source encoding.");
    }
    TRY(check_key(out.key));
    return out;
}

runtime::Task<S3Result<CopyOrigin>> open_copy_source(Context* context,
                                                     const VerifiedRequest* request,
                                                     const CopySource* source) {
    auto opened = co_await open_named_bucket(context, request, Action::kGetObject, source->bucket,
                                             source->key, "x-amz-source-expected-bucket-owner");
    CO_TRY_ASSIGN(BucketAccess access, opened);
    auto found = find_version(access, source->key, source->version);
    if (!found && found.error().code == ErrorCode::kMethodNotAllowed) {
        co_return refuse(ErrorCode::kInvalidRequest,
                         "The source of a copy request may not specifically refer to a delete "
                         "marker by version id.");
    }
    CO_TRY_ASSIGN(proto::Version version, found);
    CO_TRY(check_source_conditions(request->head(), version));
    co_return CopyOrigin{std::move(access.view), std::move(access.bucket), std::move(version)};
}

std::vector<std::string> blobs_of(const proto::Version& version) {
    std::set<std::string> ids;
    for (const proto::Part& part : version.parts()) {
        if (!part.blob_id().empty()) ids.insert(part.blob_id());
    }
    return {ids.begin(), ids.end()};
}

}  // namespace hamster::s3::ops
