#include "crypto/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <set>
#include <utility>

#include "base/encoding.h"
#include "base/property_test.h"
#include "crypto/certificate_x509.h"
#include "crypto/counting_key_source.h"
#include "crypto/digest.h"

namespace hamster::crypto {
namespace {

using base::as_bytes;
using testing::HasSubstr;

constexpr std::uint64_t kNow = 1'800'000'000'000;  // 2027-01-15T08:00:00Z
constexpr std::uint64_t kDay = 24ULL * 3600 * 1000;
constexpr std::uint64_t kYear = 365 * kDay;

ClusterId cluster_id(unsigned fill) {
    ClusterId id;
    id.raw.fill(static_cast<std::byte>(fill));
    return id;
}
NodeId node_id(unsigned fill) {
    NodeId id;
    id.raw.fill(static_cast<std::byte>(fill));
    return id;
}
const ClusterId kCluster = cluster_id(0xC1);
const NodeId kNode = node_id(0x0D);

Issuer golden_issuer() {
    CountingKeySource random(0x10);
    return Issuer::found(&random, kCluster, kNow);
}
SigningKey golden_node_key() {
    CountingKeySource random(0x80);
    return SigningKey::generate(&random);
}
Certificate golden_node() {
    CountingKeySource random(0xA0);
    const auto issued =
        golden_issuer().issue(&random, SigningRequest::make(golden_node_key()), kNode, kNow);
    EXPECT_TRUE(issued);
    return *issued;
}

// The golden values of docs/formats/certificates.md.
constexpr std::string_view kGoldenCaKey = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v
-----END PRIVATE KEY-----
)";
constexpr std::string_view kGoldenCa = R"(-----BEGIN CERTIFICATE-----
MIIBjzCCAUGgAwIBAgIQMDEyMzQ1Njc4OTo7PD0+PzAFBgMrZXAwRTEYMBYGA1UE
CgwPSGFtc3RlciBjbHVzdGVyMSkwJwYDVQQDDCBjMWMxYzFjMWMxYzFjMWMxYzFj
MWMxYzFjMWMxYzFjMTAgFw0yNzAxMTQwODAwMDBaGA8yMTI3MDExNTA4MDAwMFow
RTEYMBYGA1UECgwPSGFtc3RlciBjbHVzdGVyMSkwJwYDVQQDDCBjMWMxYzFjMWMx
YzFjMWMxYzFjMWMxYzFjMWMxYzFjMTAqMAUGAytlcAMhAHd26HC5M1TyoLJMI/Kj
bMToDiIyGMG5eSb90Bg5aiubo0UwQzASBgNVHRMBAf8ECDAGAQH/AgEAMA4GA1Ud
DwEB/wQEAwICBDAdBgNVHQ4EFgQUkHs/LNrzPUeaNLX+qpJkqrX1hSwwBQYDK2Vw
A0EALnZ2LqxF9o3fYbZulXksV/W2RFe75nJYD/p4zDfZltp1PRjoYKYjYHdYFBwT
+gXFpMxqXRDEXzn9EhuTHD8NCA==
-----END CERTIFICATE-----
)";
constexpr std::string_view kGoldenRequest = R"(-----BEGIN CERTIFICATE REQUEST-----
MH8wMwIBADAAMCowBQYDK2VwAyEAzRSzf5VulTGU/3+3Oz2B3MVh1hp1OAlLfD4a
ZD7l86qgADAFBgMrZXADQQCF8Fm2jBMshnrlYhlYhbFj5H4Jin4FHbeVEhweNq3z
znKG3BX+z+JnHKqlxnQBETzMqBCMLVKD/b6qt5mQMpgB
-----END CERTIFICATE REQUEST-----
)";
constexpr std::string_view kGoldenNode = R"(-----BEGIN CERTIFICATE-----
MIICHzCCAdGgAwIBAgIRAKChoqOkpaanqKmqq6ytrq8wBQYDK2VwMEUxGDAWBgNV
BAoMD0hhbXN0ZXIgY2x1c3RlcjEpMCcGA1UEAwwgYzFjMWMxYzFjMWMxYzFjMWMx
YzFjMWMxYzFjMWMxYzEwHhcNMjcwMTE0MDgwMDAwWhcNMzcwMTE0MDgwMDAwWjBC
MRUwEwYDVQQKDAxIYW1zdGVyIG5vZGUxKTAnBgNVBAMMIDBkMGQwZDBkMGQwZDBk
MGQwZDBkMGQwZDBkMGQwZDBkMCowBQYDK2VwAyEAzRSzf5VulTGU/3+3Oz2B3MVh
1hp1OAlLfD4aZD7l86qjgdgwgdUwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMC
B4AwHQYDVR0lBBYwFAYIKwYBBQUHAwIGCCsGAQUFBwMBMFYGA1UdEQRPME2GS2hh
bXN0ZXI6Ly9jMWMxYzFjMWMxYzFjMWMxYzFjMWMxYzFjMWMxYzFjMS8wZDBkMGQw
ZDBkMGQwZDBkMGQwZDBkMGQwZDBkMGQwZDAdBgNVHQ4EFgQUQNRl2UISfL7nGWeW
sj6mAx6AUeAwHwYDVR0jBBgwFoAUkHs/LNrzPUeaNLX+qpJkqrX1hSwwBQYDK2Vw
A0EAsDAj5xXfxmCuBnEI66ACGnLwO0Av23+iWc3ca9Yw/XiZZfjzgpYC4TxxgSvy
EM48uANRbZlsPZWLqmUe/f+BAQ==
-----END CERTIFICATE-----
)";
constexpr std::string_view kGoldenFingerprint =
    "ebd9311fb95cccda39275876c99e1d8bf44c00f92f0ea71475eb8fb3f9fa6d10";

