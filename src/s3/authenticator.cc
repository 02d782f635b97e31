#include "s3/authenticator.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "meta/limits.h"
#include "s3/address.h"
#include "s3/form_fields.h"
#include "s3/post_policy.h"
#include "s3/route.h"

namespace hamster::s3 {

namespace {

bool same_signature(std::string_view a, std::string_view b) {
    return crypto::equal_constant_time(base::as_bytes(a), base::as_bytes(b));
}

std::unexpected<S3Error> with_detail(ErrorCode code, std::string message, std::string name,
                                     std::string value) {
    S3Error error{code, std::move(message), {}, {}};
    error.details.emplace_back(std::move(name), std::move(value));
    return std::unexpected(std::move(error));
}

// Finds the one signature of a request. Exactly one mechanism must have been used.
S3Result<Claim> find_claim(const RequestHead& head) {
    const auto authorization = head.header("authorization");
    const bool presigned = is_presigned(head);
    if (authorization && (presigned || is_presigned_v2(head))) {
        return refuse(ErrorCode::kInvalidArgument,
                      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                      "Signature query string parameter or the Authorization header should be "
                      "specified");
    }
    if (is_presigned_v2(head)) {
        return refuse(ErrorCode::kInvalidRequest,
                      "The authorization mechanism you have provided is not supported. Please use "
                      "AWS4-HMAC-SHA256.");
    }
    if (presigned) return parse_presigned(head);
    if (authorization) return parse_authorization(*authorization);
    return refuse(ErrorCode::kAccessDenied);
}

// The x-amz-date of a header signature, or the Date header when there is none.
S3Result<std::string> date_of(const RequestHead& head) {
    if (const auto date = head.header("x-amz-date")) {
        if (base::parse_amz_date(*date)) return std::string(*date);
    } else if (const auto plain = head.header("date")) {
        if (base::parse_amz_date(*plain)) return std::string(*plain);
        if (const auto ms = base::parse_http_date(*plain)) return base::amz_date(*ms);
    }
    return refuse(ErrorCode::kAccessDenied,
                  "AWS authentication requires a valid Date or x-amz-date header");
}

S3Result<> check_times(const Claim& claim, std::uint64_t now_ms) {
    const auto signed_at = base::parse_amz_date(claim.amz_date);
    if (!signed_at) return refuse(ErrorCode::kAccessDenied);
    if (!claim.presigned) {
        const std::uint64_t skew = *signed_at > now_ms ? *signed_at - now_ms : now_ms - *signed_at;
        if (skew <= kMaxSkewMs) return {};
        S3Error error{ErrorCode::kRequestTimeTooSkewed, {}, {}, {}};
        error.details.emplace_back("RequestTime", claim.amz_date);
        error.details.emplace_back("ServerTime", base::iso8601(now_ms));
        error.details.emplace_back("MaxAllowedSkewMilliseconds", std::to_string(kMaxSkewMs));
        return std::unexpected(std::move(error));
    }
    if (*signed_at > now_ms + kMaxSkewMs) {
        return refuse(ErrorCode::kAccessDenied, "Request is not valid yet");
    }
    if (now_ms > *signed_at + claim.expires_seconds * 1000) {
        S3Error error{ErrorCode::kAccessDenied, "Request has expired", {}, {}};
        error.details.emplace_back("X-Amz-Expires", std::to_string(claim.expires_seconds));
        error.details.emplace_back("Expires",
                                   base::iso8601(*signed_at + claim.expires_seconds * 1000));
        error.details.emplace_back("ServerTime", base::iso8601(now_ms));
        return std::unexpected(std::move(error));
    }
    return {};
}

S3Result<> check_scope(const Claim& claim, const std::string& region) {
    const ErrorCode code = claim.presigned ? ErrorCode::kAuthorizationQueryParametersError
                                           : ErrorCode::kAuthorizationHeaderMalformed;
    const std::string where = claim.presigned ? "Error parsing the X-Amz-Credential parameter; "
                                              : "The authorization header is malformed; ";
    if (claim.scope.region != region) {
        return with_detail(
            code,
            where + "the region '" + claim.scope.region + "' is wrong; expecting '" + region + "'",
            "Region", region);
    }
    if (!claim.amz_date.starts_with(claim.scope.date)) {
        return refuse(code, where + "Invalid credential date \"" + claim.scope.date +
                                "\". This date is not the same as X-Amz-Date: \"" +
                                claim.amz_date.substr(0, 8) + "\".");
    }
    return {};
}

// host, content-md5 and everything that begins with x-amz- must be signed: an unsigned header
// could turn a signed request into another one.
S3Result<> check_coverage(const RequestHead& head, const Claim& claim) {
    const auto is_signed = [&](std::string_view name) {
        return std::ranges::binary_search(claim.signed_headers, name);
    };
    if (!is_signed("host")) {
        return with_detail(ErrorCode::kAccessDenied,
                           "There were headers present in the request which were not signed",
                           "HeadersNotSigned", "host");
    }
    for (const Header& header : head.headers) {
        const bool must = header.name.starts_with("x-amz-") || header.name == "content-md5";
        if (must && !is_signed(header.name)) {
            return with_detail(ErrorCode::kAccessDenied,
                               "There were headers present in the request which were not signed",
                               "HeadersNotSigned", header.name);
        }
    }
    for (const std::string& name : claim.signed_headers) {
        if (!head.header(name)) return refuse(ErrorCode::kSignatureDoesNotMatch);
    }
    return {};
}

// The payload line of the canonical request.
S3Result<std::string> payload_line(const RequestHead& head, const Claim& claim) {
    if (const auto header = head.header("x-amz-content-sha256")) return std::string(*header);
    if (!claim.presigned) {
        return refuse(ErrorCode::kInvalidRequest,
                      "Missing required header for this request: x-amz-content-sha256");
    }
    return std::string(head.param("X-Amz-Content-Sha256").value_or(kUnsignedPayload));
}

// SDKs move x-amz-* headers into the query of a presigned URL; they mean the same there.
S3Result<> hoist_params(RequestHead& head) {
    const std::size_t params = head.query.size();
    for (std::size_t i = 0; i < params; ++i) {
        const QueryParam& param = head.query[i];
        if (is_signature_param(param.name)) continue;
        std::string name = param.name;
        for (char& c : name) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        }
        if (!name.starts_with("x-amz-")) continue;
        if (const auto present = head.header(name)) {
            if (*present == param.value) continue;
            return refuse(ErrorCode::kInvalidRequest,
                          "A header and a query parameter of the same name differ.");
        }
        head.headers.push_back({std::move(name), param.value});
    }
    return {};
}

S3Result<> check_payload(const RequestHead& head, const PayloadPlan& plan, Action action,
                         bool presigned) {
    const bool uploads = action == Action::kPutObject || action == Action::kUploadPart;
    if (is_streaming(plan.mode) && (!uploads || presigned)) {
        return refuse(ErrorCode::kInvalidRequest,
                      "Streaming payloads are accepted only by PutObject and UploadPart, signed in "
                      "the Authorization header.");
    }
    if (uploads && !head.chunked && !head.content_length) {
        return refuse(ErrorCode::kMissingContentLength);
    }
    if (uploads && plan.length.value_or(0) > meta::kMaxObjectPutBytes) {
        S3Error error{ErrorCode::kEntityTooLarge, {}, {}, {}};
        error.details.emplace_back("ProposedSize", std::to_string(*plan.length));
        error.details.emplace_back("MaxSizeAllowed", std::to_string(meta::kMaxObjectPutBytes));
        return std::unexpected(std::move(error));
    }
    if (takes_body(action)) return {};
    if (plan.length.value_or(0) != 0) return refuse(ErrorCode::kUnexpectedContent);
    // Nobody will read this body, so its hash is checked here.
    if (plan.mode == PayloadMode::kHash && plan.sha256_hex != kEmptySha256) {
        return refuse(ErrorCode::kXAmzContentSha256Mismatch);
    }
    return {};
}

// What must be right before the credential is worth looking up.
S3Result<Claim> examine(const RequestHead& head, const std::string& region, std::uint64_t now_ms) {
    auto claim = find_claim(head);
    if (!claim) return claim;
    if (!claim->presigned) {
        auto date = date_of(head);
        if (!date) return std::unexpected(date.error());
        claim->amz_date = std::move(*date);
    }
    if (auto r = check_scope(*claim, region); !r) return std::unexpected(r.error());
    if (auto r = check_coverage(head, *claim); !r) return std::unexpected(r.error());
    if (auto r = check_times(*claim, now_ms); !r) return std::unexpected(r.error());
    return claim;
}

S3Result<PayloadPlan> plan_request(RequestHead& head, const Claim& claim, std::string_view line,
                                   Level level, Action& action) {
    if (auto r = hoist_params(head); !r) return std::unexpected(r.error());
    auto routed = route(head, level);
    if (!routed) return std::unexpected(routed.error());
    action = *routed;
    // A form's signature is inside its body: verify_form() is the way in.
    if (action == Action::kPostObject) return refuse(ErrorCode::kAccessDenied);
    if (auto r = check_headers(head, action); !r) return std::unexpected(r.error());
    auto plan = plan_payload(head, line);
    if (!plan) return plan;
    if (auto r = check_payload(head, *plan, action, claim.presigned); !r) {
        return std::unexpected(r.error());
    }
    return plan;
}

}  // namespace

