#include "runtime/real/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "runtime/real/os.h"

namespace hamster::runtime::real {

namespace {

// TLS 1.2 suites; those of 1.3 are all fine. Forward secrecy and AEAD only.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
// A record's largest payload: small pieces are gathered up to it.
constexpr std::size_t kRecord = 16 * 1024;
// The one protocol we speak, as ALPN writes it: length, name.
constexpr unsigned char kAlpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

std::string last_error() {
    const unsigned long error = ERR_get_error();
    if (error == 0) return "unknown error";
    char text[256];
    ERR_error_string_n(error, text, sizeof(text));
    return text;
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_length,
                const unsigned char* offered, unsigned int offered_length, void*) {
    unsigned char* chosen = nullptr;
    const int result =
        SSL_select_next_proto(&chosen, out_length, kAlpn, sizeof(kAlpn), offered, offered_length);
    if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

Result<SslContextPtr> make_context(const SSL_METHOD* method) {
    SslContextPtr context(SSL_CTX_new(method));
    if (context == nullptr) return fail(Code::kInvalid, "TLS: " + last_error());
    HAMSTER_ASSERT(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1);
    HAMSTER_ASSERT(SSL_CTX_set_cipher_list(context.get(), kCiphers) == 1);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // Whole records per system call, several when they come fast.
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_default_read_buffer_len(context.get(), 2 * kRecord);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    return context;
}

Result<SslContextPtr> make_server_context(const std::string& cert, const std::string& key) {
    ERR_clear_error();
    TRY_ASSIGN(SslContextPtr context, make_context(TLS_server_method()));
    if (SSL_CTX_use_certificate_chain_file(context.get(), cert.c_str()) != 1) {
        return fail(Code::kInvalid, "certificate " + cert + ": " + last_error());
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
        return fail(Code::kInvalid, "key " + key + ": " + last_error());
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
    TRY_ASSIGN(SslContextPtr context, make_context(TLS_client_method()));
    if (!verify) return context;
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const int loaded = ca_path.empty()
                           ? SSL_CTX_set_default_verify_paths(context.get())
                           : SSL_CTX_load_verify_locations(context.get(), ca_path.c_str(), nullptr);
    if (loaded != 1) return fail(Code::kInvalid, "CA bundle " + ca_path + ": " + last_error());
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

namespace {

struct TlsConnection {
    TlsConnection(ConnectionPtr on, SslPtr with) : connection(std::move(on)), ssl(std::move(with)) {
        SSL_set_fd(ssl.get(), connection->socket.native_handle());
    }
    TlsConnection(const TlsConnection&) = delete;
    TlsConnection& operator=(const TlsConnection&) = delete;

    ConnectionPtr connection;
    SslPtr ssl;
    bool failed = false;  // OpenSSL forbids further calls after a fatal error
    base::Buffer gathered;
};
using TlsPtr = std::shared_ptr<TlsConnection>;

enum class Outcome : std::uint8_t { kDone, kWantRead, kWantWrite, kEnd, kFailed };

struct Step {
    Outcome outcome;
    std::string error;  // kFailed
};

// Runs one non-blocking call of OpenSSL and says what it needs next.
template <class Call>
Step ssl_step(TlsConnection& on, Call call) {
    ERR_clear_error();
    errno = 0;
    const int result = call(on.ssl.get());
    const int system_error = errno;
    switch (SSL_get_error(on.ssl.get(), result)) {
        case SSL_ERROR_NONE:
            return {Outcome::kDone, {}};
        case SSL_ERROR_WANT_READ:
            return {Outcome::kWantRead, {}};
        case SSL_ERROR_WANT_WRITE:
            return {Outcome::kWantWrite, {}};
        case SSL_ERROR_ZERO_RETURN:
            return {Outcome::kEnd, {}};
        case SSL_ERROR_SYSCALL:
            on.failed = true;
            return {Outcome::kFailed, system_error == 0 ? "closed without notice"
                                                        : std::string(std::strerror(system_error))};
        default:
            on.failed = true;
            return {Outcome::kFailed, last_error()};
    }
}

bool is_usable(const TlsConnection& on) { return on.connection->is_usable() && !on.failed; }

Error explain(const TlsConnection& on, const std::string& error) {
    Error explained = on.connection->explain({}, "TLS");
    if (explained.code == Code::kClosed && on.connection->is_open())
        explained.context = "TLS: " + error;
    return explained;
}

// Waits until the socket is ready for what OpenSSL wants.
Task<Result<void>> wait_ready(TlsPtr on, Outcome wanted) {
    const auto direction = wanted == Outcome::kWantRead ? Socket::wait_read : Socket::wait_write;
    const auto [code] = co_await on->connection->socket.async_wait(direction, kAwait);
    if (code) co_return std::unexpected(on->connection->explain(code, "TLS"));
    co_return Result<void>();
}

// Repeats `call` until it is done. False at the orderly end of the stream.
template <class Call>
Task<Result<bool>> drive(TlsPtr on, Call call) {
    if (on->connection->must_yield()) co_await runtime::yield();
    for (;;) {
        if (!is_usable(*on)) co_return std::unexpected(explain(*on, "failed before"));
        const Step step = ssl_step(*on, call);
        if (step.outcome == Outcome::kDone) co_return true;
        if (step.outcome == Outcome::kEnd) co_return false;
        if (step.outcome == Outcome::kFailed) co_return std::unexpected(explain(*on, step.error));
        auto ready = co_await wait_ready(on, step.outcome);
        if (!ready) co_return std::unexpected(std::move(ready).error());
    }
}

Task<Result<std::size_t>> read_tls(TlsPtr on, MutableBytes out) {
    if (out.empty()) co_return std::size_t{0};
    std::size_t n = 0;
    auto call = [&n, out](SSL* ssl) { return SSL_read_ex(ssl, out.data(), out.size(), &n); };
    auto done = co_await drive(on, call);
    CO_TRY_ASSIGN(const bool more, std::move(done));
    co_return more ? n : 0;
}

Task<Result<void>> write_piece(TlsPtr on, Bytes piece) {
    while (!piece.empty()) {
        std::size_t n = 0;
        auto call = [&n, piece](SSL* ssl) {
            return SSL_write_ex(ssl, piece.data(), piece.size(), &n);
        };
        auto done = co_await drive(on, call);
        CO_TRY_ASSIGN(const bool open, std::move(done));
        if (!open) co_return fail(Code::kClosed, "TLS: the peer has closed");
        piece = piece.subspan(n);
    }
    co_return Result<void>();
}

// Small neighbours share a record; large pieces go as they are.
Task<Result<void>> write_tls(TlsPtr on, std::vector<Bytes> pieces) {
    std::size_t at = 0;
    while (at < pieces.size()) {
        if (pieces[at].size() >= kRecord || at + 1 == pieces.size()) {
            auto written = co_await write_piece(on, pieces[at++]);
            CO_TRY(std::move(written));
            continue;
        }
        if (on->gathered.capacity() == 0) on->gathered = base::Buffer(kRecord);
        on->gathered.resize(0);
        while (at < pieces.size() && pieces[at].size() <= on->gathered.spare().size()) {
            on->gathered.append(pieces[at++]);
        }
        auto written = co_await write_piece(on, on->gathered.bytes());
        CO_TRY(std::move(written));
    }
    co_return Result<void>();
}

Task<void> shut_down_tls(TlsPtr on) {
    if (!is_usable(*on)) co_return;
    // 0: our notice is sent, the peer's has not come; that is all we want. During a handshake it
    // fails, and there is nothing to end.
    auto call = [](SSL* ssl) {
        const int result = SSL_shutdown(ssl);
        return result == 0 ? 1 : result;
    };
    if (SSL_is_init_finished(on->ssl.get()) != 0) {
        auto done = co_await drive(on, call);
        (void)done;  // the peer may be gone
    }
    ErrorCode ignored;
    if (on->connection->is_open()) on->connection->socket.shutdown(Socket::shutdown_send, ignored);
}

class TlsStream final : public Stream {
  public:
    explicit TlsStream(TlsPtr connection) : connection_(std::move(connection)) {}
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;
    ~TlsStream() override { connection_->connection->close(); }

    Task<Result<std::size_t>> read_some(MutableBytes out) override {
        return read_tls(connection_, out);
    }
    Task<Result<void>> write(std::vector<Bytes> pieces) override {
        return write_tls(connection_, std::move(pieces));
    }
    void set_deadline(Time deadline) override { connection_->connection->set_deadline(deadline); }
    Task<void> shutdown() override { return shut_down_tls(connection_); }
    void close() override { connection_->connection->close(); }
    std::string peer() const override { return connection_->connection->peer; }
    bool is_tls() const override { return true; }

  private:
    TlsPtr connection_;
};

}  // namespace

std::unique_ptr<Stream> make_tls_stream(ConnectionPtr connection, SslPtr ssl) {
    return std::make_unique<TlsStream>(
        std::make_shared<TlsConnection>(std::move(connection), std::move(ssl)));
}

Task<Result<std::unique_ptr<Stream>>> handshake(ConnectionPtr connection, SslPtr ssl) {
    auto on = std::make_shared<TlsConnection>(std::move(connection), std::move(ssl));
    auto done = co_await drive(on, SSL_do_handshake);
    CO_TRY_ASSIGN(const bool open, std::move(done));
    if (!open) co_return fail(Code::kClosed, "TLS: the peer has closed");
    co_return std::make_unique<TlsStream>(std::move(on));
}

}  // namespace hamster::runtime::real