// A node's certificate in which a test changes one thing. An empty extension is left out.
struct Recipe {
    std::string organization{kNodeOrganization};
    std::string name = kNode.hex();
    std::string uri = "URI:hamster://" + kCluster.hex() + "/" + kNode.hex();
    std::string constraints = "critical,CA:FALSE";
    std::string usage = "critical,digitalSignature";
    std::string extended_usage = "clientAuth,serverAuth";
    std::string unknown{};  // "critical,DER:0500" under an OID nobody knows
    std::uint64_t first_ms = kNow - kDay;
    std::uint64_t last_ms = kNow + kYear;
    int key_type = EVP_PKEY_ED25519;
};

void extend(X509* certificate, X509* ca, const char* name, const std::string& value) {
    if (value.empty()) return;
    X509V3_CTX context;
    X509V3_set_ctx(&context, ca, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_nconf(nullptr, &context, name, value.c_str());
    ASSERT_NE(extension, nullptr) << name << " " << value;
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

std::string der_of(X509* certificate) {
    std::string der(static_cast<std::size_t>(i2d_X509(certificate, nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_X509(certificate, &out);
    return der;
}

KeyPtr key_of_type(int type) {
    if (type == EVP_PKEY_ED25519) return to_openssl(golden_node_key());
    return KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
}

Certificate cook(const Recipe& recipe, const Issuer& issuer = golden_issuer()) {
    const X509Ptr ca = parse_certificate(as_bytes(issuer.ca().certificate().der()));
    const X509Ptr made(X509_new());
    X509* out = made.get();
    X509_set_version(out, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(out), 7);
    set_name(X509_get_subject_name(out), recipe.organization, recipe.name);
    X509_set_issuer_name(out, X509_get_subject_name(ca.get()));
    ASN1_TIME_set(X509_getm_notBefore(out), static_cast<std::time_t>(recipe.first_ms / 1000));
    ASN1_TIME_set(X509_getm_notAfter(out), static_cast<std::time_t>(recipe.last_ms / 1000));
    X509_set_pubkey(out, key_of_type(recipe.key_type).get());
    extend(out, ca.get(), "basicConstraints", recipe.constraints);
    extend(out, ca.get(), "keyUsage", recipe.usage);
    extend(out, ca.get(), "extendedKeyUsage", recipe.extended_usage);
    extend(out, ca.get(), "subjectAltName", recipe.uri);
    extend(out, ca.get(), "1.3.6.1.4.1.99999.1", recipe.unknown);
    extend(out, ca.get(), "authorityKeyIdentifier", "keyid:always");
    EXPECT_GT(X509_sign(out, to_openssl(issuer.key()).get(), nullptr), 0);
    const auto certificate = Certificate::from_der(as_bytes(der_of(out)));
    EXPECT_TRUE(certificate);
    return *certificate;
}

void expect_denied(const Result<Identity>& identity, std::string_view why) {
    ASSERT_FALSE(identity) << why;
    EXPECT_EQ(identity.error().code, Code::kDenied);
    EXPECT_THAT(identity.error().context, HasSubstr(std::string(why)));
}
void expect_denied(const Recipe& recipe, std::string_view why) {
    expect_denied(identity_of(cook(recipe), golden_issuer().ca(), kNow), why);
}
template <class T>
void expect_invalid(const Result<T>& result, std::string_view why) {
    ASSERT_FALSE(result) << why;
    EXPECT_EQ(result.error().code, Code::kInvalid);
    EXPECT_THAT(result.error().context, HasSubstr(std::string(why)));
}

TEST(Certificate, Golden) {
    const Issuer issuer = golden_issuer();
    EXPECT_EQ(issuer.key().pem(), kGoldenCaKey);
    EXPECT_EQ(issuer.ca().certificate().pem(), kGoldenCa);
    EXPECT_EQ(issuer.ca().certificate().fingerprint().hex(), kGoldenFingerprint);
    EXPECT_EQ(SigningRequest::make(golden_node_key()).pem(), kGoldenRequest);
    EXPECT_EQ(golden_node().pem(), kGoldenNode);
}

// What an older version wrote is read for ever.
TEST(Certificate, GoldenIsRead) {
    const auto certificate = Certificate::from_pem(kGoldenCa);
    ASSERT_TRUE(certificate);
    const auto ca = ClusterCa::from(*certificate);
    ASSERT_TRUE(ca);
    EXPECT_EQ(ca->cluster(), kCluster);
    const auto key = SigningKey::from_pem(kGoldenCaKey);
    ASSERT_TRUE(key);
    EXPECT_TRUE(Issuer::from(*ca, *key));
    const auto node = Certificate::from_pem(kGoldenNode);
    ASSERT_TRUE(node);
    const auto identity = identity_of(*node, *ca, kNow);
    ASSERT_TRUE(identity) << identity.error().context;
    EXPECT_EQ(*identity, (Identity{kCluster, kNode}));
    EXPECT_TRUE(SigningRequest::from_pem(kGoldenRequest));
}

TEST(Certificate, DerAndPemComeBack) {
    const Certificate node = golden_node();
    const auto from_der = Certificate::from_der(as_bytes(node.der()));
    const auto from_pem = Certificate::from_pem(" \r\n" + node.pem() + "\n\n");
    ASSERT_TRUE(from_der && from_pem);
    EXPECT_EQ(*from_der, node);
    EXPECT_EQ(*from_pem, node);
    EXPECT_TRUE(node.is_of(golden_node_key()));
    EXPECT_FALSE(node.is_of(golden_issuer().key()));
    const SigningKey key = golden_node_key();
    const auto key_again = SigningKey::from_der(as_bytes(key.der()));
    ASSERT_TRUE(key_again);
    EXPECT_TRUE(key_again->seed() == key.seed());
    EXPECT_EQ(base::as_text(Fingerprint::from_bytes(node.fingerprint().raw)->raw),
              sha256(as_bytes(node.der())));
    EXPECT_FALSE(Fingerprint::from_bytes({}));
}

// RFC 8032 section 7.1, test 1.
TEST(Certificate, PublicKeyIsThatOfTheRfc) {
    const auto seed =
        base::hex_decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    const SigningKey key(*Key256::from_bytes(as_bytes(*seed)));
    EXPECT_EQ(base::hex_encode(as_bytes(key.public_key())),
              "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

TEST(Certificate, RefusesWhatIsNotOneOfThem) {
    const std::string der = golden_node().der();
    const std::string pem = golden_node().pem();
    expect_invalid(Certificate::from_der({}), "damaged or cut off");
    expect_invalid(Certificate::from_der(as_bytes(der + '\0')), "damaged or cut off");
    for (std::size_t size = 0; size < der.size(); ++size) {
        EXPECT_FALSE(Certificate::from_der(as_bytes(der).first(size)));
        EXPECT_FALSE(SigningRequest::from_der(as_bytes(der).first(size)));
    }
    expect_invalid(Certificate::from_der(as_bytes(std::string(kMaxCertificate + 1, '0'))), "");
    expect_invalid(Certificate::from_pem(pem + pem), "not base 64");
    expect_invalid(Certificate::from_pem("x" + pem), "does not start with");
    expect_invalid(Certificate::from_pem(pem.substr(0, pem.size() / 2)), "cut off");
    expect_invalid(Certificate::from_pem("-----BEGIN CERTIFICATE-----END CERTIFICATE-----"), "");
    expect_invalid(Certificate::from_pem(std::string(kMaxPem + 1, ' ')), "too long");
    expect_invalid(Certificate::from_pem(kGoldenRequest), "does not start with");
    expect_invalid(SigningRequest::from_pem(pem), "does not start with");
    expect_invalid(SigningRequest::from_der(as_bytes(der)), "not a signing request");
    expect_invalid(SigningKey::from_pem(pem), "does not start with");
    expect_invalid(SigningKey::from_der(as_bytes(golden_node_key().der() + '\0')), "PKCS#8");
    expect_invalid(SigningKey::from_der(as_bytes(der)), "PKCS#8");
}

TEST(Certificate, IdentityIsTheIssuersChoice) {
    OsKeySource random;
    const Issuer issuer = Issuer::found(&random, kCluster, kNow);
    const SigningKey key = SigningKey::generate(&random);
    std::set<std::string> seen;
    for (unsigned n = 1; n < 5; ++n) {
        const auto issued = issuer.issue(&random, SigningRequest::make(key), node_id(n), kNow);
        ASSERT_TRUE(issued);
        EXPECT_TRUE(issued->is_of(key));
        EXPECT_TRUE(seen.insert(issued->der()).second);
        const auto identity = identity_of(*issued, issuer.ca(), kNow);
        ASSERT_TRUE(identity) << identity.error().context;
        EXPECT_EQ(*identity, (Identity{kCluster, node_id(n)}));
    }
}

// Ignores what a request says besides its key.
TEST(Certificate, ARequestCannotNameItself) {
    const KeyPtr pkey = to_openssl(golden_node_key());
    const RequestPtr request(X509_REQ_new());
    set_name(X509_REQ_get_subject_name(request.get()), kNodeOrganization, node_id(0x66).hex());
    X509_REQ_set_pubkey(request.get(), pkey.get());
    ASSERT_GT(X509_REQ_sign(request.get(), pkey.get(), nullptr), 0);
    std::string der(static_cast<std::size_t>(i2d_X509_REQ(request.get(), nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_X509_REQ(request.get(), &out);
    const auto parsed = SigningRequest::from_der(as_bytes(der));
    ASSERT_TRUE(parsed);
    CountingKeySource random(0xA0);
    const auto issued = golden_issuer().issue(&random, *parsed, kNode, kNow);
    ASSERT_TRUE(issued);
    EXPECT_EQ(*issued, golden_node());
}

TEST(Certificate, ARequestMustProveItsKey) {
    OsKeySource random;
    const std::string good = SigningRequest::make(golden_node_key()).der();
    // The signature is the last 64 bytes; the key is 32 bytes of the middle.
    const std::string key = golden_node_key().public_key();
    const std::size_t key_at = good.find(key);
    ASSERT_NE(key_at, std::string::npos);
    std::string signature = good;
    signature.back() = static_cast<char>(signature.back() ^ 1);
    std::string other_key = good;
    other_key.replace(key_at, key.size(), SigningKey::generate(&random).public_key());
    for (const std::string& bad : {signature, other_key}) {
        const auto request = SigningRequest::from_der(as_bytes(bad));
        ASSERT_TRUE(request);
        expect_invalid(golden_issuer().issue(&random, *request, kNode, kNow), "not signed with");
    }
    // Whatever single bit is wrong, nothing is issued.
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string damaged = good;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
        const auto request = SigningRequest::from_der(as_bytes(damaged));
        if (request) EXPECT_FALSE(golden_issuer().issue(&random, *request, kNode, kNow)) << bit;
    }
}

TEST(Certificate, ARequestForAnotherKindOfKeyIsRefused) {
    const KeyPtr pkey = key_of_type(EVP_PKEY_EC);
    const RequestPtr request(X509_REQ_new());
    X509_REQ_set_pubkey(request.get(), pkey.get());
    ASSERT_GT(X509_REQ_sign(request.get(), pkey.get(), EVP_sha256()), 0);
    std::string der(static_cast<std::size_t>(i2d_X509_REQ(request.get(), nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_X509_REQ(request.get(), &out);
    OsKeySource random;
    const auto parsed = SigningRequest::from_der(as_bytes(der));
    ASSERT_TRUE(parsed);
    expect_invalid(golden_issuer().issue(&random, *parsed, kNode, kNow), "not for an Ed25519 key");
}

TEST(Certificate, AnotherCaIsRefused) {
    OsKeySource random;
    const Issuer same_id = Issuer::found(&random, kCluster, kNow);
    const Issuer other = Issuer::found(&random, cluster_id(0xC2), kNow);
    const ClusterCa ca = golden_issuer().ca();
    expect_denied(identity_of(cook({}, same_id), ca, kNow), "signed by another CA");
    expect_denied(identity_of(cook({}, other), ca, kNow),
                  "of another cluster: " + cluster_id(0xC2).hex());
    // The CA itself is no node, its own or another one.
    expect_denied(identity_of(ca.certificate(), ca, kNow), "it is a CA's");
    expect_denied(identity_of(same_id.ca().certificate(), ca, kNow), "signed by another CA");
    expect_invalid(Issuer::from(ca, same_id.key()), "does not belong");
}

TEST(Certificate, EveryFlippedBitIsRefused) {
    const std::string der = golden_node().der();
    const ClusterCa ca = golden_issuer().ca();
    for (std::size_t bit = 0; bit < der.size() * 8; ++bit) {
        std::string damaged = der;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
        const auto certificate = Certificate::from_der(as_bytes(damaged));
        if (certificate) EXPECT_FALSE(identity_of(*certificate, ca, kNow)) << bit;
    }
}

TEST(Certificate, OnlyTheProfileOfANodeIsTaken) {
    const auto good = identity_of(cook({}), golden_issuer().ca(), kNow);
    ASSERT_TRUE(good) << good.error().context;
    expect_denied({.constraints = "critical,CA:TRUE"}, "it is a CA's");
    expect_denied({.constraints = ""}, "does not say that it is no CA");
    expect_denied({.usage = "critical,digitalSignature,keyCertSign"}, "key usage");
    expect_denied({.usage = ""}, "key usage");
    expect_denied({.extended_usage = ""}, "extended key usage");
    expect_denied({.extended_usage = "clientAuth"}, "extended key usage");
    expect_denied({.extended_usage = "serverAuth"}, "extended key usage");
    expect_denied({.extended_usage = "clientAuth,serverAuth,codeSigning"}, "extended key usage");
    expect_denied({.key_type = EVP_PKEY_EC}, "not an Ed25519 key");
    expect_denied({.unknown = "critical,DER:0500"}, "unhandled critical extension");
}

TEST(Certificate, OnlyTheFormOfAnIdentityIsTaken) {
    const std::string uri = "URI:hamster://" + kCluster.hex() + "/";
    const std::string node = kNode.hex();
    for (const std::string& bad :
         {std::string(), std::string("DNS:localhost"), uri, uri + node.substr(1), uri + node + "/",
          uri + node + "0", uri + "0D" + node.substr(2), uri + node_id(0).hex(),
          "URI:hamster://" + cluster_id(0).hex() + "/" + node,
          "URI:https://" + kCluster.hex() + "/" + node, uri + node + ",DNS:localhost",
          uri + node + "," + uri + node_id(2).hex()}) {
        expect_denied({.uri = bad}, "alternative name is malformed");
    }
    expect_denied({.uri = "URI:hamster://" + cluster_id(0xC2).hex() + "/" + node},
                  "names another cluster: " + cluster_id(0xC2).hex());
    expect_denied({.name = node_id(2).hex()}, "subject is malformed");
    expect_denied({.name = "localhost"}, "subject is malformed");
    expect_denied({.organization = std::string(kCaOrganization)}, "subject is malformed");
}

TEST(Certificate, ItsTimeIsChecked) {
    const Certificate node = golden_node();
    const ClusterCa ca = golden_issuer().ca();
    const std::uint64_t first = kNow - kBackdatedMs;
    const std::uint64_t last = kNow + kNodeLifeMs;
    EXPECT_TRUE(identity_of(node, ca, first));
    EXPECT_TRUE(identity_of(node, ca, last));
    expect_denied(identity_of(node, ca, first - 1), "not valid before 2027-01-14T08:00:00.000Z");
    expect_denied(identity_of(node, ca, 0), "the clock here says 1970-01-01");
    expect_denied(identity_of(node, ca, last + 1000), "expired on 2037-01-14T08:00:00.000Z");
    expect_denied(identity_of(node, ca, ~0ULL), "expired");
    expect_denied({.first_ms = kNow + 1000}, "not valid before");
    expect_denied({.last_ms = kNow - 1000}, "expired");
}

// The end of a CA's life stops nothing; nor does a clock from before or after all of time.
TEST(Certificate, AnExpiredCaGoesOn) {
    CountingKeySource random(1);
    const Issuer issuer = golden_issuer();
    const SigningRequest request = SigningRequest::make(golden_node_key());
    for (const std::uint64_t now :
         {std::uint64_t{0}, kDay, kNow + 200 * kYear, std::uint64_t{253402300799000}}) {
        const auto issued = issuer.issue(&random, request, kNode, now);
        ASSERT_TRUE(issued);
        EXPECT_TRUE(identity_of(*issued, issuer.ca(), now)) << now;
        const Issuer founded = Issuer::found(&random, kCluster, now);
        EXPECT_EQ(founded.ca().cluster(), kCluster);
    }
    EXPECT_TRUE(issuer.issue(&random, request, kNode, ~0ULL));
    EXPECT_EQ(Issuer::found(&random, kCluster, ~0ULL).ca().cluster(), kCluster);
}

// A self-signed certificate in which a test changes one thing.
Result<ClusterCa> cook_ca(const Recipe& recipe, const SigningKey& signer) {
    const X509Ptr made(X509_new());
    X509* out = made.get();
    X509_set_version(out, X509_VERSION_3);
    set_name(X509_get_subject_name(out), recipe.organization, recipe.name);
    X509_set_issuer_name(out, X509_get_subject_name(out));
    ASN1_TIME_set(X509_getm_notBefore(out), 0);
    ASN1_TIME_set(X509_getm_notAfter(out), 1);
    X509_set_pubkey(out, key_of_type(recipe.key_type).get());
    extend(out, out, "basicConstraints", recipe.constraints);
    extend(out, out, "keyUsage", recipe.usage);
    EXPECT_GT(X509_sign(out, to_openssl(signer).get(), nullptr), 0);
    TRY_ASSIGN(Certificate certificate, Certificate::from_der(as_bytes(der_of(out))));
    return ClusterCa::from(std::move(certificate));
}

TEST(Certificate, OnlyTheProfileOfAClusterCaIsTaken) {
    const auto recipe = [] {
        return Recipe{.organization = std::string(kCaOrganization),
                      .name = kCluster.hex(),
                      .constraints = "critical,CA:TRUE,pathlen:0",
                      .usage = "critical,keyCertSign"};
    };
    const SigningKey key = golden_node_key();
    EXPECT_TRUE(cook_ca(recipe(), key));  // expired in 1970
    expect_invalid(cook_ca(recipe(), golden_issuer().key()), "not signed with its own key");
    const auto expect_refused = [&](std::string_view why, auto change) {
        Recipe changed = recipe();
        change(&changed);
        expect_invalid(cook_ca(changed, key), why);
    };
    expect_refused("subject names no cluster", [](Recipe* r) { r->organization = "Acme"; });
    expect_refused("subject names no cluster", [](Recipe* r) { r->name = "c1"; });
    expect_refused("subject names no cluster", [](Recipe* r) { r->name = cluster_id(0).hex(); });
    expect_refused("not a CA", [](Recipe* r) { r->constraints = "critical,CA:FALSE"; });
    expect_refused("path length 0", [](Recipe* r) { r->constraints = "critical,CA:TRUE"; });
    expect_refused("path length 0",
                   [](Recipe* r) { r->constraints = "critical,CA:TRUE,pathlen:1"; });
    expect_refused("key usage", [](Recipe* r) { r->usage = ""; });
    expect_refused("not an Ed25519 key", [](Recipe* r) { r->key_type = EVP_PKEY_EC; });
    expect_invalid(ClusterCa::from(golden_node()), "not a CA");
}

// A leftover would be taken for the failure of a TLS connection.
TEST(Certificate, LeavesNothingInTheErrorQueue) {
    ERR_clear_error();
    OsKeySource random;
    const Issuer other = Issuer::found(&random, kCluster, kNow);
    EXPECT_FALSE(identity_of(cook({}, other), golden_issuer().ca(), kNow));
    EXPECT_FALSE(identity_of(cook({.unknown = "critical,DER:0500"}), golden_issuer().ca(), kNow));
    EXPECT_FALSE(Certificate::from_der(as_bytes("nonsense")));
    EXPECT_FALSE(SigningRequest::from_der(as_bytes("nonsense")));
    std::string bad = SigningRequest::make(golden_node_key()).der();
    bad.back() = static_cast<char>(bad.back() ^ 1);
    EXPECT_FALSE(
        golden_issuer().issue(&random, *SigningRequest::from_der(as_bytes(bad)), kNode, kNow));
    EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(Certificate, AnyBytesAreSurvived) {
    base::expect_property([](const std::string& text) {
        RC_ASSERT(!Certificate::from_der(as_bytes(text)));
        RC_ASSERT(!SigningRequest::from_der(as_bytes(text)));
        RC_ASSERT(!Certificate::from_pem("-----BEGIN CERTIFICATE-----" + text +
                                         "-----END CERTIFICATE-----"));
    });
}

}  // namespace
}  // namespace hamster::crypto
