// What the sources of certificate.h share of OpenSSL. Private to them.
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "crypto/certificate.h"

namespace hamster::crypto {

// Subjects: O is one of these, CN the id in hex.
inline constexpr std::string_view kCaOrganization = "Hamster cluster";
inline constexpr std::string_view kNodeOrganization = "Hamster node";
inline constexpr std::string_view kUriScheme = "hamster://";

struct FreeX509 {
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(X509_REQ* request) const { X509_REQ_free(request); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using X509Ptr = std::unique_ptr<X509, FreeX509>;
using RequestPtr = std::unique_ptr<X509_REQ, FreeX509>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeX509>;

// Takes what OpenSSL complains about meanwhile out of the thread's error queue again: a leftover
// would be taken for the failure of a TLS connection that happens to run next.
class ErrorsDropped {
  public:
    ErrorsDropped() { ERR_set_mark(); }
    ~ErrorsDropped() { ERR_pop_to_mark(); }
    ErrorsDropped(const ErrorsDropped&) = delete;
    ErrorsDropped& operator=(const ErrorsDropped&) = delete;
};

inline const unsigned char* raw(Bytes bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

// nullptr unless the bytes are exactly one, in canonical DER and at most kMaxCertificate long.
X509Ptr parse_certificate(Bytes der);
RequestPtr parse_request(Bytes der);

KeyPtr to_openssl(const SigningKey& key);
bool is_ed25519(const EVP_PKEY* key);  // false for null

// O and CN, nothing else. `identity` is hex.
void set_name(X509_NAME* name, std::string_view organization, const std::string& identity);

}  // namespace hamster::crypto
