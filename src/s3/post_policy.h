// The policy of a POST form ("Creating a POST policy" of the S3 API reference): a signed list of
// conditions that every field of the form must meet. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "s3/error.h"
#include "s3/form_fields.h"

namespace hamster::s3 {

struct PolicyLimits {
    std::uint64_t min_bytes = 0;
    std::uint64_t max_bytes = UINT64_MAX;
};

// `policy` is base64 as in the form. Checks the expiry, each condition, and that each field has
// one (policy, signature, file and x-ignore-* excepted). `bucket` is the one addressed.
// InvalidPolicyDocument, AccessDenied.
S3Result<PolicyLimits> check_policy(std::string_view policy, const FormFields& fields,
                                    std::string_view bucket, std::uint64_t now_ms);

}  // namespace hamster::s3
