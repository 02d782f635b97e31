#include "runtime/real/socket.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "runtime/real/os.h"

namespace hamster::runtime::real {

Time steady_now() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<Micros>(now).count()};
}

std::string to_text(const tcp::endpoint& endpoint) {
    const std::string address = endpoint.address().to_string();
    const std::string port = std::to_string(endpoint.port());
    return endpoint.address().is_v6() ? "[" + address + "]:" + port : address + ":" + port;
}

void prepare(Socket& socket) {
    ErrorCode ignored;  // a connection that is gone already says so at its first operation
    socket.set_option(tcp::no_delay(true), ignored);
    socket.native_non_blocking(true, ignored);
}

void Connection::set_deadline(Time deadline) {
    deadline_ = deadline;
    timed_out_ = false;
    if (deadline == Time::never()) {
        unlink();
        return;
    }
    if (previous_ != nullptr || ticker_->head_ == this) return;
    next_ = std::exchange(ticker_->head_, this);
    if (next_ != nullptr) next_->previous_ = this;
    ticker_->start();
}

void Connection::unlink() {
    if (previous_ != nullptr) {
        previous_->next_ = next_;
    } else if (ticker_->head_ == this) {
        ticker_->head_ = next_;
    }
    if (next_ != nullptr) next_->previous_ = previous_;
    previous_ = next_ = nullptr;
}

void Connection::close() {
    unlink();
    ErrorCode ignored;  // nobody can do anything about it
    socket.close(ignored);
}

Error Connection::explain(const ErrorCode& error, const char* what) const {
    if (timed_out_) return {Code::kTimeout, std::string(what) + ": the deadline has passed"};
    if (!socket.is_open()) return {Code::kClosed, std::string(what) + ": the stream is closed"};
    return {Code::kClosed, std::string(what) + ": " + error.message()};
}

void Ticker::start() {
    if (std::exchange(running_, true)) return;
    timer_.expires_after(kTick);
    timer_.async_wait([weak = weak_from_this()](const ErrorCode& error) {
        const auto self = weak.lock();
        if (!error && self != nullptr) self->tick();
    });
}

void Ticker::tick() {
    running_ = false;
    const Time now = steady_now();
    for (Connection* at = head_; at != nullptr;) {
        Connection* const connection = std::exchange(at, at->next_);
        if (connection->deadline_ > now) continue;
        connection->unlink();
        connection->timed_out_ = true;
        ErrorCode ignored;
        connection->socket.cancel(ignored);  // completions are posted, nothing runs here
    }
    if (head_ != nullptr) start();
}

namespace {

// The pieces not yet written, as what sendmsg takes.
class Unsent {
  public:
    explicit Unsent(const std::vector<Bytes>& pieces) : pieces_(pieces) { skip_empty(); }
    [[nodiscard]] bool empty() const { return at_ == pieces_.size(); }
    // At most one call's worth; the array is valid until the next call.
    msghdr next() {
        std::size_t count = 0;
        std::size_t offset = offset_;
        for (std::size_t i = at_; i < pieces_.size() && count < vectors_.size(); ++i) {
            const Bytes rest = pieces_[i].subspan(std::exchange(offset, 0));
            // sendmsg only reads, but has no const in its type.
            if (!rest.empty()) {
                vectors_[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
            }
        }
        msghdr message{};
        message.msg_iov = vectors_.data();
        message.msg_iovlen = count;
        return message;
    }
    void advance(std::size_t n) {
        offset_ += n;
        skip_empty();
    }

  private:
    void skip_empty() {
        while (at_ < pieces_.size() && offset_ >= pieces_[at_].size()) {
            offset_ -= pieces_[at_++].size();
        }
    }
    const std::vector<Bytes>& pieces_;
    std::size_t at_ = 0;
    std::size_t offset_ = 0;
    std::array<iovec, 16> vectors_;
};

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

ErrorCode to_code(int error) { return {error, boost::system::system_category()}; }

Task<Result<std::size_t>> read_plain(ConnectionPtr on, MutableBytes out) {
    if (on->must_yield()) co_await runtime::yield();
    if (!on->is_usable()) co_return std::unexpected(on->explain({}, "read"));
    const ssize_t n = retry(
        [&] { return ::recv(on->socket.native_handle(), out.data(), out.size(), MSG_DONTWAIT); });
    if (n >= 0) co_return static_cast<std::size_t>(n);
    const int error = errno;
    if (!would_block(error)) co_return std::unexpected(on->explain(to_code(error), "read"));
    const auto buffer = asio::buffer(out.data(), out.size());
    const auto [code, received] = co_await on->socket.async_read_some(buffer, kAwait);
    if (code == asio::error::eof) co_return std::size_t{0};
    if (code) co_return std::unexpected(on->explain(code, "read"));
    co_return received;
}

Task<Result<void>> write_plain(ConnectionPtr on, std::vector<Bytes> pieces) {
    if (on->must_yield()) co_await runtime::yield();
    Unsent unsent(pieces);
    while (!unsent.empty()) {
        if (!on->is_usable()) co_return std::unexpected(on->explain({}, "write"));
        const msghdr message = unsent.next();
        const ssize_t n = retry([&] {
            return ::sendmsg(on->socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        });
        if (n >= 0) {
            unsent.advance(static_cast<std::size_t>(n));
            continue;
        }
        const int error = errno;
        if (!would_block(error)) co_return std::unexpected(on->explain(to_code(error), "write"));
        const auto [code] = co_await on->socket.async_wait(Socket::wait_write, kAwait);
        if (code) co_return std::unexpected(on->explain(code, "write"));
    }
    co_return Result<void>();
}

Task<void> shut_down_plain(ConnectionPtr on) {
    ErrorCode ignored;  // the peer may be gone
    if (on->is_open()) on->socket.shutdown(Socket::shutdown_send, ignored);
    co_return;
}

class PlainStream final : public Stream {
  public:
    explicit PlainStream(ConnectionPtr connection) : connection_(std::move(connection)) {}
    PlainStream(const PlainStream&) = delete;
    PlainStream& operator=(const PlainStream&) = delete;
    ~PlainStream() override { connection_->close(); }

    Task<Result<std::size_t>> read_some(MutableBytes out) override {
        return read_plain(connection_, out);
    }
    Task<Result<void>> write(std::vector<Bytes> pieces) override {
        return write_plain(connection_, std::move(pieces));
    }
    void set_deadline(Time deadline) override { connection_->set_deadline(deadline); }
    Task<void> shutdown() override { return shut_down_plain(connection_); }
    void close() override { connection_->close(); }
    std::string peer() const override { return connection_->peer; }

  private:
    ConnectionPtr connection_;
};

}  // namespace

std::unique_ptr<Stream> make_plain_stream(ConnectionPtr connection) {
    return std::make_unique<PlainStream>(std::move(connection));
}

}  // namespace hamster::runtime::real
