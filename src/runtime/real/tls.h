// TLS over a non-blocking socket: OpenSSL reads and writes the descriptor itself, the loop only
// waits for readiness. The handshake happens inside the first read or write, or in handshake().
// Contexts are made in tls_context.cc (for clients and their servers) and node_tls.cc (between
// nodes).
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/real/socket.h"
#include "runtime/world.h"

namespace hamster::runtime::real {

struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, FreeSsl>;
using SslContextPtr = std::unique_ptr<SSL_CTX, FreeSsl>;

// A record's largest payload: small pieces are gathered up to it.
inline constexpr std::size_t kTlsRecord = 16 * 1024;

// OpenSSL's oldest error of this thread, for people.
std::string tls_error();
// What all contexts have in common.
Result<SslContextPtr> make_tls_context(const SSL_METHOD* method);

// The certificate of a listening side. Any thread.
class RealTlsServer final : public TlsServer {
  public:
    static Result<std::unique_ptr<TlsServer>> load(std::string cert_path, std::string key_path);
    Result<void> reload() override;
    // For one new connection; it keeps the certificate of this moment for its whole life.
    SslPtr accept();

  private:
    RealTlsServer(std::string cert_path, std::string key_path)
        : cert_path_(std::move(cert_path)), key_path_(std::move(key_path)) {}

    const std::string cert_path_;
    const std::string key_path_;
    std::mutex mutex_;
    SslContextPtr context_;  // guarded by mutex_
};

// Client settings, made once per (verify, ca_path).
Result<SslContextPtr> make_client_context(bool verify, const std::string& ca_path);
// For one connection to `server_name` (a DNS name or an address).
Result<SslPtr> make_client(SSL_CTX* context, const std::string& server_name, bool verify);

// Between nodes: TLS 1.3, Ed25519, no resumption; no certificate of a peer is judged. kInvalid says
// what is wrong with `tls`. A context holds copies.
Result<SslContextPtr> make_node_server_context(const NodeTls& tls);
Result<SslContextPtr> make_node_client_context(const NodeTls& tls);
SslPtr accept_node(SSL_CTX* context);
SslPtr call_node(SSL_CTX* context);
// As Stream::peer_certificates() says.
std::vector<std::string> peer_certificates(const SSL* ssl);

std::unique_ptr<Stream> make_tls_stream(ConnectionPtr connection, SslPtr ssl);
// Client side: finishes the handshake, so that a certificate that does not fit fails here.
Task<Result<std::unique_ptr<Stream>>> handshake(ConnectionPtr connection, SslPtr ssl);

}  // namespace hamster::runtime::real
