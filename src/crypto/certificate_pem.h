// PEM, the strict form of RFC 7468: one block, nothing around it but white space. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace hamster::crypto {

// `label` is what stands after BEGIN: "CERTIFICATE".
std::string pem_encode(std::string_view label, base::Bytes der);
// kInvalid unless `text` is one block of that label, of at most kMaxPem bytes.
Result<std::string> pem_decode(std::string_view label, std::string_view text);

}  // namespace hamster::crypto
