#include "runtime/real/tls.h"

#include <openssl/err.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "runtime/real/os.h"

namespace hamster::runtime::real {

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
            return {Outcome::kFailed, tls_error()};
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
        if (pieces[at].size() >= kTlsRecord || at + 1 == pieces.size()) {
            auto written = co_await write_piece(on, pieces[at++]);
            CO_TRY(std::move(written));
            continue;
        }
        if (on->gathered.capacity() == 0) on->gathered = base::Buffer(kTlsRecord);
        on->gathered.resize(0);
        while (at < pieces.size() && pieces[at].size() <= on->gathered.spare().size()) {
            on->gathered.append(pieces[at++]);
        }
        auto written = co_await write_piece(on, on->gathered.bytes());
        CO_TRY(std::move(written));
    }
    co_return Result<void>();
}

Task<Result<void>> shake_hands(TlsPtr on) {
    auto done = co_await drive(on, SSL_do_handshake);
    CO_TRY_ASSIGN(const bool open, std::move(done));
    if (!open) co_return fail(Code::kClosed, "TLS: the peer has closed");
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
    Task<Result<void>> handshake() override { return shake_hands(connection_); }
    std::vector<std::string> peer_certificates() const override {
        return real::peer_certificates(connection_->ssl.get());
    }

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
    auto done = co_await shake_hands(on);
    CO_TRY(std::move(done));
    co_return std::make_unique<TlsStream>(std::move(on));
}

}  // namespace hamster::runtime::real
