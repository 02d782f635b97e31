// Judging certificates: whether one is a cluster's CA, and which node another is of.
#include <openssl/asn1.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "crypto/certificate.h"
#include "crypto/certificate_x509.h"

namespace hamster::crypto {
namespace {

struct FreeVerification {
    void operator()(X509_STORE* store) const { X509_STORE_free(store); }
    void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
using StorePtr = std::unique_ptr<X509_STORE, FreeVerification>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, FreeVerification>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeVerification>;

std::string_view text_of(const ASN1_STRING* string) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
            static_cast<std::size_t>(ASN1_STRING_length(string))};
}

// An id that is not zero, in its one spelling.
template <class Id>
std::optional<Id> id_of(std::string_view hex) {
    const std::optional<Id> id = Id::from_hex(hex);
    if (!id || id->is_zero() || id->hex() != hex) return std::nullopt;
    return id;
}

std::string_view entry_of(const X509_NAME* name, int position, int nid) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, position);
    if (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) != nid) return {};
    return text_of(X509_NAME_ENTRY_get_data(entry));
}

// The id in a name as set_name() makes it.
template <class Id>
std::optional<Id> named(const X509_NAME* name, std::string_view organization) {
    if (X509_NAME_entry_count(name) != 2) return std::nullopt;
    if (entry_of(name, 0, NID_organizationName) != organization) return std::nullopt;
    return id_of<Id>(entry_of(name, 1, NID_commonName));
}

// What is wrong with a certificate as a cluster's CA, empty when nothing is.
std::string_view fault_of_ca(X509* ca) {
    const EVP_PKEY* key = X509_get0_pubkey(ca);
    if (!is_ed25519(key)) return "its key is not an Ed25519 key";
    if (X509_get_version(ca) != X509_VERSION_3) return "it is not an X.509 version 3 certificate";
    const std::uint32_t flags = X509_get_extension_flags(ca);
    if ((flags & EXFLAG_INVALID) != 0) return "its extensions are malformed";
    if ((flags & EXFLAG_CA) == 0 || X509_get_pathlen(ca) != 0)
        return "it is not a CA of path length 0";
    if (X509_get_key_usage(ca) != KU_KEY_CERT_SIGN) return "its key usage is not that of a CA";
    if (X509_NAME_cmp(X509_get_subject_name(ca), X509_get_issuer_name(ca)) != 0 ||
        X509_verify(ca, X509_get0_pubkey(ca)) != 1) {
        return "it is not signed with its own key";
    }
    return {};
}

Result<> check_issuer(X509* certificate, X509* ca, const ClusterId& cluster) {
    const X509_NAME* issuer = X509_get_issuer_name(certificate);
    if (X509_NAME_cmp(issuer, X509_get_subject_name(ca)) != 0) {
        const auto other = named<ClusterId>(issuer, kCaOrganization);
        if (!other)
            return fail(Code::kDenied, "the certificate was not issued by a Hamster cluster");
        return fail(Code::kDenied, "the certificate is of another cluster: " + other->hex() +
                                       ", this one is " + cluster.hex());
    }
    if (X509_verify(certificate, X509_get0_pubkey(ca)) != 1) {
        return fail(Code::kDenied,
                    "the certificate was signed by another CA than this cluster's, or is damaged");
    }
    return {};
}

Result<> not_of_a_node(std::string_view why) {
    return fail(Code::kDenied, "this is not a node's certificate: " + std::string(why));
}

// OpenSSL's own opinion, as strict as it can be: among others, extensions that are critical and
// unknown. Times are not its business: it would refuse an expired CA.
Result<> check_chain(X509* certificate, X509* ca) {
    const StorePtr store(X509_STORE_new());
    const StoreContextPtr context(X509_STORE_CTX_new());
    HAMSTER_ASSERT(store != nullptr && context != nullptr);
    HAMSTER_ASSERT(X509_STORE_add_cert(store.get(), ca) == 1);
    HAMSTER_ASSERT(X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) == 1);
    X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_X509_STRICT | X509_V_FLAG_NO_CHECK_TIME);
    HAMSTER_ASSERT(X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT) == 1);
    if (X509_verify_cert(context.get()) == 1) return {};
    return not_of_a_node(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
}

Result<> check_usage(X509* certificate) {
    const std::uint32_t flags = X509_get_extension_flags(certificate);
    if ((flags & EXFLAG_CA) != 0) return not_of_a_node("it is a CA's");
    if ((flags & EXFLAG_BCONS) == 0) return not_of_a_node("it does not say that it is no CA");
    if (X509_get_key_usage(certificate) != KU_DIGITAL_SIGNATURE) {
        return not_of_a_node("its key usage is not digitalSignature");
    }
    if ((flags & EXFLAG_XKUSAGE) == 0 ||
        X509_get_extended_key_usage(certificate) != (XKU_SSL_CLIENT | XKU_SSL_SERVER)) {
        return not_of_a_node("its extended key usage is not clientAuth and serverAuth");
    }
    if (!is_ed25519(X509_get0_pubkey(certificate))) {
        return not_of_a_node("its key is not an Ed25519 key");
    }
    return {};
}

