#include "runtime/real/network.h"

#include <sys/socket.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <charconv>
#include <functional>
#include <utility>

#include "base/assert.h"
#include "runtime/real/os.h"
#include "runtime/real/socket.h"
#include "runtime/real/tls.h"
#include "runtime/real/unix_socket.h"

namespace hamster::runtime::real {

namespace {

using Acceptor = asio::basic_socket_acceptor<tcp, LoopExecutor>;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
// Connections the kernel keeps for us between two accepts.
constexpr int kBacklog = 4096;

// ip:port, [ip6]:port; "localhost" is the one name known without a resolver.
Result<tcp::endpoint> parse_address(const std::string& address) {
    const auto colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    std::uint16_t port = 0;
    const char* const end = address.data() + address.size();
    if (colon == std::string::npos || colon + 1 == address.size() ||
        std::from_chars(address.data() + colon + 1, end, port).ptr != end) {
        return fail(Code::kInvalid, "'" + address + "' is not ip:port");
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    ErrorCode error;
    const auto ip = asio::ip::make_address(host, error);
    if (error) return fail(Code::kInvalid, "'" + address + "' is not ip:port");
    return tcp::endpoint(ip, port);
}

// The TLS of one accepted connection; null for a plain listener.
using NewTls = std::function<SslPtr()>;

class RealListener final : public Listener {
  public:
    RealListener(Acceptor acceptor, std::uint16_t port, std::shared_ptr<Ticker> ticker,
                 NewTls new_tls)
        : state_(
              std::make_shared<State>(std::move(acceptor), std::move(ticker), std::move(new_tls))),
          port_(port) {}
    RealListener(const RealListener&) = delete;
    RealListener& operator=(const RealListener&) = delete;
    ~RealListener() override { close(); }

    Task<Result<std::unique_ptr<Stream>>> accept() override { return accept_on(state_); }
    void close() override {
        ErrorCode ignored;  // nobody can do anything about it
        state_->acceptor.close(ignored);
    }
    std::uint16_t port() const override { return port_; }

  private:
    struct State {
        State(Acceptor on, std::shared_ptr<Ticker> with, NewTls secure)
            : acceptor(std::move(on)), ticker(std::move(with)), new_tls(std::move(secure)) {}
        Acceptor acceptor;
        std::shared_ptr<Ticker> ticker;
        NewTls new_tls;
    };
    static Task<Result<std::unique_ptr<Stream>>> accept_on(std::shared_ptr<State> on);

    std::shared_ptr<State> state_;
    std::uint16_t port_;
};

Task<Result<std::unique_ptr<Stream>>> RealListener::accept_on(std::shared_ptr<State> on) {
    for (;;) {
        if (!on->acceptor.is_open()) co_return fail(Code::kClosed, "the listener is closed");
        tcp::endpoint peer;
        Socket socket(on->acceptor.get_executor());
        const auto [error] = co_await on->acceptor.async_accept(socket, peer, kAwait);
        if (!on->acceptor.is_open()) co_return fail(Code::kClosed, "the listener is closed");
        if (error == asio::error::connection_aborted) continue;  // it left while it queued
        if (error) co_return os_error(error.value(), "accept");
        prepare(socket);
        auto connection = std::make_shared<Connection>(std::move(socket), on->ticker);
        const bool is_ip = peer.data()->sa_family == AF_INET || peer.data()->sa_family == AF_INET6;
        connection->peer = is_ip ? to_text(peer) : "unix";
        if (on->new_tls == nullptr) co_return make_plain_stream(std::move(connection));
        co_return make_tls_stream(std::move(connection), on->new_tls());
    }
}

Socket adopt(LoopExecutor loop, Fd fd) {
    Socket socket(loop);
    socket.assign(tcp::v4(), fd.release());
    prepare(socket);
    return socket;
}

Task<Result<ConnectionPtr>> connect_socket(LoopExecutor loop, std::shared_ptr<Ticker> ticker,
                                           std::string address, Time deadline) {
    CO_TRY_ASSIGN(const tcp::endpoint endpoint, parse_address(address));
    if (steady_now() >= deadline) co_return fail(Code::kTimeout, "connecting to " + address);
    Socket socket(loop);
    ErrorCode opened;
    socket.open(endpoint.protocol(), opened);
    if (opened) co_return os_error(opened.value(), "connect to " + address);
    prepare(socket);
    auto connection = std::make_shared<Connection>(std::move(socket), std::move(ticker));
    connection->peer = to_text(endpoint);
    connection->set_deadline(deadline);
    const auto [error] = co_await connection->socket.async_connect(endpoint, kAwait);
    if (!connection->is_usable()) {
        co_return std::unexpected(connection->explain(error, "connect"));
    }
    if (error) co_return os_error(error.value(), "connect to " + address);
    connection->set_deadline(Time::never());
    co_return connection;
}

Task<Result<std::unique_ptr<Stream>>> connect_plain(LoopExecutor loop,
                                                    std::shared_ptr<Ticker> ticker,
                                                    std::string address, Time deadline) {
    if (const auto path = unix_path(address)) {
        CO_TRY_ASSIGN(Fd connected_fd, connect_unix(*path));
        co_return make_plain_stream(
            std::make_shared<Connection>(adopt(loop, std::move(connected_fd)), std::move(ticker)));
    }
    auto connected = co_await connect_socket(loop, std::move(ticker), std::move(address), deadline);
    CO_TRY_ASSIGN(auto connection, std::move(connected));
    co_return make_plain_stream(std::move(connection));
}

Task<Result<std::unique_ptr<Stream>>> connect_secure(LoopExecutor loop,
                                                     std::shared_ptr<Ticker> ticker, SslPtr ssl,
                                                     std::string address, Time deadline) {
    auto connected = co_await connect_socket(loop, std::move(ticker), std::move(address), deadline);
    CO_TRY_ASSIGN(auto connection, std::move(connected));
    connection->set_deadline(deadline);
    auto secured = co_await handshake(connection, std::move(ssl));
    if (secured) connection->set_deadline(Time::never());
    co_return secured;
}

class RealNetwork final : public Network {
  public:
    explicit RealNetwork(asio::io_context& loop)
        : loop_(loop.get_executor()), ticker_(std::make_shared<Ticker>(loop)) {}

    Result<std::unique_ptr<Listener>> listen(std::string address, TlsServer* tls) override;
    Task<Result<std::unique_ptr<Stream>>> connect(std::string address, Time deadline) override {
        return connect_plain(loop_, ticker_, std::move(address), deadline);
    }
    Task<Result<std::unique_ptr<Stream>>> connect_tls(TlsTarget target, Time deadline) override;
    Result<std::unique_ptr<Listener>> listen_nodes(std::string address,
                                                   std::shared_ptr<const NodeTls> tls) override;
    Task<Result<std::unique_ptr<Stream>>> connect_node(std::string address,
                                                       std::shared_ptr<const NodeTls> tls,
                                                       Time deadline) override;
    Result<std::unique_ptr<TlsServer>> load_tls(std::string cert_path,
                                                std::string key_path) override {
        return RealTlsServer::load(std::move(cert_path), std::move(key_path));
    }

  private:
    Result<std::unique_ptr<Listener>> listen_tcp(const std::string& address, NewTls new_tls);
    Result<SSL_CTX*> client_context(const TlsTarget& target);
    Result<SSL_CTX*> node_context(const std::shared_ptr<const NodeTls>& tls);

    LoopExecutor loop_;
    std::shared_ptr<Ticker> ticker_;
    // Settings of the last connect_tls(): callers rarely change them, and a bundle is slow to read.
    bool client_verify_ = false;
    std::string client_ca_path_;
    SslContextPtr client_context_;
    // Of the last connect_node().
    std::shared_ptr<const NodeTls> node_tls_;
    SslContextPtr node_context_;
};

Result<std::unique_ptr<Listener>> RealNetwork::listen(std::string address, TlsServer* tls) {
    if (const auto path = unix_path(address)) {
        TRY_ASSIGN(Fd fd, listen_unix(*path, kBacklog));
        Acceptor acceptor(loop_);
        acceptor.assign(tcp::v4(), fd.release());
        return std::make_unique<RealListener>(std::move(acceptor), 0, ticker_, nullptr);
    }
    if (tls == nullptr) return listen_tcp(address, nullptr);
    auto* const secure = dynamic_cast<RealTlsServer*>(tls);
    HAMSTER_ASSERT(secure != nullptr);  // one of another world
    return listen_tcp(address, [secure] { return secure->accept(); });
}

Result<std::unique_ptr<Listener>> RealNetwork::listen_nodes(std::string address,
                                                            std::shared_ptr<const NodeTls> tls) {
    HAMSTER_ASSERT(tls != nullptr);
    TRY_ASSIGN(SslContextPtr made, make_node_server_context(*tls));
    const std::shared_ptr<SSL_CTX> context(std::move(made));
    return listen_tcp(address, [context] { return accept_node(context.get()); });
}

Result<std::unique_ptr<Listener>> RealNetwork::listen_tcp(const std::string& address,
                                                          NewTls new_tls) {
    TRY_ASSIGN(tcp::endpoint endpoint, parse_address(address));
    Acceptor acceptor(loop_);
    ErrorCode error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(Acceptor::reuse_address(true), error);
    if (!error) acceptor.set_option(ReusePort(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(kBacklog, error);
    if (!error) endpoint = acceptor.local_endpoint(error);
    if (error) return os_error(error.value(), "listen on " + address);
    return std::make_unique<RealListener>(std::move(acceptor), endpoint.port(), ticker_,
                                          std::move(new_tls));
}

Result<SSL_CTX*> RealNetwork::client_context(const TlsTarget& target) {
    const bool known = client_context_ != nullptr && client_verify_ == target.verify &&
                       client_ca_path_ == target.ca_path;
    if (!known) {
        TRY_ASSIGN(client_context_, make_client_context(target.verify, target.ca_path));
        client_verify_ = target.verify;
        client_ca_path_ = target.ca_path;
    }
    return client_context_.get();
}

Task<Result<std::unique_ptr<Stream>>> RealNetwork::connect_tls(TlsTarget target, Time deadline) {
    CO_TRY_ASSIGN(SSL_CTX* const context, client_context(target));
    CO_TRY_ASSIGN(SslPtr ssl, make_client(context, target.server_name, target.verify));
    auto stream = co_await connect_secure(loop_, ticker_, std::move(ssl), std::move(target.address),
                                          deadline);
    co_return stream;
}

Result<SSL_CTX*> RealNetwork::node_context(const std::shared_ptr<const NodeTls>& tls) {
    HAMSTER_ASSERT(tls != nullptr);
    if (node_tls_ != tls) {
        TRY_ASSIGN(SslContextPtr fresh, make_node_client_context(*tls));
        node_context_ = std::move(fresh);
        node_tls_ = tls;
    }
    return node_context_.get();
}

Task<Result<std::unique_ptr<Stream>>> RealNetwork::connect_node(std::string address,
                                                                std::shared_ptr<const NodeTls> tls,
                                                                Time deadline) {
    CO_TRY_ASSIGN(SSL_CTX* const context, node_context(tls));
    auto stream =
        co_await connect_secure(loop_, ticker_, call_node(context), std::move(address), deadline);
    co_return stream;
}

}  // namespace

std::unique_ptr<Network> make_network(asio::io_context& loop) {
    return std::make_unique<RealNetwork>(loop);
}

}  // namespace hamster::runtime::real
