// Sockets of one loop: the plain stream, and the coarse ticker that enforces deadlines.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "runtime/world.h"

namespace hamster::runtime::real {

using asio::ip::tcp;
using LoopExecutor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, LoopExecutor>;
using ErrorCode = boost::system::error_code;

// Never throws: the result is a tuple that starts with an error code.
inline constexpr asio::as_tuple_t<asio::use_awaitable_t<>> kAwait{};

// Deadlines are enforced at this granularity, by one timer per loop.
inline constexpr std::chrono::milliseconds kTick{250};
// Operations that finish at once before a stream lets others of its loop run.
inline constexpr unsigned kInlineOperations = 32;

class Ticker;

// A connected socket with a deadline; linked into its loop's ticker while it has one. Shared with
// operations in flight. One loop.
class Connection {
  public:
    Connection(Socket connected, std::shared_ptr<Ticker> ticker)
        : socket(std::move(connected)), ticker_(std::move(ticker)) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { unlink(); }

    void set_deadline(Time deadline);
    void close();
    [[nodiscard]] bool is_open() const { return socket.is_open(); }
    // What a failed operation means: a deadline, a close of ours, or the other side.
    [[nodiscard]] Error explain(const ErrorCode& error, const char* what) const;
    // Why no operation may start; kClosed or kTimeout.
    [[nodiscard]] bool is_usable() const { return socket.is_open() && !timed_out_; }
    // True every so often: the caller then yields to the loop once.
    [[nodiscard]] bool must_yield() { return ++inline_operations_ % kInlineOperations == 0; }

    Socket socket;
    std::string peer;  // address:port

  private:
    friend class Ticker;
    void unlink();

    std::shared_ptr<Ticker> ticker_;
    Time deadline_ = Time::never();
    bool timed_out_ = false;
    unsigned inline_operations_ = 0;
    Connection* previous_ = nullptr;
    Connection* next_ = nullptr;
};
using ConnectionPtr = std::shared_ptr<Connection>;

// Ticks only while some connection has a deadline. Lives as long as its connections.
class Ticker : public std::enable_shared_from_this<Ticker> {
  public:
    explicit Ticker(asio::io_context& loop) : timer_(loop) {}
    Ticker(const Ticker&) = delete;
    Ticker& operator=(const Ticker&) = delete;

  private:
    friend class Connection;
    void start();
    void tick();

    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, LoopExecutor>
        timer_;
    bool running_ = false;
    Connection* head_ = nullptr;
};

Time steady_now();
std::string to_text(const tcp::endpoint& endpoint);
// Common settings of every connection: TCP_NODELAY, non-blocking.
void prepare(Socket& socket);

std::unique_ptr<Stream> make_plain_stream(ConnectionPtr connection);

}  // namespace hamster::runtime::real
