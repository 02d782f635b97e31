#include "s3/ops/read_object.h"

#include <utility>

#include "base/encoding.h"
#include "s3/ops/arguments.h"
#include "s3/ops/checksums.h"
#include "s3/ops/conditions.h"
#include "s3/ops/range.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

namespace {

S3Error delete_marker(ErrorCode code, const proto::Version& version) {
    S3Error error{code, {}, {}, {}};
    error.headers.emplace_back("x-amz-delete-marker", "true");
    error.headers.emplace_back("x-amz-version-id", version_text(version.version_id()));
    return error;
}

std::string quoted(const std::string& etag) { return '"' + etag + '"'; }

S3Error not_modified(const proto::Version& version) {
    S3Error error{ErrorCode::kNotModified, {}, {}, {}};
    error.headers.emplace_back("Last-Modified", base::http_date(version.modified_ms()));
    error.headers.emplace_back("ETag", quoted(version.etag()));
    if (!version.headers().cache_control().empty()) {
        error.headers.emplace_back("Cache-Control", version.headers().cache_control());
    }
    return error;
}

S3Result<> check_conditions(const RequestHead& head, const proto::Version& version) {
    switch (judge(read_conditions(head), version.etag(), version.modified_ms())) {
        case Verdict::kProceed:
            return {};
        case Verdict::kNotModified:
            return std::unexpected(not_modified(version));
        case Verdict::kMatchFailed:
            return std::unexpected(precondition_failed("If-Match"));
        case Verdict::kUnmodifiedFailed:
            break;
    }
    return std::unexpected(precondition_failed("If-Unmodified-Since"));
}

// RFC 9110 section 13.1.5: the range counts only if the object is still that one.
bool range_applies(const RequestHead& head, const proto::Version& version) {
    const auto condition = head.header("if-range");
    if (!condition) return true;
    if (const auto date = base::parse_http_date(*condition)) {
        return version.modified_ms() / 1000 * 1000 == *date;
    }
    return etag_matches(*condition, version.etag(), false);
}

S3Error part_out_of_reach(std::uint32_t wanted, std::size_t count) {
    S3Error error{ErrorCode::kInvalidPartNumber, {}, {}, {}};
    error.details.emplace_back("ActualPartCount", std::to_string(count));
    error.details.emplace_back("PartNumberRequested", std::to_string(wanted));
    return error;
}

// partNumber counts the parts of the finished object from 1, whatever numbers they were uploaded
// under; an object that is not multipart is one part.
S3Result<> plan_part(std::string_view text, const proto::Version& version, ReadPlan& plan) {
    TRY_ASSIGN(const std::uint32_t number, part_number_argument(text));
    const std::size_t count =
        version.multipart() ? static_cast<std::size_t>(version.parts_size()) : 1;
    if (number > count) return std::unexpected(part_out_of_reach(number, count));
    plan.range = {0, version.size()};
    if (version.multipart()) {
        const int index = static_cast<int>(number) - 1;
        for (int i = 0; i < index; ++i) plan.range.offset += version.parts(i).size();
        plan.range.length = version.parts(index).size();
        plan.part = static_cast<std::size_t>(index);
        plan.with_parts_count = true;
    }
    plan.status = plan.range.length > 0 ? 206 : 200;  // no range names zero bytes
    return {};
}

void add_checksum(Reply& reply, const ReadPlan& plan, const proto::Version& version) {
    if (plan.part) {
        // The part's own value: clients hold it against the bytes they get.
        proto::Checksum own = version.parts(static_cast<int>(*plan.part)).checksum();
        own.set_type(version.checksum().type());
        add_checksum_headers(reply, own, 0);
    } else {
        add_checksum_headers(reply, version.checksum(),
                             static_cast<std::size_t>(version.parts_size()));
    }
}

}  // namespace

S3Error no_such_key(const std::string& key) {
    S3Error error{ErrorCode::kNoSuchKey, {}, {}, {}};
    error.details.emplace_back("Key", key);
    return error;
}

S3Result<proto::Version> find_version(const BucketAccess& access, const std::string& key,
                                      const std::optional<base::VersionId>& id) {
    auto found = id ? access.view.version(access.id, key, *id) : access.view.newest(access.id, key);
    if (!found) return std::unexpected(from_error(found.error()));
    if (!*found) {
        S3Error error = no_such_key(key);
        if (id) {
            error.code = ErrorCode::kNoSuchVersion;
            error.details.emplace_back("VersionId", version_text(id->view()));
        }
        return std::unexpected(std::move(error));
    }
    proto::Version& version = **found;
    if (!version.delete_marker()) return std::move(version);
    if (!id) {
        S3Error error = delete_marker(ErrorCode::kNoSuchKey, version);
        error.details.emplace_back("Key", key);
        return std::unexpected(std::move(error));
    }
    S3Error error = delete_marker(ErrorCode::kMethodNotAllowed, version);
    error.headers.emplace_back("Allow", "DELETE");
    return std::unexpected(std::move(error));
}

S3Result<ReadPlan> plan_read(const RequestHead& head, const proto::Version& version) {
    ReadPlan plan;
    const auto part = head.param("partNumber");
    const auto range = head.header("range");
    if (part && range) {
        return refuse(ErrorCode::kInvalidRequest,
                      "Cannot specify both Range header and partNumber query parameter");
    }
    TRY_ASSIGN(plan.overrides, response_overrides(head));
    TRY(check_conditions(head, version));
    if (part) {
        TRY(plan_part(*part, version, plan));
    } else {
        const bool applies = range && range_applies(head, version);
        TRY_ASSIGN(const RangePlan bytes,
                   plan_range(applies ? range : std::nullopt, version.size()));
        plan.range = bytes.range;
        plan.status = bytes.partial ? 206 : 200;
    }
    // The checksum of a whole says nothing about a piece.
    const bool covered = plan.part || plan.range.length == version.size();
    plan.with_checksum = covered && wants_checksums(head);
    return plan;
}

Reply read_reply(const ReadPlan& plan, const proto::Version& version) {
    Reply reply;
    reply.status = plan.status;
    reply.headers.reserve(12);
    reply.header("Last-Modified", base::http_date(version.modified_ms()));
    reply.header("ETag", quoted(version.etag()));
    if (plan.with_checksum) add_checksum(reply, plan, version);
    if (plan.with_parts_count) {
        reply.header("x-amz-mp-parts-count", std::to_string(version.parts_size()));
    }
    add_version_header(reply, version.version_id());
    reply.header("Accept-Ranges", "bytes");
    if (plan.status == 206) {
        reply.header("Content-Range", content_range(plan.range, version.size()));
    }
    add_object_headers(reply, version.headers(), plan.overrides);
    return reply;
}

}  // namespace hamster::s3::ops
