// One simulated connection: two pipes, two ends, and the streams over them. The fault model is at
// the top of network.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "runtime/sim/scheduler.h"
#include "runtime/world.h"

namespace hamster::runtime::sim {

class NetworkState;

struct Segment {
    Time arrives;
    std::string data;
};

// One direction.
struct Pipe {
    std::deque<Segment> segments;
    std::size_t taken = 0;      // bytes of the first segment that were read
    std::size_t in_flight = 0;  // bytes written and not yet read
    std::optional<Time> hello;  // between nodes: when the reader hears the writer's handshake
    std::optional<Time> end;    // when the reader learns that nothing more comes
    bool holds_reset = false;   // a cut link keeps the reader from learning of a reset
    Time last_arrival{};
};

struct End {
    std::string name;     // address:port, as the peer sees it
    std::string machine;  // or the harness
    std::uint32_t incarnation = 0;
    bool closed = false;
    Time closed_at{};
    bool reset = false;
    std::shared_ptr<const NodeTls> tls;  // what it shows; null: a plain connection
    bool shaken = false;                 // its handshake is done
    Time deadline = Time::never();
    Time alarm = Time::never();  // the earliest timer under way for the deadline
    WaiterList waiters;          // its reader and its writer: both look again when woken
};

struct Connection {
    std::array<End, 2> ends;    // who connected, who accepted
    std::array<Pipe, 2> pipes;  // pipes[i] carries what ends[i] reads

    void reset_now();  // for both ends
};
using ConnectionPtr = std::shared_ptr<Connection>;

std::unique_ptr<Stream> make_stream(std::shared_ptr<NetworkState> net, ConnectionPtr on,
                                    std::size_t side);

// `side` is gone without a close: the other end learns of it, after a latency and once the link
// lets it through.
void send_reset(NetworkState& net, const ConnectionPtr& on, std::size_t side);
// What a cut since `since` has kept from `side` goes on its way.
void release_held(NetworkState& net, const ConnectionPtr& on, std::size_t side, Time since);
// Between nodes, of the end that connected: begins the handshake and waits, until `deadline`, for
// the other end's part, which that gives when it first uses the stream.
Task<Result<void>> begin_handshake(NetworkState* net, ConnectionPtr on, Time deadline);

}  // namespace hamster::runtime::sim
