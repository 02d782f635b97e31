#include "s3/ops/conditions.h"

#include "base/encoding.h"
#include "s3/ops/arguments.h"

namespace hamster::s3::ops {

namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::optional<std::uint64_t> date_of(const RequestHead& head, std::string_view name) {
    const auto value = head.header(name);
    if (!value) return std::nullopt;
    return base::parse_http_date(*value);  // not a date: ignored, RFC 9110 section 13.1.3
}

std::unexpected<S3Error> not_offered(std::string_view header) {
    S3Error error{ErrorCode::kNotImplemented, {}, {}, {}};
    error.details.emplace_back("Header", std::string(header));
    return std::unexpected(std::move(error));
}

constexpr std::uint64_t whole_seconds(std::uint64_t ms) { return ms / 1000 * 1000; }

}  // namespace

ReadConditions read_conditions(const RequestHead& head) {
    return {head.header("if-match"), head.header("if-none-match"),
            date_of(head, "if-modified-since"), date_of(head, "if-unmodified-since")};
}

ReadConditions copy_source_conditions(const RequestHead& head) {
    return {head.header("x-amz-copy-source-if-match"),
            head.header("x-amz-copy-source-if-none-match"),
            date_of(head, "x-amz-copy-source-if-modified-since"),
            date_of(head, "x-amz-copy-source-if-unmodified-since")};
}

Verdict judge(const ReadConditions& conditions, std::string_view etag, std::uint64_t modified_ms) {
    const std::uint64_t modified = whole_seconds(modified_ms);
    if (conditions.if_match) {
        if (!etag_matches(*conditions.if_match, etag, false)) return Verdict::kMatchFailed;
    } else if (conditions.if_unmodified_since_ms) {
        if (modified > *conditions.if_unmodified_since_ms) return Verdict::kUnmodifiedFailed;
    }
    if (conditions.if_none_match) {
        if (etag_matches(*conditions.if_none_match, etag, true)) return Verdict::kNotModified;
    } else if (conditions.if_modified_since_ms) {
        if (modified <= *conditions.if_modified_since_ms) return Verdict::kNotModified;
    }
    return Verdict::kProceed;
}

std::string_view unquoted(std::string_view etag) {
    etag = trimmed(etag);
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
        return etag.substr(1, etag.size() - 2);
    }
    return etag;
}

bool etag_matches(std::string_view header, std::string_view etag, bool weak) {
    while (!header.empty()) {
        const auto comma = header.find(',');
        std::string_view one = trimmed(header.substr(0, comma));
        header = comma == std::string_view::npos ? std::string_view() : header.substr(comma + 1);
        if (one == "*") return true;
        const bool is_weak = one.starts_with("W/");
        if (is_weak) one.remove_prefix(2);
        if ((weak || !is_weak) && unquoted(one) == etag) return true;
    }
    return false;
}

S3Result<proto::Precondition> write_precondition(const RequestHead& head) {
    proto::Precondition out;
    for (const std::string_view name : {"if-modified-since", "if-unmodified-since"}) {
        if (head.header(name)) return not_offered(name);
    }
    const auto none_match = head.header("if-none-match");
    const auto match = head.header("if-match");
    if (none_match && (match || unquoted(*none_match) != "*")) return not_offered("If-None-Match");
    out.set_if_none_match_any(none_match.has_value());
    if (match) {
        const std::string_view etag = unquoted(*match);
        if (etag.empty()) return invalid_argument("If-Match", *match, "Invalid If-Match value");
        out.set_if_match_etag(std::string(etag));
    }
    return out;
}

S3Result<proto::Precondition> delete_precondition(const RequestHead& head) {
    constexpr std::string_view kTime = "x-amz-if-match-last-modified-time";
    constexpr std::string_view kSize = "x-amz-if-match-size";
    proto::Precondition out;
    if (head.header("if-none-match")) return not_offered("If-None-Match");
    if (const auto match = head.header("if-match")) {
        const std::string_view etag = unquoted(*match);
        if (etag.empty()) return invalid_argument("If-Match", *match, "Invalid If-Match value");
        out.set_if_match_etag(std::string(etag));
    }
    if (const auto time = head.header(kTime)) {
        const auto ms = base::parse_http_date(*time);
        if (!ms) return invalid_argument(kTime, *time);
        out.set_if_match_modified_ms(*ms);
    }
    if (const auto size = head.header(kSize)) {
        const auto bytes = base::parse_u64(*size);
        if (!bytes) return invalid_argument(kSize, *size);
        out.set_if_match_size(*bytes);
    }
    return out;
}

S3Result<> judge_write(const proto::Precondition& precondition, const proto::Version* newest) {
    const bool exists = newest != nullptr && !newest->delete_marker();
    if (precondition.if_none_match_any() && exists) {
        return std::unexpected(precondition_failed("If-None-Match"));
    }
    const std::string& etag = precondition.if_match_etag();
    if (etag.empty()) return {};
    if (!exists) return refuse(ErrorCode::kNoSuchKey);
    if (etag != "*" && etag != newest->etag()) {
        return std::unexpected(precondition_failed("If-Match"));
    }
    return {};
}

S3Error precondition_failed(std::string_view condition) {
    S3Error error{ErrorCode::kPreconditionFailed, {}, {}, {}};
    error.details.emplace_back("Condition", std::string(condition));
    return error;
}

}  // namespace hamster::s3::ops
