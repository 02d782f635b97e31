#include "runtime/sim/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/sim/network.h"

namespace hamster::runtime::sim {

void Connection::reset_now() {
    for (End& end : ends) end.reset = true;
    for (End& end : ends) end.waiters.wake_all();
}

namespace {

// Bytes one direction of a connection holds before its writer must wait.
constexpr std::size_t kInFlightLimit = 256 * 1024;
// A write is cut into segments of at most this many bytes, each with its own latency.
constexpr std::size_t kSegment = 64 * 1024;

std::unexpected<Error> reset_error() { return fail(Code::kClosed, "the connection was reset"); }

// What stops an operation of this end, if anything does.
std::optional<Error> obstacle(const NetworkState& net, const Connection& on, std::size_t side) {
    const End& self = on.ends[side];
    if (self.closed) return Error{Code::kClosed, "the stream is closed"};
    if (self.reset) return reset_error().error();
    if (net.now() >= self.deadline) return Error{Code::kTimeout, "the deadline has passed"};
    return std::nullopt;
}

// What arrives later than this has not reached `side` yet.
Time horizon(const NetworkState& net, const Connection& on, std::size_t side) {
    return net.horizon(on.ends[1 - side].machine, on.ends[side].machine);
}

// From `side` to the other end.
bool is_cut(const NetworkState& net, const Connection& on, std::size_t side) {
    return net.is_cut(on.ends[side].machine, on.ends[1 - side].machine);
}

Micros latency_from(NetworkState& net, const Connection& on, std::size_t side) {
    return net.latency(on.ends[side].machine, on.ends[1 - side].machine);
}

// Both ends learn of a reset that began at `side`, unless the link to the other one is cut.
void reset_from(NetworkState& net, const ConnectionPtr& on, std::size_t side) {
    if (!is_cut(net, *on, side)) {
        on->reset_now();
        return;
    }
    on->ends[side].reset = true;
    on->ends[side].waiters.wake_all();
    on->pipes[1 - side].holds_reset = true;
}

// Faults of an operation of `side` on what goes from `from` to the other end.
void draw_resets(NetworkState& net, const ConnectionPtr& on, std::size_t side, std::size_t from) {
    const bool anywhere = net.draw_reset();
    const bool here = net.draw_reset(on->ends[from].machine, on->ends[1 - from].machine);
    if (anywhere || here) reset_from(net, on, side);
}

// Bytes this end could read at `until`, without limit.
std::size_t arrived(const Pipe& pipe, Time until) {
    std::size_t n = 0;
    for (const Segment& segment : pipe.segments) {
        if (segment.arrives > until) break;
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
        // One that has passed needs no second timer: whoever looks later sees it.
        if (end.deadline > net->now()) arm_deadline(net, connection, side);
    });
}

void set_deadline_of(NetworkState* net, const ConnectionPtr& on, std::size_t side, Time deadline) {
    on->ends[side].deadline = deadline;
    arm_deadline(net, on, side);
}

// When what `side` sends now arrives: never before what it sent earlier.
Time next_arrival(NetworkState& net, Connection& on, std::size_t side) {
    Pipe& out = on.pipes[1 - side];
    out.last_arrival = std::max(out.last_arrival, net.now() + latency_from(net, on, side));
    return out.last_arrival;
}

void finish_writing(NetworkState& net, const ConnectionPtr& on, std::size_t side) {
    Pipe& out = on->pipes[1 - side];
    if (out.end.has_value()) return;
    out.end = next_arrival(net, *on, side);
    wake_at(net, on, 1 - side, *out.end);
}

void say_hello(NetworkState& net, const ConnectionPtr& on, std::size_t side) {
    Pipe& out = on->pipes[1 - side];
    if (out.hello.has_value()) return;
    out.hello = next_arrival(net, *on, side);
    wake_at(net, on, 1 - side, *out.hello);
}

Task<Result<void>> shake_hands(NetworkState* net, ConnectionPtr on, std::size_t side) {
    for (;;) {
        if (auto error = obstacle(*net, *on, side)) co_return std::unexpected(*error);
        const End& self = on->ends[side];
        const Pipe& in = on->pipes[side];
        if (self.tls == nullptr || self.shaken) co_return Result<void>();
        const Time until = horizon(*net, *on, side);
        if (in.hello.has_value() && *in.hello <= until) break;
        if (in.end.has_value() && *in.end <= until) {
            co_return fail(Code::kClosed, "the peer closed during the handshake");
        }
        co_await on->ends[side].waiters.wait();
    }
    say_hello(*net, on, side);
    on->ends[side].shaken = true;
    co_return Result<void>();
}

Task<Result<std::size_t>> read_from(NetworkState* net, ConnectionPtr on, std::size_t side,
                                    MutableBytes out) {
    draw_resets(*net, on, side, 1 - side);
    if (on->ends[side].tls != nullptr) {
        auto shaken = co_await shake_hands(net, on, side);
        CO_TRY(std::move(shaken));
    }
    for (;;) {
        if (auto error = obstacle(*net, *on, side)) co_return std::unexpected(*error);
        if (out.empty()) co_return std::size_t{0};
        Pipe& in = on->pipes[side];
        const Time until = horizon(*net, *on, side);
        const std::size_t limit = std::min(arrived(in, until), out.size());
        if (limit > 0) {
            // A third of the reads get everything, the others any part.
            std::size_t n = limit;
            if (net->random().below(3) != 0) n = 1 + net->random().below(limit);
            take(in, out.first(n));
            on->ends[1 - side].waiters.wake_all();
            net->trace("received", n);
            co_return n;
        }
        if (in.segments.empty() && in.end.has_value() && *in.end <= until) {
            co_return std::size_t{0};
        }
        co_await on->ends[side].waiters.wait();
    }
}

bool knows_of_close(const NetworkState& net, const Connection& on, std::size_t side) {
    const End& peer = on.ends[1 - side];
    if (!peer.closed) return false;
    const Time until = horizon(net, on, side);
    return is_cut(net, on, 1 - side) ? peer.closed_at < until : peer.closed_at <= until;
}

Task<Result<void>> write_to(NetworkState* net, ConnectionPtr on, std::size_t side,
                            std::vector<Bytes> pieces) {
    draw_resets(*net, on, side, side);
    if (on->ends[side].tls != nullptr) {
        auto shaken = co_await shake_hands(net, on, side);
        CO_TRY(std::move(shaken));
    }
    for (const Bytes whole : pieces) {
        Bytes rest = whole;
        while (!rest.empty()) {
            if (auto error = obstacle(*net, *on, side)) co_return std::unexpected(*error);
            if (knows_of_close(*net, *on, side)) co_return reset_error();
            Pipe& out = on->pipes[1 - side];
            HAMSTER_ASSERT(!out.end.has_value());  // nothing is written after shutdown()
            if (out.in_flight >= kInFlightLimit) {
                co_await on->ends[side].waiters.wait();
                continue;
            }
            const std::size_t n = std::min({rest.size(), kInFlightLimit - out.in_flight,
                                            kSegment - net->random().below(kSegment / 2)});
            out.segments.push_back(
                {next_arrival(*net, *on, side), std::string(base::as_text(rest.first(n)))});
            out.in_flight += n;
            wake_at(*net, on, 1 - side, out.last_arrival);
            rest = rest.subspan(n);
        }
    }
    if (auto error = obstacle(*net, *on, side)) co_return std::unexpected(*error);
    co_return Result<void>();
}

Task<void> shut_down(NetworkState* net, ConnectionPtr on, std::size_t side) {
    const End& self = on->ends[side];
    if (!self.reset && !self.closed) finish_writing(*net, on, side);
    co_return;
}

void close_end(NetworkState& net, const ConnectionPtr& on, std::size_t side) {
    End& self = on->ends[side];
    if (self.closed) return;
    self.closed = true;
    self.closed_at = net.now();
    self.waiters.wake_all();
    if (WaiterRegistry::abandoning() || self.reset) return;  // the crash resets it
    if (on->pipes[side].in_flight > 0) {
        // Closing with unread bytes resets, as TCP does.
        send_reset(net, on, side);
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
        set_deadline_of(net_.get(), connection_, side_, deadline);
    }
    Task<void> shutdown() override { return shut_down(net_.get(), connection_, side_); }
    void close() override { close_end(*net_, connection_, side_); }
    std::string peer() const override { return connection_->ends[1 - side_].name; }
    bool is_tls() const override { return connection_->ends[side_].tls != nullptr; }
    Task<Result<void>> handshake() override { return shake_hands(net_.get(), connection_, side_); }
    std::vector<std::string> peer_certificates() const override {
        std::vector<std::string> shown;
        if (!connection_->ends[side_].shaken) return shown;
        const NodeTls& peer = *connection_->ends[1 - side_].tls;
        if (peer.certificate.empty()) return shown;
        shown.push_back(peer.certificate);
        if (!peer.ca.empty()) shown.push_back(peer.ca);
        return shown;
    }

  private:
    std::shared_ptr<NetworkState> net_;
    ConnectionPtr connection_;
    std::size_t side_;
};

}  // namespace

