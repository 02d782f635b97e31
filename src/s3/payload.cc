#include "s3/payload.h"

#include <algorithm>

#include "base/encoding.h"

namespace hamster::s3 {

namespace {

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

constexpr std::size_t kMaxTrailers = 8;  // one checksum is all S3 knows

S3Result<std::vector<std::string>> parse_trailer_names(std::string_view text) {
    std::vector<std::string> names;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        std::string_view name = text.substr(0, comma);
        while (name.starts_with(' ')) name.remove_prefix(1);
        while (name.ends_with(' ')) name.remove_suffix(1);
        std::string lower(name);
        for (char& c : lower) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        }
        if (!lower.starts_with("x-amz-checksum-") || names.size() >= kMaxTrailers ||
            std::ranges::find(names, lower) != names.end()) {
            return refuse(ErrorCode::kInvalidRequest,
                          "The value specified in the x-amz-trailer header is not supported");
        }
        names.push_back(std::move(lower));
        text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    return names;
}

}  // namespace

S3Result<PayloadMode> parse_payload_mode(std::string_view value) {
    if (value == kUnsignedPayload) return PayloadMode::kUnsigned;
    if (value == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") return PayloadMode::kSigned;
    if (value == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") return PayloadMode::kSignedTrailer;
    if (value == "STREAMING-UNSIGNED-PAYLOAD-TRAILER") return PayloadMode::kUnsignedTrailer;
    if (value.size() == 64 && std::ranges::all_of(value, is_lower_hex)) return PayloadMode::kHash;
    return refuse(ErrorCode::kInvalidArgument,
                  "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                  "STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.");
}

S3Result<PayloadPlan> plan_payload(const RequestHead& head, std::string_view content_sha256) {
    auto mode = parse_payload_mode(content_sha256);
    if (!mode) return std::unexpected(mode.error());
    PayloadPlan plan;
    plan.mode = *mode;
    if (plan.mode == PayloadMode::kHash) plan.sha256_hex = content_sha256;
    if (const auto names = head.header("x-amz-trailer")) {
        if (!has_trailer(plan.mode)) {
            return refuse(ErrorCode::kInvalidRequest,
                          "x-amz-trailer needs a payload with a trailer.");
        }
        auto trailers = parse_trailer_names(*names);
        if (!trailers) return std::unexpected(trailers.error());
        plan.trailers = std::move(*trailers);
    }
    if (!is_streaming(plan.mode)) {
        if (head.chunked) return refuse(ErrorCode::kMissingContentLength);
        plan.length = head.content_length.value_or(0);
        return plan;
    }
    const auto decoded = head.header("x-amz-decoded-content-length");
    if (!decoded) return refuse(ErrorCode::kMissingContentLength);
    plan.length = base::parse_u64(*decoded);
    if (!plan.length) return refuse(ErrorCode::kInvalidArgument);
    if (!head.chunked && !head.content_length) return refuse(ErrorCode::kMissingContentLength);
    return plan;
}

}  // namespace hamster::s3