// The URI among the alternative names, when it is the only one.
std::optional<std::string> only_uri(const X509* certificate) {
    const NamesPtr names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    if (names == nullptr || sk_GENERAL_NAME_num(names.get()) != 1) return std::nullopt;
    int kind = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), 0), &kind);
    if (kind != GEN_URI) return std::nullopt;
    return std::string(text_of(static_cast<const ASN1_STRING*>(value)));
}

// hamster://<cluster>/<node>
std::optional<Identity> parse_uri(std::string_view uri) {
    constexpr std::size_t kHex = 32;
    if (!uri.starts_with(kUriScheme)) return std::nullopt;
    uri.remove_prefix(kUriScheme.size());
    if (uri.size() != 2 * kHex + 1 || uri[kHex] != '/') return std::nullopt;
    const auto cluster = id_of<ClusterId>(uri.substr(0, kHex));
    const auto node = id_of<NodeId>(uri.substr(kHex + 1));
    if (!cluster || !node) return std::nullopt;
    return Identity{*cluster, *node};
}

Result<Identity> read_identity(const X509* certificate, const ClusterId& cluster) {
    const std::optional<std::string> uri = only_uri(certificate);
    const std::optional<Identity> identity = uri ? parse_uri(*uri) : std::nullopt;
    if (!identity) {
        return fail(Code::kDenied,
                    "the certificate's alternative name is malformed: it must be one URI "
                    "hamster://CLUSTER/NODE");
    }
    if (identity->cluster != cluster) {
        return fail(Code::kDenied, "the certificate names another cluster: " +
                                       identity->cluster.hex() + ", this one is " + cluster.hex());
    }
    if (named<NodeId>(X509_get_subject_name(certificate), kNodeOrganization) != identity->node) {
        return fail(Code::kDenied,
                    "the certificate's subject is malformed: it does not name the same node as "
                    "its alternative name");
    }
    return *identity;
}

// Seconds since 1970; nullopt for what is no time.
std::optional<std::int64_t> seconds_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
    return timegm(&parts);
}

std::string date(std::int64_t second) {
    return base::iso8601(second < 0 ? 0 : static_cast<std::uint64_t>(second) * 1000);
}

Result<> check_time(const X509* certificate, std::uint64_t now_ms) {
    const auto first = seconds_of(X509_get0_notBefore(certificate));
    const auto last = seconds_of(X509_get0_notAfter(certificate));
    if (!first || !last) return fail(Code::kDenied, "the certificate's times are malformed");
    const auto now = static_cast<std::int64_t>(now_ms / 1000);
    if (now < *first) {
        return fail(Code::kDenied, "the certificate is not valid before " + date(*first) +
                                       ", but the clock here says " + date(now));
    }
    if (now > *last) {
        return fail(Code::kDenied, "the certificate expired on " + date(*last) +
                                       ", the clock here says " + date(now));
    }
    return {};
}

}  // namespace

Result<ClusterCa> ClusterCa::from(Certificate certificate) {
    const ErrorsDropped guard;
    const X509Ptr parsed = parse_certificate(base::as_bytes(certificate.der()));
    HAMSTER_ASSERT(parsed != nullptr, certificate.der().size());
    std::string_view fault = fault_of_ca(parsed.get());
    const auto cluster = named<ClusterId>(X509_get_subject_name(parsed.get()), kCaOrganization);
    if (fault.empty() && !cluster) fault = "its subject names no cluster";
    if (!fault.empty()) {
        return fail(Code::kInvalid,
                    "this is not a cluster's CA certificate: " + std::string(fault));
    }
    return ClusterCa(std::move(certificate), *cluster);
}

Result<Identity> identity_of(const Certificate& certificate, const ClusterCa& ca,
                             std::uint64_t now_ms) {
    const ErrorsDropped guard;
    const X509Ptr subject = parse_certificate(base::as_bytes(certificate.der()));
    const X509Ptr issuer = parse_certificate(base::as_bytes(ca.certificate().der()));
    HAMSTER_ASSERT(subject != nullptr && issuer != nullptr);
    // First whose it is: what another CA signed is not looked at any further.
    TRY(check_issuer(subject.get(), issuer.get(), ca.cluster()));
    TRY(check_usage(subject.get()));
    TRY(check_chain(subject.get(), issuer.get()));
    TRY_ASSIGN(const Identity identity, read_identity(subject.get(), ca.cluster()));
    TRY(check_time(subject.get(), now_ms));
    return identity;
}

}  // namespace hamster::crypto
