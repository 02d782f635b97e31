#include "s3/auth_header.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/encoding.h"

namespace hamster::s3 {

namespace {

constexpr std::size_t kMaxAccessKeyBytes = 128;  // IAM
constexpr std::string_view kOnlyV4 =
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";

bool is_hex_signature(std::string_view text) {
    return text.size() == 64 && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

bool is_date(std::string_view text) {
    return text.size() == 8 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// a;b;c: lower case, sorted, each once.
bool parse_signed_headers(std::string_view text, std::vector<std::string>& out) {
    while (true) {
        const std::size_t end = text.find(';');
        const std::string_view name = text.substr(0, end);
        if (name.empty() ||
            std::ranges::any_of(name, [](char c) { return c >= 'A' && c <= 'Z'; })) {
            return false;
        }
        if (!out.empty() && out.back() >= name) return false;
        out.emplace_back(name);
        if (end == std::string_view::npos) return true;
        text.remove_prefix(end + 1);
    }
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return text;
}

std::unexpected<S3Error> malformed(std::string message) {
    return refuse(ErrorCode::kAuthorizationHeaderMalformed, std::move(message));
}

std::unexpected<S3Error> bad_query(std::string message) {
    return refuse(ErrorCode::kAuthorizationQueryParametersError, std::move(message));
}

// Cuts the last "/part" off `text`.
std::optional<std::string_view> cut_last(std::string_view& text) {
    const std::size_t slash = text.rfind('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::string_view part = text.substr(slash + 1);
    text = text.substr(0, slash);
    return part;
}

}  // namespace

bool parse_credential(std::string_view text, Claim& claim) {
    const auto terminator = cut_last(text);
    const auto service = cut_last(text);
    const auto region = cut_last(text);
    const auto date = cut_last(text);
    if (!date || terminator != "aws4_request" || service != "s3" || !is_date(*date)) return false;
    if (text.empty() || text.size() > kMaxAccessKeyBytes || region->empty()) return false;
    claim.access_key_id = text;
    claim.scope = {std::string(*date), std::string(*region)};
    return true;
}

S3Result<Claim> parse_authorization(std::string_view value) {
    if (value.starts_with("AWS ")) return refuse(ErrorCode::kInvalidRequest, std::string(kOnlyV4));
    const std::size_t space = value.find(' ');
    if (value.substr(0, space) != kAlgorithm) {
        if (value.starts_with("AWS4-")) {
            return refuse(ErrorCode::kInvalidRequest, std::string(kOnlyV4));
        }
        return refuse(ErrorCode::kInvalidArgument, "Unsupported Authorization Type");
    }
    std::optional<std::string_view> credential;
    std::optional<std::string_view> headers;
    std::optional<std::string_view> signature;
    std::string_view rest = space == std::string_view::npos ? "" : value.substr(space + 1);
    while (true) {
        const std::size_t comma = rest.find(',');
        const std::string_view part = trimmed(rest.substr(0, comma));
        const std::size_t equals = part.find('=');
        const std::string_view name = part.substr(0, equals);
        auto* target = name == "Credential"      ? &credential
                       : name == "SignedHeaders" ? &headers
                       : name == "Signature"     ? &signature
                                                 : nullptr;
        if (target == nullptr || target->has_value() || equals == std::string_view::npos) {
            return malformed(
                "The authorization header is malformed; the authorization component "
                "is unknown or repeated.");
        }
        *target = part.substr(equals + 1);
        if (comma == std::string_view::npos) break;
        rest.remove_prefix(comma + 1);
    }
    Claim claim;
    if (!credential || !parse_credential(*credential, claim)) {
        return malformed(
            "The authorization header is malformed; the Credential is mal-formed; "
            "expecting \"<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request\".");
    }
    if (!headers || !parse_signed_headers(*headers, claim.signed_headers)) {
        return malformed(
            "The authorization header is malformed; the SignedHeaders are "
            "mal-formed.");
    }
    if (!signature || !is_hex_signature(*signature)) {
        return malformed("The authorization header is malformed; the Signature is mal-formed.");
    }
    claim.signature = *signature;
    return claim;
}

bool is_signature_param(std::string_view name) {
    static constexpr std::array<std::string_view, 6> kNames = {
        "X-Amz-Algorithm", "X-Amz-Credential",    "X-Amz-Date",
        "X-Amz-Expires",   "X-Amz-SignedHeaders", "X-Amz-Signature"};
    return std::ranges::find(kNames, name) != kNames.end();
}

bool is_presigned(const RequestHead& head) {
    return std::ranges::any_of(head.query, [](const QueryParam& p) {
        return p.name == "X-Amz-Algorithm" || p.name == "X-Amz-Credential" ||
               p.name == "X-Amz-Signature";
    });
}

bool is_presigned_v2(const RequestHead& head) {
    return head.has_param("AWSAccessKeyId") && head.has_param("Signature");
}

S3Result<Claim> parse_presigned(const RequestHead& head) {
    std::size_t seen = 0;
    for (const QueryParam& p : head.query) seen += is_signature_param(p.name) ? 1 : 0;
    const auto algorithm = head.param("X-Amz-Algorithm");
    const auto credential = head.param("X-Amz-Credential");
    const auto date = head.param("X-Amz-Date");
    const auto expires = head.param("X-Amz-Expires");
    const auto headers = head.param("X-Amz-SignedHeaders");
    const auto signature = head.param("X-Amz-Signature");
    if (!algorithm || !credential || !date || !expires || !headers || !signature || seen != 6) {
        return bad_query(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, "
            "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
            "X-Amz-Expires parameters.");
    }
    if (*algorithm != kAlgorithm) {
        return bad_query("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
    }
    Claim claim;
    claim.presigned = true;
    if (!parse_credential(*credential, claim)) {
        return bad_query(
            "Error parsing the X-Amz-Credential parameter; the Credential is "
            "mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request\".");
    }
    if (!base::parse_amz_date(*date)) {
        return bad_query("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
    }
    const auto seconds = base::parse_u64(*expires);
    if (!seconds) {
        return bad_query(expires->starts_with('-') ? "X-Amz-Expires must be non-negative"
                                                   : "X-Amz-Expires should be a number");
    }
    if (*seconds > kMaxPresignSeconds) {
        return bad_query(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given "
            "X-Amz-Expires must be less than 604800 seconds");
    }
    if (*seconds == 0) return bad_query("X-Amz-Expires must be at least 1 second");
    if (!parse_signed_headers(*headers, claim.signed_headers)) {
        return bad_query("X-Amz-SignedHeaders is mal-formed");
    }
    if (!is_hex_signature(*signature)) return bad_query("X-Amz-Signature is mal-formed");
    claim.amz_date = *date;
    claim.expires_seconds = *seconds;
    claim.signature = *signature;
    return claim;
}

}  // namespace hamster::s3
