#include "runtime/sim/network.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>

#include "base/assert.h"

namespace hamster::runtime::sim {

namespace {

// Bytes one direction of a connection holds before its writer must wait.
constexpr std::size_t kInFlightLimit = 256 * 1024;
// Connections a listener keeps before it refuses more.
constexpr std::size_t kBacklog = 4096;
// A write is cut into segments of at most this many bytes, each with its own latency.
constexpr std::size_t kSegment = 64 * 1024;

struct Segment {
    Time arrives;
    std::string data;
};

// One direction.
struct Pipe {
    std::deque<Segment> segments;
    std::size_t taken = 0;      // bytes of the first segment that were read
    std::size_t in_flight = 0;  // bytes written and not yet read
    std::optional<Time> end;    // when the reader learns that nothing more comes
    Time last_arrival{};
};

struct End {
    std::string name;  // address:port, as the peer sees it
    std::uint32_t incarnation = 0;
    bool closed = false;
    Time deadline = Time::never();
    Time alarm = Time::never();  // the earliest timer under way for the deadline
    WaiterList waiters;          // its reader and its writer: both look again when woken
};

}  // namespace

struct Connection : std::enable_shared_from_this<Connection> {
    std::array<End, 2> ends;
    std::array<Pipe, 2> pipes;  // pipes[i] carries what ends[i] reads
    bool reset = false;

