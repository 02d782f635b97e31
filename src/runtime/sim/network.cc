#include "runtime/sim/network.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <utility>

#include "base/assert.h"
#include "runtime/sim/connection.h"

namespace hamster::runtime::sim {

namespace {

// Connections a listener keeps before it refuses more.
constexpr std::size_t kBacklog = 4096;

}  // namespace

class SimListener final : public Listener {
  public:
    // `tls` is null for plain connections.
    SimListener(std::shared_ptr<NetworkState> net, std::string machine, std::uint32_t incarnation,
                std::shared_ptr<const NodeTls> tls)
        : net_(std::move(net)),
          machine_(std::move(machine)),
          incarnation_(incarnation),
          tls_(std::move(tls)) {}
    SimListener(const SimListener&) = delete;
    SimListener& operator=(const SimListener&) = delete;
    ~SimListener() override { close(); }

    Result<void> listen(const std::string& address) {
        TRY_ASSIGN(port_, net_->add_listener(this, machine_, address));
        return {};
    }
    Task<Result<std::unique_ptr<Stream>>> accept() override {
        while (queue_.empty() && !closed_) {
            co_await waiters_.wait();
        }
        if (closed_) co_return fail(Code::kClosed, "the listener is closed");
        auto stream = std::move(queue_.front());
        queue_.pop_front();
        net_->trace("accepted", port_);
        co_return std::move(stream);
    }
    void close() override {
        if (std::exchange(closed_, true)) return;
        net_->remove_listener(this);
        queue_.clear();
        waiters_.wake_all();
    }
    std::uint16_t port() const override { return port_; }

    [[nodiscard]] bool is_for_nodes() const { return tls_ != nullptr; }
    [[nodiscard]] bool offer(const ConnectionPtr& connection) {
        if (queue_.size() >= kBacklog) return false;
        connection->ends[1].machine = machine_;
        connection->ends[1].incarnation = incarnation_;
        connection->ends[1].tls = tls_;
        queue_.push_back(make_stream(net_, connection, 1));
        waiters_.wake_one();
        return true;
    }

  private:
    std::shared_ptr<NetworkState> net_;
    std::string machine_;
    std::uint32_t incarnation_;
    std::shared_ptr<const NodeTls> tls_;
    std::uint16_t port_ = 0;
    bool closed_ = false;
    std::deque<std::unique_ptr<Stream>> queue_;
    WaiterList waiters_;
};

namespace {

// Who connects.
struct Caller {
    std::string name;  // machine:port
    std::string machine;
    std::uint32_t incarnation;
    std::shared_ptr<const NodeTls> tls;  // null: plainly
};

// Takes the time of a round trip to `address`; longer, while a link on the way is cut.
Task<Result<void>> reach(std::shared_ptr<NetworkState> net, std::string from, std::string address,
                         Time deadline) {
    for (;;) {
        const std::string to = net->machine_of(address);
        const Micros there = net->latency(from, to);
        const Time answered = net->now() + there + net->latency(to, from);
        co_await net->sleep(std::min(answered, deadline) - net->now());
        if (net->now() >= deadline) co_return fail(Code::kTimeout, "connecting to " + address);
        if (!net->is_cut(from, to) && !net->is_cut(to, from)) co_return Result<void>();
        if (deadline != Time::never()) {
            net->at(deadline, [net] { net->links_changed().wake_all(); });
        }
        while ((net->is_cut(from, to) || net->is_cut(to, from)) && net->now() < deadline) {
            co_await net->links_changed().wait();
        }
    }
}

Task<Result<std::unique_ptr<Stream>>> connect_to(std::shared_ptr<NetworkState> net, Caller caller,
                                                 std::string address, Time deadline) {
    auto reached = co_await reach(net, caller.machine, address, deadline);
    CO_TRY(std::move(reached));
    SimListener* const listener = net->find_listener(address);
    auto connection = std::make_shared<Connection>();
    const bool for_nodes = caller.tls != nullptr;
    // One side would talk plainly and the other not: both fail.
    const bool unlike = listener != nullptr && listener->is_for_nodes() != for_nodes;
    if (unlike) connection->reset_now();
    connection->ends[0].name = std::move(caller.name);
    connection->ends[0].machine = std::move(caller.machine);
    connection->ends[0].incarnation = caller.incarnation;
    connection->ends[0].tls = std::move(caller.tls);
    connection->ends[1].name = address;
    if (listener == nullptr || !listener->offer(connection)) {
        co_return fail(Code::kUnavailable, address + " refuses connections");
    }
    if (unlike) co_return fail(Code::kClosed, address + " speaks TLS or not, unlike us");
    net->add_connection(connection);
    net->trace("connected", caller.incarnation);
    auto stream = make_stream(net, connection, 0);
    if (for_nodes) {
        auto shaken = co_await begin_handshake(net.get(), connection, deadline);
        CO_TRY(std::move(shaken));
    }
    co_return stream;
}

class SimNetwork final : public Network {
  public:
    SimNetwork(std::shared_ptr<NetworkState> state, std::string machine, std::uint32_t incarnation)
        : state_(std::move(state)), machine_(std::move(machine)), incarnation_(incarnation) {}