std::unique_ptr<Stream> make_stream(std::shared_ptr<NetworkState> net, ConnectionPtr on,
                                    std::size_t side) {
    return std::make_unique<SimStream>(std::move(net), std::move(on), side);
}

void send_reset(NetworkState& net, const ConnectionPtr& on, std::size_t side) {
    net.at(net.now() + latency_from(net, *on, side),
           [to = &net, on, side] { reset_from(*to, on, side); });
}

void release_held(NetworkState& net, const ConnectionPtr& on, std::size_t side, Time since) {
    Pipe& in = on->pipes[side];
    End& sender = on->ends[1 - side];
    const auto is_held = [since](const std::optional<Time>& time) { return time > since; };
    if (std::exchange(in.holds_reset, false)) {
        // What was under way is lost, as without a cut.
        while (!in.segments.empty() && in.segments.back().arrives > since) {
            in.in_flight -= in.segments.back().data.size();
            in.segments.pop_back();
        }
        if (is_held(in.hello)) in.hello.reset();
        if (is_held(in.end)) in.end.reset();
        send_reset(net, on, 1 - side);
        return;
    }
    const bool closed = sender.closed && sender.closed_at >= since;
    if (in.last_arrival <= since && !closed) return;
    const Time arrives = net.now() + latency_from(net, *on, 1 - side);
    for (Segment& segment : in.segments) {
        if (segment.arrives > since) segment.arrives = arrives;
    }
    if (is_held(in.hello)) in.hello = arrives;
    if (is_held(in.end)) in.end = arrives;
    if (closed) sender.closed_at = arrives;
    in.last_arrival = arrives;
    wake_at(net, on, side, arrives);
}

Task<Result<void>> begin_handshake(NetworkState* net, ConnectionPtr on, Time deadline) {
    set_deadline_of(net, on, 0, deadline);
    say_hello(*net, on, 0);
    auto shaken = co_await shake_hands(net, on, 0);
    if (shaken) set_deadline_of(net, on, 0, Time::never());
    co_return shaken;
}

}  // namespace hamster::runtime::sim
