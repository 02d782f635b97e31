// Making certificates: of a CA, and of nodes.
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <string>
#include <utility>

#include "base/assert.h"
#include "crypto/certificate.h"
#include "crypto/certificate_x509.h"

namespace hamster::crypto {
namespace {

// 9999-12-31T23:59:59Z, the last time a certificate can name (RFC 5280 section 4.1.2.5).
constexpr std::uint64_t kLastSecond = 253402300799;

void set_serial(X509* certificate, KeySource* random) {
    std::array<std::byte, 16> serial{};
    random->fill(serial);
    BIGNUM* number = BN_bin2bn(raw(serial), static_cast<int>(serial.size()), nullptr);
    HAMSTER_ASSERT(number != nullptr);
    HAMSTER_ASSERT(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr);
    BN_free(number);
}

void set_time(ASN1_TIME* field, std::uint64_t unix_ms) {
    const std::uint64_t second = std::min(unix_ms / 1000, kLastSecond);
    HAMSTER_ASSERT(ASN1_TIME_set(field, static_cast<std::time_t>(second)) != nullptr, second);
}

void set_life(X509* certificate, std::uint64_t now_ms, std::uint64_t life_ms) {
    // A simulated or broken clock may say anything.
    now_ms = std::min(now_ms, kLastSecond * 1000);
    set_time(X509_getm_notBefore(certificate), now_ms - std::min(now_ms, kBackdatedMs));
    set_time(X509_getm_notAfter(certificate), now_ms + life_ms);
}

// `value` is in the notation of x509v3_config(5). The issuer's key identifier must be set before.
void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str());
    HAMSTER_ASSERT(extension != nullptr, nid, value);
    HAMSTER_ASSERT(X509_add_ext(certificate, extension, -1) == 1, nid);
    X509_EXTENSION_free(extension);
}

X509Ptr blank(KeySource* random, std::uint64_t now_ms, std::uint64_t life_ms) {
    X509Ptr certificate(X509_new());
    HAMSTER_ASSERT(certificate != nullptr);
    HAMSTER_ASSERT(X509_set_version(certificate.get(), X509_VERSION_3) == 1);
    set_serial(certificate.get(), random);
    set_life(certificate.get(), now_ms, life_ms);
    return certificate;
}

Certificate sign(X509* certificate, EVP_PKEY* key) {
    HAMSTER_ASSERT(X509_sign(certificate, key, nullptr) > 0);
    std::string der(static_cast<std::size_t>(i2d_X509(certificate, nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_X509(certificate, &out);
    auto made = Certificate::from_der(base::as_bytes(der));
    HAMSTER_ASSERT(made.has_value(), der.size());
    return *std::move(made);
}

}  // namespace

void set_name(X509_NAME* name, std::string_view organization, const std::string& identity) {
    const std::pair<int, std::string_view> entries[] = {{NID_organizationName, organization},
                                                        {NID_commonName, identity}};
    for (const auto& [nid, text] : entries) {
        const int ok =
            X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, raw(base::as_bytes(text)),
                                       static_cast<int>(text.size()), -1, 0);
        HAMSTER_ASSERT(ok == 1, nid);
    }
}

Issuer Issuer::found(KeySource* random, ClusterId cluster, std::uint64_t now_ms) {
    HAMSTER_ASSERT(!cluster.is_zero());
    SigningKey key = SigningKey::generate(random);
    const KeyPtr pkey = to_openssl(key);
    const X509Ptr draft = blank(random, now_ms, kCaLifeMs);
    X509* ca = draft.get();
    set_name(X509_get_subject_name(ca), kCaOrganization, cluster.hex());
    HAMSTER_ASSERT(X509_set_issuer_name(ca, X509_get_subject_name(ca)) == 1);
    HAMSTER_ASSERT(X509_set_pubkey(ca, pkey.get()) == 1);
    add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(ca, ca, NID_key_usage, "critical,keyCertSign");
    add_extension(ca, ca, NID_subject_key_identifier, "hash");
    auto made = ClusterCa::from(sign(ca, pkey.get()));
    HAMSTER_ASSERT(made && made->cluster() == cluster);
    return Issuer(*std::move(made), std::move(key));
}

Result<Issuer> Issuer::from(ClusterCa ca, SigningKey key) {
    if (!ca.certificate().is_of(key)) {
        return fail(Code::kInvalid, "the private key does not belong to the cluster's CA");
    }
    return Issuer(std::move(ca), std::move(key));
}

Result<Certificate> Issuer::issue(KeySource* random, const SigningRequest& request, NodeId node,
                                  std::uint64_t now_ms) const {
    HAMSTER_ASSERT(!node.is_zero());
    const ErrorsDropped guard;
    const RequestPtr asked = parse_request(base::as_bytes(request.der()));
    HAMSTER_ASSERT(asked != nullptr, request.der().size());
    EVP_PKEY* node_key = X509_REQ_get0_pubkey(asked.get());
    if (!is_ed25519(node_key)) {
        return fail(Code::kInvalid, "the signing request is not for an Ed25519 key");
    }
    if (X509_REQ_verify(asked.get(), node_key) != 1) {
        return fail(Code::kInvalid, "the signing request is not signed with the key it names");
    }
    const X509Ptr ca = parse_certificate(base::as_bytes(ca_.certificate().der()));
    HAMSTER_ASSERT(ca != nullptr);
    const X509Ptr draft = blank(random, now_ms, kNodeLifeMs);
    X509* out = draft.get();
    set_name(X509_get_subject_name(out), kNodeOrganization, node.hex());
    HAMSTER_ASSERT(X509_set_issuer_name(out, X509_get_subject_name(ca.get())) == 1);
    HAMSTER_ASSERT(X509_set_pubkey(out, node_key) == 1);
    add_extension(out, ca.get(), NID_basic_constraints, "critical,CA:FALSE");
    add_extension(out, ca.get(), NID_key_usage, "critical,digitalSignature");
    add_extension(out, ca.get(), NID_ext_key_usage, "clientAuth,serverAuth");
    add_extension(out, ca.get(), NID_subject_alt_name,
                  "URI:" + std::string(kUriScheme) + ca_.cluster().hex() + "/" + node.hex());
    add_extension(out, ca.get(), NID_subject_key_identifier, "hash");
    add_extension(out, ca.get(), NID_authority_key_identifier, "keyid:always");
    Certificate issued = sign(out, to_openssl(key_).get());
    const auto identity = identity_of(issued, ca_, std::min(now_ms, kLastSecond * 1000));
    HAMSTER_ASSERT(identity && identity->cluster == ca_.cluster() && identity->node == node);
    return issued;
}

}  // namespace hamster::crypto
