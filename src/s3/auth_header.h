// Takes apart where a signature is written: the Authorization header, or the query of a presigned
// URL. Pure; nothing is verified here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "s3/error.h"
#include "s3/request.h"
#include "s3/sigv4.h"

namespace hamster::s3 {

// One SigV4 signature and what it claims.
struct Claim {
    std::string access_key_id;
    Scope scope;
    std::vector<std::string> signed_headers;  // sorted, unique, lower case
    std::string signature;                    // 64 hex digits
    std::string amz_date;                     // presigned and forms: X-Amz-Date; else filled later
    std::uint64_t expires_seconds = 0;        // presigned only
    bool presigned = false;
};

// access-key/yyyymmdd/region/s3/aws4_request. The code of the error is the caller's to choose.
bool parse_credential(std::string_view text, Claim& claim);

// InvalidRequest for SigV2, AuthorizationHeaderMalformed for a broken V4.
S3Result<Claim> parse_authorization(std::string_view value);
// AuthorizationQueryParametersError.
S3Result<Claim> parse_presigned(const RequestHead& head);

// True when the query carries any SigV4 parameter.
bool is_presigned(const RequestHead& head);
// True when the query carries a SigV2 signature.
bool is_presigned_v2(const RequestHead& head);
// True for the parameters of the signature itself.
bool is_signature_param(std::string_view name);

inline constexpr std::uint64_t kMaxPresignSeconds = 604'800;  // 7 days: S3

}  // namespace hamster::s3
