#include <openssl/err.h>
#include <openssl/x509.h>

#include <string>
#include <utility>

#include "base/assert.h"
#include "runtime/real/tls.h"

namespace hamster::runtime::real {

namespace {

// Bytes of the certificates a peer may send, before it has proved anything. Ours have under 2 KiB.
constexpr long kMaxPeerCertificates = 64 * 1024;

struct FreeParts {
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(PKCS8_PRIV_KEY_INFO* info) const { PKCS8_PRIV_KEY_INFO_free(info); }
};
using X509Ptr = std::unique_ptr<X509, FreeParts>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeParts>;
using KeyInfoPtr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, FreeParts>;

const unsigned char* raw(const std::string& der) {
    return reinterpret_cast<const unsigned char*>(der.data());
}

// Exactly one certificate, or null.
X509Ptr parse_certificate(const std::string& der) {
    const unsigned char* at = raw(der);
    X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    return at == raw(der) + der.size() ? std::move(certificate) : nullptr;
}

// Exactly one Ed25519 key as PKCS#8, or null.
KeyPtr parse_key(const std::string& der) {
    const unsigned char* at = raw(der);
    const KeyInfoPtr info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(der.size())));
    if (info == nullptr || at != raw(der) + der.size()) return nullptr;
    KeyPtr key(EVP_PKCS82PKEY(info.get()));
    return key != nullptr && EVP_PKEY_get_id(key.get()) == EVP_PKEY_ED25519 ? std::move(key)
                                                                            : nullptr;
}

// Takes the place of every check of the peer's certificates. That the peer holds the key of the
// first one is not checked here, but by the signature over the handshake.
int accept_any(X509_STORE_CTX* store, void*) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

Result<void> show(SSL_CTX* context, const NodeTls& tls) {
    const X509Ptr certificate = parse_certificate(tls.certificate);
    if (certificate == nullptr) return fail(Code::kInvalid, "the node's certificate is not DER");
    if (SSL_CTX_use_certificate(context, certificate.get()) != 1) {
        return fail(Code::kInvalid, "the node's certificate: " + tls_error());
    }
    const KeyPtr key = parse_key(tls.key);
    if (key == nullptr) return fail(Code::kInvalid, "the node's key is not Ed25519 in PKCS#8");
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return fail(Code::kInvalid, "the node's key does not belong to its certificate");
    }
    if (tls.ca.empty()) return {};
    const X509Ptr ca = parse_certificate(tls.ca);
    if (ca == nullptr) return fail(Code::kInvalid, "the certificate of the CA is not DER");
    if (SSL_CTX_add1_chain_cert(context, ca.get()) != 1) {
        return fail(Code::kInvalid, "the certificate of the CA: " + tls_error());
    }
    return {};
}

Result<SslContextPtr> make_node_context(const SSL_METHOD* method, const NodeTls& tls) {
    ERR_clear_error();
    TRY_ASSIGN(SslContextPtr context, make_tls_context(method));
    SSL_CTX* const on = context.get();
    HAMSTER_ASSERT(SSL_CTX_set_min_proto_version(on, TLS1_3_VERSION) == 1);
    HAMSTER_ASSERT(SSL_CTX_set1_sigalgs_list(on, "ed25519") == 1);
    SSL_CTX_set_options(on, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(on, SSL_MODE_NO_AUTO_CHAIN);
    // Every connection shows its certificates anew: nothing is resumed.
    SSL_CTX_set_session_cache_mode(on, SSL_SESS_CACHE_OFF);
    HAMSTER_ASSERT(SSL_CTX_set_num_tickets(on, 0) == 1);
    SSL_CTX_set_max_cert_list(on, kMaxPeerCertificates);
    // On the listening side: asks for a certificate, goes on without one.
    SSL_CTX_set_verify(on, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_cert_verify_callback(on, accept_any, nullptr);
    if (tls.certificate.empty()) return context;
    TRY(show(on, tls));
    return context;
}

}  // namespace

Result<SslContextPtr> make_node_server_context(const NodeTls& tls) {
    if (tls.certificate.empty()) {
        return fail(Code::kInvalid, "listening for nodes takes a certificate");
    }
    return make_node_context(TLS_server_method(), tls);
}

Result<SslContextPtr> make_node_client_context(const NodeTls& tls) {
    return make_node_context(TLS_client_method(), tls);
}

SslPtr accept_node(SSL_CTX* context) {
    SslPtr ssl(SSL_new(context));
    HAMSTER_ASSERT(ssl != nullptr);
    SSL_set_accept_state(ssl.get());
    return ssl;
}

SslPtr call_node(SSL_CTX* context) {
    SslPtr ssl(SSL_new(context));
    HAMSTER_ASSERT(ssl != nullptr);
    SSL_set_connect_state(ssl.get());
    return ssl;
}

namespace {

std::string to_der(X509* certificate) {
    const int size = i2d_X509(certificate, nullptr);
    if (size <= 0) return {};
    std::string der(static_cast<std::size_t>(size), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_X509(certificate, &out);
    return der;
}

}  // namespace

std::vector<std::string> peer_certificates(const SSL* ssl) {
    std::vector<std::string> found;
    if (SSL_is_init_finished(ssl) == 0) return found;
    X509* const own = SSL_get0_peer_certificate(ssl);
    if (own == nullptr) return found;
    found.push_back(to_der(own));
    // OpenSSL begins the chain with the peer's own on the client side only.
    const STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl);
    for (int i = SSL_is_server(ssl) != 0 ? 0 : 1; i < sk_X509_num(chain); ++i) {
        found.push_back(to_der(sk_X509_value(chain, i)));
    }
    return found;
}

}  // namespace hamster::runtime::real