    Result<std::unique_ptr<Listener>> listen(std::string address, TlsServer* tls) override {
        if (tls != nullptr) return fail(Code::kUnsupported, "no TLS in simulation");
        return listen_as(address, nullptr);
    }
    Task<Result<std::unique_ptr<Stream>>> connect(std::string address, Time deadline) override {
        return connect_to(state_, caller(nullptr), std::move(address), deadline);
    }
    Result<std::unique_ptr<Listener>> listen_nodes(std::string address,
                                                   std::shared_ptr<const NodeTls> tls) override {
        HAMSTER_ASSERT(tls != nullptr);
        if (tls->certificate.empty()) {
            return fail(Code::kInvalid, "listening for nodes takes a certificate");
        }
        return listen_as(address, std::move(tls));
    }
    Task<Result<std::unique_ptr<Stream>>> connect_node(std::string address,
                                                       std::shared_ptr<const NodeTls> tls,
                                                       Time deadline) override {
        HAMSTER_ASSERT(tls != nullptr);
        return connect_to(state_, caller(std::move(tls)), std::move(address), deadline);
    }
    Result<std::unique_ptr<TlsServer>> load_tls(std::string, std::string) override {
        return fail(Code::kUnsupported, "no TLS in simulation");
    }

  private:
    Result<std::unique_ptr<Listener>> listen_as(const std::string& address,
                                                std::shared_ptr<const NodeTls> tls) {
        auto listener =
            std::make_unique<SimListener>(state_, machine_, incarnation_, std::move(tls));
        TRY(listener->listen(address));
        return listener;
    }
    Caller caller(std::shared_ptr<const NodeTls> tls) {
        return {.name = machine_ + ":" + std::to_string(next_port_++),
                .machine = machine_,
                .incarnation = incarnation_,
                .tls = std::move(tls)};
    }

