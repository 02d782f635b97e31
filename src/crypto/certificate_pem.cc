#include "crypto/certificate_pem.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <optional>

#include "base/encoding.h"
#include "crypto/certificate.h"

namespace hamster::crypto {
namespace {

constexpr std::size_t kLine = 64;  // characters, RFC 7468 section 2
constexpr std::string_view kSpace = " \t\r\n";

std::string begin_of(std::string_view label) {
    return "-----BEGIN " + std::string(label) + "-----";
}
std::string end_of(std::string_view label) { return "-----END " + std::string(label) + "-----"; }

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

std::string pem_encode(std::string_view label, base::Bytes der) {
    std::string digits = base::base64_encode(der);
    std::string out = begin_of(label) + "\n";
    for (std::size_t at = 0; at < digits.size(); at += kLine) {
        out.append(digits, at, kLine);
        out.push_back('\n');
    }
    OPENSSL_cleanse(digits.data(), digits.size());  // it may be a private key
    return out + end_of(label) + "\n";
}

Result<std::string> pem_decode(std::string_view label, std::string_view text) {
    const std::string what = "PEM block of a " + std::string(label);
    if (text.size() > kMaxPem) {
        return fail(Code::kInvalid, "this is too long for a " + what);
    }
    text = trimmed(text);
    const std::string begin = begin_of(label);
    const std::string end = end_of(label);
    if (!text.starts_with(begin)) {
        return fail(Code::kInvalid, "this is not a " + what + ": it does not start with " + begin);
    }
    if (!text.ends_with(end) || text.size() < begin.size() + end.size()) {
        return fail(Code::kInvalid, "the " + what + " is cut off: it does not end with " + end);
    }
    text.remove_prefix(begin.size());
    text.remove_suffix(end.size());
    std::string digits(text);
    std::erase_if(digits, [](char c) { return kSpace.contains(c); });
    std::optional<std::string> der = base::base64_decode(digits);
    OPENSSL_cleanse(digits.data(), digits.size());
    if (!der || der->empty()) {
        return fail(Code::kInvalid, "the " + what + " is damaged: it is not base 64");
    }
    return *std::move(der);
}

}  // namespace hamster::crypto
