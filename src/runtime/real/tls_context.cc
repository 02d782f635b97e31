#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <utility>

#include "base/assert.h"
#include "runtime/real/tls.h"

namespace hamster::runtime::real {

namespace {

// TLS 1.2 suites; those of 1.3 are all fine. Forward secrecy and AEAD only.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
// The one protocol we speak, as ALPN writes it: length, name.
constexpr unsigned char kAlpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

}  // namespace

std::string tls_error() {
    const unsigned long error = ERR_get_error();
    if (error == 0) return "unknown error";
    char text[256];
    ERR_error_string_n(error, text, sizeof(text));
    return text;
}

Result<SslContextPtr> make_tls_context(const SSL_METHOD* method) {
    SslContextPtr context(SSL_CTX_new(method));
    if (context == nullptr) return fail(Code::kInvalid, "TLS: " + tls_error());
    HAMSTER_ASSERT(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1);
    HAMSTER_ASSERT(SSL_CTX_set_cipher_list(context.get(), kCiphers) == 1);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // Whole records per system call, several when they come fast.
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_default_read_buffer_len(context.get(), 2 * kTlsRecord);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    return context;
}

namespace {

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_length,
                const unsigned char* offered, unsigned int offered_length, void*) {
    unsigned char* chosen = nullptr;
    const int result =
        SSL_select_next_proto(&chosen, out_length, kAlpn, sizeof(kAlpn), offered, offered_length);
    if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

Result<SslContextPtr> make_server_context(const std::string& cert, const std::string& key) {
    ERR_clear_error();
    TRY_ASSIGN(SslContextPtr context, make_tls_context(TLS_server_method()));
    if (SSL_CTX_use_certificate_chain_file(context.get(), cert.c_str()) != 1) {
        return fail(Code::kInvalid, "certificate " + cert + ": " + tls_error());
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return fail(Code::kInvalid, "key " + key + ": " + tls_error());
    }
    if (SSL_CTX_check_private_key(context.get()) != 1) {
        return fail(Code::kInvalid, "key " + key + " does not belong to certificate " + cert);
    }
    constexpr unsigned char kSessions[] = "hamster";
    SSL_CTX_set_session_id_context(context.get(), kSessions, sizeof(kSessions) - 1);
    SSL_CTX_set_alpn_select_cb(context.get(), choose_alpn, nullptr);
    return context;
}

}  // namespace

Result<std::unique_ptr<TlsServer>> RealTlsServer::load(std::string cert_path,
                                                       std::string key_path) {
    std::unique_ptr<RealTlsServer> server(
        new RealTlsServer(std::move(cert_path), std::move(key_path)));
    TRY(server->reload());
    return server;
}

Result<void> RealTlsServer::reload() {
    TRY_ASSIGN(SslContextPtr fresh, make_server_context(cert_path_, key_path_));
    const std::lock_guard lock(mutex_);
    context_ = std::move(fresh);  // open connections hold the old one
    return {};
}

SslPtr RealTlsServer::accept() {
    const std::lock_guard lock(mutex_);
    SslPtr ssl(SSL_new(context_.get()));
    HAMSTER_ASSERT(ssl != nullptr);
    SSL_set_accept_state(ssl.get());
    return ssl;
}

Result<SslContextPtr> make_client_context(bool verify, const std::string& ca_path) {
    ERR_clear_error();
    TRY_ASSIGN(SslContextPtr context, make_tls_context(TLS_client_method()));
    if (!verify) return context;
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const int loaded = ca_path.empty()
                           ? SSL_CTX_set_default_verify_paths(context.get())
                           : SSL_CTX_load_verify_locations(context.get(), ca_path.c_str(), nullptr);
    if (loaded != 1) return fail(Code::kInvalid, "CA bundle " + ca_path + ": " + tls_error());
    return context;
}

Result<SslPtr> make_client(SSL_CTX* context, const std::string& server_name, bool verify) {
    SslPtr ssl(SSL_new(context));
    HAMSTER_ASSERT(ssl != nullptr);
    SSL_set_connect_state(ssl.get());
    ErrorCode not_address;
    asio::ip::make_address(server_name, not_address);
    const bool is_name = static_cast<bool>(not_address);
    if (is_name && SSL_set_tlsext_host_name(ssl.get(), server_name.c_str()) != 1) {
        return fail(Code::kInvalid, "server name " + server_name);
    }
    if (!verify) return ssl;
    const int set =
        is_name ? SSL_set1_host(ssl.get(), server_name.c_str())
                : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), server_name.c_str());
    if (set != 1) return fail(Code::kInvalid, "server name " + server_name);
    return ssl;
}

}  // namespace hamster::runtime::real