    std::shared_ptr<NetworkState> state_;
    std::string machine_;
    std::uint32_t incarnation_;
    std::uint32_t next_port_ = 50000;
};

}  // namespace

std::unique_ptr<Network> make_network(std::shared_ptr<NetworkState> state, std::string machine,
                                      std::uint32_t incarnation) {
    return std::make_unique<SimNetwork>(std::move(state), std::move(machine), incarnation);
}

Result<std::uint16_t> NetworkState::add_listener(SimListener* listener, std::string machine,
                                                 const std::string& address) {
    const auto colon = address.rfind(':');
    std::uint16_t port = 0;
    const char* const end = address.data() + address.size();
    if (colon == std::string::npos ||
        std::from_chars(address.data() + colon + 1, end, port).ptr != end) {
        return fail(Code::kInvalid, address + " is not ip:port");
    }
    if (port == 0) port = next_port_++;
    std::string exact = address.substr(0, colon + 1) + std::to_string(port);
    for (const Place& place : listeners_) {
        if (place.address == exact && place.machine != machine) {
            return fail(Code::kConflict, exact + " is in use");
        }
    }
    homes_[exact] = machine;
    listeners_.push_back({std::move(machine), std::move(exact), listener});
    return port;
}

void NetworkState::remove_listener(SimListener* listener) {
    std::erase_if(listeners_, [=](const Place& place) { return place.listener == listener; });
}

SimListener* NetworkState::find_listener(const std::string& address) {
    std::vector<SimListener*> found;
    for (const Place& place : listeners_) {
        const std::string port = place.address.substr(place.address.rfind(':'));
        if (place.address == address || place.machine + port == address) {
            found.push_back(place.listener);
        }
    }
    return found.empty() ? nullptr : found[random().below(found.size())];
}

void NetworkState::add_connection(const ConnectionPtr& connection) {
    std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
    connections_.push_back(connection);
}

std::string NetworkState::machine_of(const std::string& address) const {
    const auto home = homes_.find(address);
    return home != homes_.end() ? home->second : address.substr(0, address.rfind(':'));
}

std::vector<ConnectionPtr> NetworkState::live_connections() const {
    std::vector<ConnectionPtr> live;
    for (const auto& weak : connections_) {
        if (auto connection = weak.lock()) live.push_back(std::move(connection));
    }
    return live;
}

void NetworkState::crash(std::uint32_t incarnation) {
    for (const ConnectionPtr& connection : live_connections()) {
        for (const std::size_t side : {0U, 1U}) {
            if (connection->ends[side].incarnation != incarnation) continue;
            send_reset(*this, connection, side);
            break;  // once, even if it was connected to itself
        }
    }
}

void NetworkState::set_link(const std::string& from, const std::string& to,
                            const LinkFaults& faults) {
    HAMSTER_ASSERT(from != to, from);
    HAMSTER_ASSERT(faults.extra_latency >= Micros(0), from, to);
    trace("link " + from + " " + to,
          mix64(static_cast<std::uint64_t>(faults.extra_latency.count()) ^
                mix64(faults.reset_ppm * 2ULL + (faults.cut ? 1 : 0))));
    const bool was_cut = is_cut(from, to);
    const Time since = horizon(from, to);
    links_[{from, to}] = {faults, was_cut && faults.cut ? since : now()};
    if (!was_cut || faults.cut) return;
    for (const ConnectionPtr& connection : live_connections()) {
        for (const std::size_t side : {0U, 1U}) {
            const bool concerned =
                connection->ends[side].machine == to && connection->ends[1 - side].machine == from;
            if (concerned) release_held(*this, connection, side, since);
        }
    }
    links_changed_.wake_all();
}

void NetworkState::heal_links() {
    for (const auto& [ends, link] : links_) set_link(ends.first, ends.second, {});
    links_.clear();
}

void NetworkState::reset_connections(const std::string& a, const std::string& b) {
    trace("reset " + a, mix_text(0, b));
    for (const ConnectionPtr& connection : live_connections()) {
        const std::string& first = connection->ends[0].machine;
        const std::string& second = connection->ends[1].machine;
        const bool concerned = (first == a && second == b) || (first == b && second == a);
        if (concerned) connection->reset_now();
    }
}

const NetworkState::Link* NetworkState::find_link(const std::string& from,
                                                  const std::string& to) const {
    if (links_.empty()) return nullptr;  // nearly always
    const auto link = links_.find({from, to});
    return link == links_.end() ? nullptr : &link->second;
}

bool NetworkState::is_cut(const std::string& from, const std::string& to) const {
    const Link* const link = find_link(from, to);
    return link != nullptr && link->faults.cut;
}

Time NetworkState::horizon(const std::string& from, const std::string& to) const {
    const Link* const link = find_link(from, to);
    return link != nullptr && link->faults.cut ? link->since : now();
}

Micros NetworkState::latency(const std::string& from, const std::string& to) {
    const Link* const link = find_link(from, to);
    return latency() + (link == nullptr ? Micros(0) : link->faults.extra_latency);
}

bool NetworkState::draw_reset(const std::string& from, const std::string& to) {
    const Link* const link = find_link(from, to);
    if (link == nullptr || link->faults.reset_ppm == 0) return false;
    const bool drawn = random().below(1'000'000) < link->faults.reset_ppm;
    if (drawn) trace("link reset " + from, mix_text(0, to));
    return drawn;
}

Micros NetworkState::latency() {
    const auto most = static_cast<std::uint64_t>(std::max<std::int64_t>(faults_.max_latency_us, 1));
    return Micros(1 + static_cast<std::int64_t>(random().below(most)));
}

bool NetworkState::draw_reset() {
    return faults_.reset_ppm != 0 && random().below(1'000'000) < faults_.reset_ppm;
}

}  // namespace hamster::runtime::sim
