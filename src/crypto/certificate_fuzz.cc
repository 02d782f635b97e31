// Any bytes as a certificate, a request, a private key and their PEM: no crash, nobody is let in,
// and what is parsed is kept byte for byte.
#include <cstdint>

#include "base/assert.h"
#include "crypto/certificate.h"

namespace {

using namespace hamster;
using namespace hamster::crypto;

constexpr std::uint64_t kNow = 1'800'000'000'000;

void try_certificate(const Certificate& certificate, const Issuer& issuer) {
    HAMSTER_ASSERT(!identity_of(certificate, issuer.ca(), kNow));
    (void)certificate.is_of(issuer.key());  // it may be: public keys are no secret
    const auto parsed = Certificate::from_pem(certificate.pem());
    HAMSTER_ASSERT(parsed && *parsed == certificate);
    const auto ca = ClusterCa::from(certificate);
    if (ca) HAMSTER_ASSERT(!identity_of(certificate, *ca, kNow));  // no CA is a node
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static OsKeySource random;
    static const Issuer issuer = Issuer::found(&random, ClusterId{{std::byte{1}}}, kNow);
    const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
    const std::string_view text = base::as_text(bytes);
    for (const auto& certificate : {Certificate::from_der(bytes), Certificate::from_pem(text)}) {
        if (certificate) try_certificate(*certificate, issuer);
    }
    for (const auto& request : {SigningRequest::from_der(bytes), SigningRequest::from_pem(text)}) {
        if (request) (void)issuer.issue(&random, *request, NodeId{{std::byte{2}}}, kNow);
    }
    for (const auto& key : {SigningKey::from_der(bytes), SigningKey::from_pem(text)}) {
        if (key) HAMSTER_ASSERT(SigningKey::from_pem(key->pem())->seed() == key->seed());
    }
    return 0;
}