runtime::Task<S3Result<Authenticator::Signer>> Authenticator::signer_of(std::string access_key_id,
                                                                        Scope scope) {
    auto found = co_await credentials_->find(access_key_id);
    if (!found) co_return std::unexpected(from_error(found.error()));
    Signer signer;
    if (found->has_value()) {
        signer.identity = std::move((*found)->identity);
        signer.key = keys_.get(access_key_id, (*found)->secret, scope);
    } else {
        // The same work under a key that signs nothing, so that timing tells no more than the
        // answer does.
        signer.key = keys_.get("", "", scope);
    }
    co_return signer;
}

runtime::Task<S3Result<Authenticated>> Authenticator::verify(RequestHead head,
                                                             std::string request_id) {
    auto address = parse_address(head, settings_->domain);
    CO_TRY(address);
    auto claim = examine(head, settings_->region, world_->clock.unix_ms());
    CO_TRY(claim);
    auto line = payload_line(head, *claim);
    CO_TRY(line);
    auto signer = co_await signer_of(claim->access_key_id, claim->scope);
    CO_TRY(signer);

    const std::vector<std::string_view> names(claim->signed_headers.begin(),
                                              claim->signed_headers.end());
    const std::string expected =
        sign(signer->key,
             string_to_sign(claim->amz_date, claim->scope, canonical_request(head, names, *line)));
    const bool matches = same_signature(expected, claim->signature);
    if (!signer->identity) {
        co_return with_detail(ErrorCode::kInvalidAccessKeyId, {}, "AWSAccessKeyId",
                              claim->access_key_id);
    }
    if (!matches) {
        co_return with_detail(ErrorCode::kSignatureDoesNotMatch, {}, "AWSAccessKeyId",
                              claim->access_key_id);
    }

    VerifiedRequest request;
    auto plan = plan_request(head, *claim, *line, address->level, request.action_);
    CO_TRY(plan);
    if (has_signed_chunks(plan->mode)) {
        plan->seed = {claim->signature, signer->key, claim->amz_date, claim->scope};
    }
    request.head_ = std::move(head);
    request.identity_ = std::move(*signer->identity);
    request.bucket_ = std::move(address->bucket);
    request.key_ = std::move(address->key);
    request.request_id_ = std::move(request_id);
    co_return Authenticated{std::move(request), std::move(*plan)};
}