    void wake_both() {
        ends[0].waiters.wake_all();
        ends[1].waiters.wake_all();
    }
    void reset_now() {
        reset = true;
        wake_both();
    }
};

namespace {

using ConnectionPtr = std::shared_ptr<Connection>;

std::unexpected<Error> reset_error() { return fail(Code::kClosed, "the connection was reset"); }

// What stops an operation of this end, if anything does.
std::optional<Error> obstacle(const NetworkState& net, const Connection& on, std::size_t side) {
    const End& self = on.ends[side];
    if (self.closed) return Error{Code::kClosed, "the stream is closed"};
    if (on.reset) return reset_error().error();
    if (net.now() >= self.deadline) return Error{Code::kTimeout, "the deadline has passed"};
    return std::nullopt;
}

// Bytes this end could read now, without limit.
std::size_t arrived(const Pipe& pipe, Time now) {
    std::size_t n = 0;
    for (const Segment& segment : pipe.segments) {
        if (segment.arrives > now) break;
        n += segment.data.size();
    }
    return n - (n == 0 ? 0 : pipe.taken);
}

void take(Pipe& pipe, MutableBytes out) {
    pipe.in_flight -= out.size();
    while (!out.empty()) {
        Segment& first = pipe.segments.front();
        const std::size_t n = std::min(out.size(), first.data.size() - pipe.taken);
        std::memcpy(out.data(), first.data.data() + pipe.taken, n);
        out = out.subspan(n);
        pipe.taken += n;
        if (pipe.taken == first.data.size()) {
            pipe.segments.pop_front();
            pipe.taken = 0;
        }
    }
}

// Wakes one end at `time`, unless the connection is gone by then.
void wake_at(NetworkState& net, const ConnectionPtr& on, std::size_t side, Time time) {
    net.at(time, [weak = std::weak_ptr(on), side] {
        if (const auto connection = weak.lock()) connection->ends[side].waiters.wake_all();
    });
}

// Keeps one timer under way while a deadline is set; a later deadline re-arms when it fires.
void arm_deadline(NetworkState* net, const ConnectionPtr& on, std::size_t side) {
    End& self = on->ends[side];
    if (self.deadline == Time::never() || self.closed || self.alarm <= self.deadline) return;
    self.alarm = self.deadline;
    net->at(self.deadline, [net, weak = std::weak_ptr(on), side] {
        const auto connection = weak.lock();
        if (connection == nullptr) return;
        End& end = connection->ends[side];
        end.alarm = Time::never();
        end.waiters.wake_all();
        arm_deadline(net, connection, side);
    });
}

Time next_arrival(NetworkState& net, Pipe& pipe) {
    pipe.last_arrival = std::max(pipe.last_arrival, net.now() + net.latency());
    return pipe.last_arrival;
}

void finish_writing(NetworkState& net, const ConnectionPtr& on, std::size_t side) {
    Pipe& out = on->pipes[1 - side];
    if (out.end.has_value()) return;
    out.end = next_arrival(net, out);
    wake_at(net, on, 1 - side, *out.end);
}

Task<Result<std::size_t>> read_from(NetworkState* net, ConnectionPtr on, std::size_t side,
                                    MutableBytes out) {
    if (net->draw_reset()) on->reset_now();
    for (;;) {
        if (auto error = obstacle(*net, *on, side)) co_return std::unexpected(*error);
        if (out.empty()) co_return std::size_t{0};
        Pipe& in = on->pipes[side];
        const std::size_t limit = std::min(arrived(in, net->now()), out.size());
        if (limit > 0) {
            // A third of the reads get everything, the others any part.
            std::size_t n = limit;
            if (net->random().below(3) != 0) n = 1 + net->random().below(limit);
            take(in, out.first(n));
            on->ends[1 - side].waiters.wake_all();
            net->trace("received", n);
            co_return n;
        }
        if (in.segments.empty() && in.end.has_value() && *in.end <= net->now()) {
            co_return std::size_t{0};
        }
        co_await on->ends[side].waiters.wait();
    }
}

Task<Result<void>> write_to(NetworkState* net, ConnectionPtr on, std::size_t side,
                            std::vector<Bytes> pieces) {
    if (net->draw_reset()) on->reset_now();
    for (const Bytes whole : pieces) {
        Bytes rest = whole;
        while (!rest.empty()) {
            if (auto error = obstacle(*net, *on, side)) co_return std::unexpected(*error);
            if (on->ends[1 - side].closed) co_return reset_error();
            Pipe& out = on->pipes[1 - side];
            HAMSTER_ASSERT(!out.end.has_value());  // nothing is written after shutdown()
            if (out.in_flight >= kInFlightLimit) {
                co_await on->ends[side].waiters.wait();
                continue;
            }
            const std::size_t n = std::min({rest.size(), kInFlightLimit - out.in_flight,
                                            kSegment - net->random().below(kSegment / 2)});
            out.segments.push_back(
                {next_arrival(*net, out), std::string(base::as_text(rest.first(n)))});
            out.in_flight += n;
            wake_at(*net, on, 1 - side, out.last_arrival);
            rest = rest.subspan(n);
        }
    }
    if (auto error = obstacle(*net, *on, side)) co_return std::unexpected(*error);
    co_return Result<void>();
}

Task<void> shut_down(NetworkState* net, ConnectionPtr on, std::size_t side) {
    if (!on->reset && !on->ends[side].closed) finish_writing(*net, on, side);
    co_return;
}

void close_end(NetworkState& net, const ConnectionPtr& on, std::size_t side) {
    End& self = on->ends[side];
    if (self.closed) return;
    self.closed = true;
    self.waiters.wake_all();
    if (WaiterRegistry::abandoning() || on->reset) return;  // the crash resets it
    if (on->pipes[side].in_flight > 0) {
        // Closing with unread bytes resets, as TCP does.
        net.at(net.now() + net.latency(), [on] { on->reset_now(); });
    } else {
        finish_writing(net, on, side);
        // A writer that waits for room learns it too.
        wake_at(net, on, 1 - side, on->pipes[1 - side].last_arrival);
    }
}

class SimStream final : public Stream {
  public:
    SimStream(std::shared_ptr<NetworkState> net, ConnectionPtr on, std::size_t side)
        : net_(std::move(net)), connection_(std::move(on)), side_(side) {}
    SimStream(const SimStream&) = delete;
    SimStream& operator=(const SimStream&) = delete;
    ~SimStream() override { close_end(*net_, connection_, side_); }

    Task<Result<std::size_t>> read_some(MutableBytes out) override {
        return read_from(net_.get(), connection_, side_, out);
    }
    Task<Result<void>> write(std::vector<Bytes> pieces) override {
        return write_to(net_.get(), connection_, side_, std::move(pieces));
    }
    void set_deadline(Time deadline) override {
        connection_->ends[side_].deadline = deadline;
        arm_deadline(net_.get(), connection_, side_);
    }
    Task<void> shutdown() override { return shut_down(net_.get(), connection_, side_); }
    void close() override { close_end(*net_, connection_, side_); }
    std::string peer() const override { return connection_->ends[1 - side_].name; }

