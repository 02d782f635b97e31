#include "crypto/certificate.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "crypto/certificate_pem.h"
#include "crypto/certificate_x509.h"
#include "crypto/digest.h"

namespace hamster::crypto {
namespace {

constexpr std::string_view kCertificateLabel = "CERTIFICATE";
constexpr std::string_view kRequestLabel = "CERTIFICATE REQUEST";
constexpr std::string_view kKeyLabel = "PRIVATE KEY";
// PKCS#8 of an Ed25519 key without attributes, up to the key itself (RFC 8410 section 7).
constexpr std::string_view kKeyHeader{
    "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20", 16};
constexpr std::size_t kPublicKeySize = 32;

// One X.509 or PKCS#10 structure; nullptr when there is more, less or another spelling of it: then
// two byte strings, with two fingerprints, would mean the same.
template <class Ptr, auto kRead, auto kWrite>
Ptr parse_exactly(Bytes der) {
    if (der.empty() || der.size() > kMaxCertificate) return nullptr;
    const ErrorsDropped guard;
    const unsigned char* at = raw(der);
    Ptr parsed(kRead(nullptr, &at, static_cast<long>(der.size())));
    if (parsed == nullptr || at != raw(der) + der.size()) return nullptr;
    std::string again(der.size(), '\0');
    if (kWrite(parsed.get(), nullptr) != static_cast<int>(der.size())) return nullptr;
    auto* out = reinterpret_cast<unsigned char*>(again.data());
    kWrite(parsed.get(), &out);
    return again == base::as_text(der) ? std::move(parsed) : nullptr;
}

std::string public_key_of(const EVP_PKEY* key) {
    std::string out(kPublicKeySize, '\0');
    std::size_t size = out.size();
    const int ok =
        EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(out.data()), &size);
    HAMSTER_ASSERT(ok == 1 && size == out.size(), size);
    return out;
}

}  // namespace

X509Ptr parse_certificate(Bytes der) { return parse_exactly<X509Ptr, d2i_X509, i2d_X509>(der); }
RequestPtr parse_request(Bytes der) {
    return parse_exactly<RequestPtr, d2i_X509_REQ, i2d_X509_REQ>(der);
}

KeyPtr to_openssl(const SigningKey& key) {
    KeyPtr out(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(key.seed().bytes()),
                                            Key256::kSize));
    HAMSTER_ASSERT(out != nullptr);
    return out;
}

bool is_ed25519(const EVP_PKEY* key) {
    return key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519;
}

std::optional<Fingerprint> Fingerprint::from_bytes(Bytes bytes) {
    Fingerprint out;
    if (bytes.size() != out.raw.size()) return std::nullopt;
    std::copy(bytes.begin(), bytes.end(), out.raw.begin());
    return out;
}

Result<SigningKey> SigningKey::from_der(Bytes der) {
    const std::string_view text = base::as_text(der);
    if (text.starts_with(kKeyHeader)) {
        const auto seed = Key256::from_bytes(der.subspan(kKeyHeader.size()));
        if (seed) return SigningKey(*seed);
    }
    return fail(Code::kInvalid, "this is not an Ed25519 private key in PKCS#8");
}

Result<SigningKey> SigningKey::from_pem(std::string_view pem) {
    TRY_ASSIGN(std::string der, pem_decode(kKeyLabel, pem));
    auto key = from_der(base::as_bytes(der));
    OPENSSL_cleanse(der.data(), der.size());
    return key;
}

std::string SigningKey::der() const {
    return std::string(kKeyHeader).append(base::as_text(seed_.bytes()));
}

std::string SigningKey::pem() const {
    std::string key = der();
    std::string out = pem_encode(kKeyLabel, base::as_bytes(key));
    OPENSSL_cleanse(key.data(), key.size());
    return out;
}

std::string SigningKey::public_key() const { return public_key_of(to_openssl(*this).get()); }

Result<Certificate> Certificate::from_der(Bytes der) {
    if (parse_certificate(der) == nullptr) {
        return fail(Code::kInvalid, "this is not a certificate: it is damaged or cut off");
    }
    return Certificate(std::string(base::as_text(der)));
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
    TRY_ASSIGN(const std::string der, pem_decode(kCertificateLabel, pem));
    return from_der(base::as_bytes(der));
}

std::string Certificate::pem() const { return pem_encode(kCertificateLabel, base::as_bytes(der_)); }

Fingerprint Certificate::fingerprint() const {
    const auto out = Fingerprint::from_bytes(base::as_bytes(sha256(base::as_bytes(der_))));
    HAMSTER_ASSERT(out.has_value());
    return *out;
}

bool Certificate::is_of(const SigningKey& key) const {
    const X509Ptr parsed = parse_certificate(base::as_bytes(der_));
    HAMSTER_ASSERT(parsed != nullptr, der_.size());
    const ErrorsDropped guard;
    const EVP_PKEY* certified = X509_get0_pubkey(parsed.get());
    return is_ed25519(certified) && public_key_of(certified) == key.public_key();
}

SigningRequest SigningRequest::make(const SigningKey& key) {
    const RequestPtr request(X509_REQ_new());
    const KeyPtr pkey = to_openssl(key);
    HAMSTER_ASSERT(request != nullptr);
    HAMSTER_ASSERT(X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1);
    HAMSTER_ASSERT(X509_REQ_set_pubkey(request.get(), pkey.get()) == 1);
    HAMSTER_ASSERT(X509_REQ_sign(request.get(), pkey.get(), nullptr) > 0);
    std::string der(static_cast<std::size_t>(i2d_X509_REQ(request.get(), nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_X509_REQ(request.get(), &out);
    return SigningRequest(std::move(der));
}

Result<SigningRequest> SigningRequest::from_der(Bytes der) {
    if (parse_request(der) == nullptr) {
        return fail(Code::kInvalid, "this is not a signing request: it is damaged or cut off");
    }
    return SigningRequest(std::string(base::as_text(der)));
}

Result<SigningRequest> SigningRequest::from_pem(std::string_view pem) {
    TRY_ASSIGN(const std::string der, pem_decode(kRequestLabel, pem));
    return from_der(base::as_bytes(der));
}

std::string SigningRequest::public_key() const {
    const ErrorsDropped guard;
    const RequestPtr request = parse_request(base::as_bytes(der_));
    HAMSTER_ASSERT(request != nullptr, der_.size());
    EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
    if (!is_ed25519(key)) return {};
    std::string out(Key256::kSize, '\0');
    std::size_t size = out.size();
    auto* bytes = reinterpret_cast<unsigned char*>(out.data());
    HAMSTER_ASSERT(EVP_PKEY_get_raw_public_key(key, bytes, &size) == 1 && size == out.size());
    return out;
}

std::string SigningRequest::pem() const { return pem_encode(kRequestLabel, base::as_bytes(der_)); }

}  // namespace hamster::crypto
