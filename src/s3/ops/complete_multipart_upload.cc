#include "s3/ops/complete_multipart_upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/encoding.h"
#include "meta/limits.h"
#include "s3/ops/answer.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/conditions.h"
#include "s3/ops/uploads.h"
#include "s3/ops/version_ids.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

namespace {

S3Result<> parse_part_checksum(const XmlElement& element, proto::CompletedPart& part) {
    for (const ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
        TRY_ASSIGN(const auto text, element.text_of(checksum_element(algorithm)));
        if (!text) continue;
        TRY_ASSIGN(auto value, parse_checksum_value(algorithm, *text));
        part.mutable_checksum()->set_algorithm(algorithm);
        part.mutable_checksum()->set_value(std::move(value));
    }
    return {};
}

S3Result<proto::CompletedPart> parse_part(const XmlElement& element) {
    proto::CompletedPart part;
    TRY_ASSIGN(const auto number, element.text_of("PartNumber"));
    TRY_ASSIGN(const auto etag, element.text_of("ETag"));
    if (!number || !etag) return refuse(ErrorCode::kMalformedXml);
    const auto value = base::parse_u64(*number);
    if (!value) return refuse(ErrorCode::kMalformedXml);
    if (*value < 1 || *value > meta::kMaxParts) {
        return invalid_argument("partNumber", *number,
                                "Part number must be an integer between 1 and 10000, inclusive");
    }
    part.set_number(static_cast<std::uint32_t>(*value));
    part.set_etag(std::string(unquoted(*etag)));
    TRY(parse_part_checksum(element, part));
    return part;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

S3Error missing_part_checksum(ChecksumAlgorithm algorithm, std::uint32_t number) {
    return {ErrorCode::kInvalidRequest,
            fmt::format("The upload was created using a {} checksum. The complete request must "
                        "include the checksum for each part. It was missing for part {} in the "
                        "request.",
                        lower(algorithm_name(algorithm)), number),
            {},
            {}};
}

std::string render(const VerifiedRequest& request, const proto::Answer& answer, std::size_t parts) {
    XmlWriter xml;
    xml.open_root("CompleteMultipartUploadResult");
    xml.element("Location", request.head().url());
    xml.element("Bucket", request.bucket());
    xml.element("Key", request.key());
    xml.element("ETag", '"' + answer.etag() + '"');
    add_checksum_element(xml, answer.checksum(), parts);
    if (answer.checksum().algorithm() != proto::CHECKSUM_NONE) {
        xml.element("ChecksumType", type_name(answer.checksum().type()));
    }
    xml.close();
    return std::move(xml).take();
}

S3Error refusal_of(const proto::Answer& answer, const base::UploadId& id,
                   const proto::CompleteUpload& complete) {
    S3Error error = error_of(answer);
    if (answer.status() == proto::Answer::NO_SUCH_UPLOAD) return no_such_upload(id.hex());
    if (answer.status() != proto::Answer::INVALID_PART) return error;
    error.details.insert(error.details.begin(), {"UploadId", id.hex()});
    for (const proto::CompletedPart& part : complete.parts()) {
        if (std::to_string(part.number()) == answer.detail()) {
            error.details.emplace_back("ETag", part.etag());
            break;
        }
    }
    return error;
}

}  // namespace

S3Result<std::vector<proto::CompletedPart>> parse_part_list(std::string_view body) {
    TRY_ASSIGN(const XmlElement root, parse_xml(body, "CompleteMultipartUpload"));
    if (root.children.empty() || root.children.size() > meta::kMaxParts) {
        return refuse(ErrorCode::kMalformedXml);
    }
    std::vector<proto::CompletedPart> out;
    out.reserve(root.children.size());
    for (const XmlElement& element : root.children) {
        if (element.name != "Part") return refuse(ErrorCode::kMalformedXml);
        TRY_ASSIGN(auto part, parse_part(element));
        out.push_back(std::move(part));
    }
    return out;
}

S3Result<proto::CompleteUpload> parse_complete_headers(const RequestHead& head) {
    proto::CompleteUpload out;
    TRY_ASSIGN(*out.mutable_precondition(), write_precondition(head));
    for (const ChecksumAlgorithm algorithm : kChecksumAlgorithms) {
        const auto text = head.header(checksum_header(algorithm));
        if (!text) continue;
        TRY_ASSIGN(auto value, parse_checksum_value(algorithm, *text));
        out.mutable_checksum()->set_algorithm(algorithm);
        out.mutable_checksum()->set_value(std::move(value));
    }
    if (const auto text = head.header("x-amz-checksum-type")) {
        const auto type = parse_type(*text);
        if (!type) {
            return refuse(ErrorCode::kInvalidRequest,
                          "Value for x-amz-checksum-type header is invalid.");
        }
        out.mutable_checksum()->set_type(*type);
    }
    if (const auto text = head.header("x-amz-mp-object-size")) {
        const auto size = base::parse_u64(*text);
        if (!size) return invalid_argument("x-amz-mp-object-size", *text);
        out.set_expected_size(*size);
    }
    return out;
}

S3Result<> reconcile_checksums(const proto::Upload* upload, proto::CompleteUpload& complete) {
    if (upload == nullptr) return {};
    const ChecksumAlgorithm expected = upload->checksum_algorithm();
    const bool composite = upload->checksum_type() == proto::CHECKSUM_TYPE_COMPOSITE;
    const ChecksumType claimed = complete.checksum().type();
    if (claimed != proto::CHECKSUM_TYPE_UNSPECIFIED && claimed != upload->checksum_type()) {
        return refuse(ErrorCode::kInvalidRequest,
                      fmt::format("The upload was created using the {} checksum mode. The "
                                  "complete request must use the same checksum mode.",
                                  type_name(upload->checksum_type())));
    }
    for (proto::CompletedPart& part : *complete.mutable_parts()) {
        const ChecksumAlgorithm algorithm = part.checksum().algorithm();
        if (composite && algorithm == proto::CHECKSUM_NONE) {
            return std::unexpected(missing_part_checksum(expected, part.number()));
        }
        if (!composite && expected == kDefaultChecksum && algorithm != expected) {
            part.clear_checksum();
        }
    }
    return {};
}

runtime::Task<S3Result<Reply>> complete_multipart_upload(Context* context,
                                                         const VerifiedRequest* request,
                                                         RequestBody* body) {
    const RequestHead& head = request->head();
    CO_TRY_ASSIGN(const base::UploadId id, requested_upload(head));
    CO_TRY_ASSIGN(proto::CompleteUpload complete, parse_complete_headers(head));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    // An upload that has ended may still be answered again, so a missing one is apply's to judge.
    auto upload = access.view.upload(access.id, request->key(), id);
    if (!upload) co_return std::unexpected(from_error(upload.error()));
    auto text = co_await read_all(body, kMaxCompleteBodyBytes);
    CO_TRY(text);
    CO_TRY_ASSIGN(auto parts, parse_part_list(*text));
    for (proto::CompletedPart& part : parts) *complete.add_parts() = std::move(part);
    CO_TRY(reconcile_checksums(*upload ? &**upload : nullptr, complete));

    complete.set_bucket_id(access.bucket.bucket_id());
    complete.set_key(request->key());
    complete.set_upload_id(std::string(id.view()));
    proto::Command command;
    *command.mutable_complete_upload() = complete;
    auto committed = co_await commit(context->world, access.group, std::move(command));
    CO_TRY_ASSIGN(const Committed outcome, committed);
    if (!outcome.ok()) co_return std::unexpected(refusal_of(outcome.answer, id, complete));
    Reply reply = xml_reply(
        render(*request, outcome.answer, static_cast<std::size_t>(complete.parts_size())));
    add_version_header(reply, outcome.answer.version_id());
    co_return reply;
}

}  // namespace hamster::s3::ops