  private:
    std::shared_ptr<NetworkState> net_;
    ConnectionPtr connection_;
    std::size_t side_;
};

}  // namespace

class SimListener final : public Listener {
  public:
    SimListener(std::shared_ptr<NetworkState> net, std::uint32_t incarnation)
        : net_(std::move(net)), incarnation_(incarnation) {}
    SimListener(const SimListener&) = delete;
    SimListener& operator=(const SimListener&) = delete;
    ~SimListener() override { close(); }

    Result<void> listen(const std::string& machine, const std::string& address) {
        TRY_ASSIGN(port_, net_->add_listener(this, machine, address));
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

    [[nodiscard]] bool offer(const ConnectionPtr& connection) {
        if (queue_.size() >= kBacklog) return false;
        connection->ends[1].incarnation = incarnation_;
        queue_.push_back(std::make_unique<SimStream>(net_, connection, 1));
        waiters_.wake_one();
        return true;
    }

  private:
    std::shared_ptr<NetworkState> net_;
    std::uint32_t incarnation_;
    std::uint16_t port_ = 0;
    bool closed_ = false;
    std::deque<std::unique_ptr<Stream>> queue_;
    WaiterList waiters_;
};

namespace {

Task<Result<std::unique_ptr<Stream>>> connect_to(std::shared_ptr<NetworkState> net,
                                                 std::string from, std::uint32_t incarnation,
                                                 std::string address, Time deadline) {
    const Time answered = net->now() + net->latency() + net->latency();
    co_await net->sleep(std::min(answered, deadline) - net->now());
    if (net->now() >= deadline) co_return fail(Code::kTimeout, "connecting to " + address);
    SimListener* const listener = net->find_listener(address);
    auto connection = std::make_shared<Connection>();
    connection->ends[0].name = std::move(from);
    connection->ends[0].incarnation = incarnation;
    connection->ends[1].name = address;
    if (listener == nullptr || !listener->offer(connection)) {
        co_return fail(Code::kUnavailable, address + " refuses connections");
    }
    net->add_connection(connection);
    net->trace("connected", incarnation);
    co_return std::make_unique<SimStream>(net, connection, 0);
}

class SimNetwork final : public Network {
  public:
    SimNetwork(std::shared_ptr<NetworkState> state, std::string machine, std::uint32_t incarnation)
        : state_(std::move(state)), machine_(std::move(machine)), incarnation_(incarnation) {}

    Result<std::unique_ptr<Listener>> listen(std::string address, TlsServer* tls) override {
        if (tls != nullptr) return fail(Code::kUnsupported, "no TLS in simulation");
        auto listener = std::make_unique<SimListener>(state_, incarnation_);
        TRY(listener->listen(machine_, address));
        return listener;
    }
    Task<Result<std::unique_ptr<Stream>>> connect(std::string address, Time deadline) override {
        const std::string from = machine_ + ":" + std::to_string(next_port_++);
        return connect_to(state_, from, incarnation_, std::move(address), deadline);
    }
    Result<std::unique_ptr<TlsServer>> load_tls(std::string, std::string) override {
        return fail(Code::kUnsupported, "no TLS in simulation");
    }

  private:
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

void NetworkState::add_connection(const std::shared_ptr<Connection>& connection) {
    std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
    connections_.push_back(connection);
}

void NetworkState::crash(std::uint32_t incarnation) {
    for (const auto& weak : connections_) {
        const auto connection = weak.lock();
        if (connection == nullptr) continue;
        const bool concerned = std::ranges::any_of(
            connection->ends, [=](const End& end) { return end.incarnation == incarnation; });
        if (concerned) at(now() + latency(), [connection] { connection->reset_now(); });
    }
}

Micros NetworkState::latency() {
    const auto most = static_cast<std::uint64_t>(std::max<std::int64_t>(faults_.max_latency_us, 1));
    return Micros(1 + static_cast<std::int64_t>(random().below(most)));
}

bool NetworkState::draw_reset() {
    return faults_.reset_ppm != 0 && random().below(1'000'000) < faults_.reset_ppm;
}

}  // namespace hamster::runtime::sim