runtime::Task<S3Result<AuthenticatedForm>> Authenticator::verify_form(RequestHead head,
                                                                      FormFields fields,
                                                                      std::string file_name,
                                                                      std::string request_id) {
    auto address = parse_address(head, settings_->domain);
    CO_TRY(address);
    auto claim = claim_of_form(head, fields);
    CO_TRY(claim);
    CO_TRY(check_scope(*claim, settings_->region));
    auto signer = co_await signer_of(claim->access_key_id, claim->scope);
    CO_TRY(signer);

    const std::string policy(field_of(fields, "policy").value_or(""));
    const std::string expected = sign(signer->key, policy);
    const bool matches = same_signature(expected, claim->signature);
    if (!signer->identity) {
        co_return with_detail(ErrorCode::kInvalidAccessKeyId, {}, "AWSAccessKeyId",
                              claim->access_key_id);
    }
    if (!matches) {
        co_return with_detail(ErrorCode::kSignatureDoesNotMatch, {}, "AWSAccessKeyId",
                              claim->access_key_id);
    }

    substitute_file_name(fields, file_name);
    auto limits = check_policy(policy, fields, address->bucket, world_->clock.unix_ms());
    CO_TRY(limits);
    auto synthetic = head_of_form(head, fields);
    CO_TRY(synthetic);
    CO_TRY(check_headers(*synthetic, Action::kPostObject));

    const std::string_view key = field_of(fields, "key").value_or("");
    CO_TRY(check_key(key));
    VerifiedRequest request;
    request.key_ = key;
    request.action_ = Action::kPostObject;
    request.head_ = std::move(*synthetic);
    request.identity_ = std::move(*signer->identity);
    request.bucket_ = std::move(address->bucket);
    request.request_id_ = std::move(request_id);
    const std::uint64_t max_bytes = std::min(limits->max_bytes, meta::kMaxObjectPutBytes);
    co_return AuthenticatedForm{std::move(request), limits->min_bytes, max_bytes};
}

}  // namespace hamster::s3
