// One connection between two nodes, over any Stream: a greeting, then requests, answers and one-way
// messages in both directions.
//
// - A connection begins with a Hello each way. A side that does not accept the other says why in a
//   Refuse frame, which the other reads, and closes.
// - Many calls are in flight at a time and are answered in any order. Each is answered exactly
// once:
//   with the result, with the peer's error, with kTimeout at its deadline, or with kUnavailable
//   when the connection ends. After kTimeout, and after a kUnavailable that is not immediate, the
//   request may or may not have run.
// - Nothing is queued without bound: what finds no room is refused at once.
// - Damaged bytes, an unknown frame, or a peer that is silent for too long end the connection. An
//   ended connection stays so.
// All of it runs on one loop. Created as a shared_ptr; whoever runs it keeps it until run() ends.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rpc/frame.h"
#include "rpc/handler.h"
#include "rpc/hello.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::rpc {

using StreamPtr = std::unique_ptr<runtime::Stream>;

struct ConnectionLimits {
    // Our calls that have no answer yet.
    std::size_t max_calls = 4096;
    // Frames that the stream has not taken yet, in bytes. Errors and pings may use 2 MiB more; a
    // peer that reads so little that this does not suffice is cut off.
    std::size_t max_queued_bytes = 16UL * 1024 * 1024;
    // Requests of the peer that have no answer yet. Beyond them: kUnavailable.
    std::size_t max_served = 1024;
    std::size_t max_served_bytes = 64UL * 1024 * 1024;
    // From the stream to the end of the greeting.
    runtime::Micros greet_within = std::chrono::seconds(5);
    // After so much silence of the peer a ping is sent, and again; after so much the peer is gone.
    runtime::Micros ping_after = std::chrono::seconds(1);
    runtime::Micros dead_after = std::chrono::seconds(5);
};

// Whose end this is; shared by all connections of a node and outlives them.
struct Endpoint {
    runtime::World* world = nullptr;
    Handler* handler = nullptr;
    base::ClusterId cluster;
    base::NodeId node;
    VersionRange versions{};
    // The node that the transport says is at the other end: what Hello claims must equal it. From
    // the TLS certificate in production, from the claim in simulation.
    std::function<Result<base::NodeId>(runtime::Stream&, const Hello&)> verify{};
    ConnectionLimits limits{};
};

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    // `expected`: the node we dialled; nothing for a connection that was accepted, whose lane is
    // what the peer says. `on_end` is called once, when the connection ends.
    Connection(const Endpoint* endpoint, Lane lane, std::optional<base::NodeId> expected,
               std::function<void(Connection*)> on_end);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    // The life of the connection: waits for the stream, greets, serves until the connection ends
    // and everything it started has finished. Call once.
    runtime::Task<void> run(runtime::Task<Result<StreamPtr>> stream);
    // Ends the connection at once, with `why`; run() then ends as soon as the handlers have.
    void end(Error why);
    // end(), then waits for run().
    runtime::Task<void> stop();

    // The request is queued when call() returns, also before the greeting; the task waits for the
    // answer and does not refer to the connection.
    runtime::Task<Result<std::string>> call(Method method, std::string payload,
                                            runtime::Time deadline);
    // One-way. False when there is no room, or the connection has ended: dropped.
    bool post(Method method, std::string payload);

    // The greeting is done.
    [[nodiscard]] bool is_open() const { return state_ == State::kOpen; }
    // When it became so; of one that is or was open.
    [[nodiscard]] runtime::Time opened_at() const { return opened_at_; }
    // By the other side, not dialled by us.
    [[nodiscard]] bool is_accepted() const { return !expected_; }
    [[nodiscard]] bool has_ended() const { return state_ == State::kEnded; }
    // Why it ended; only then.
    [[nodiscard]] const Error& reason() const { return reason_; }
    // The verified peer; before the greeting the expected one, or zero.
    [[nodiscard]] base::NodeId peer() const { return peer_; }
    [[nodiscard]] Lane lane() const { return lane_; }
    // Of the protocol, as agreed in the greeting; 0 before.
    [[nodiscard]] std::uint16_t version() const { return version_; }
    [[nodiscard]] std::size_t calls_in_flight() const { return calls_.size(); }
    [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_; }

  private:
    enum class State : std::uint8_t { kDialling, kGreeting, kOpen, kEnded };
    enum class Urgency : std::uint8_t { kNormal, kUrgent };
    struct Pending;  // one call of ours
    struct Outgoing {
        FrameHeaderBytes header;
        Frame frame;
    };

    // connection.cc: the life, the clock and our calls.
    [[nodiscard]] runtime::Clock& clock() const { return endpoint_->world->clock; }
    void start(const char* name, runtime::Task<void> task);
    static runtime::Task<Result<std::string>> wait_for(std::shared_ptr<Pending> pending);
    [[nodiscard]] std::optional<Error> obstacle(std::size_t bytes, runtime::Time deadline) const;
    void settle(std::uint64_t call, Result<std::string> answer);
    void expire_calls();
    void keep_alive();
    runtime::Task<void> watch();
    runtime::Task<void> wake_at(runtime::Time time);
    bool enqueue(Frame frame, Urgency urgency);

    // connection_serve.cc: what goes over the stream.
    runtime::Task<Result<void>> greet();
    [[nodiscard]] Hello our_hello() const;
    Result<void> check(const Frame& frame);
    runtime::Task<Result<void>> write_frame(Frame frame);
    runtime::Task<void> refuse(Error why);
    runtime::Task<Result<Frame>> read_frame();
    runtime::Task<void> read_loop();
    runtime::Task<void> write_loop();
    std::vector<Outgoing> take_batch();
    Result<void> handle(Frame frame);
    Result<void> handle_answer(Frame frame);
    Result<void> handle_request(Frame frame);
    runtime::Task<void> serve(Frame request);
    void answer(std::uint64_t call, Result<std::string> result);
    void answer_error(std::uint64_t call, const Error& error);

    const Endpoint* endpoint_;
    Lane lane_;
    std::optional<base::NodeId> expected_;
    std::function<void(Connection*)> on_end_;
    State state_ = State::kDialling;
    Error reason_{Code::kUnavailable, ""};
    base::NodeId peer_;
    std::uint16_t version_ = 0;
    StreamPtr stream_;
    FrameReader reader_;

    std::uint64_t next_call_ = 1;
    std::map<std::uint64_t, std::shared_ptr<Pending>> calls_;
    std::set<std::pair<runtime::Time, std::uint64_t>> deadlines_;  // of calls_
    runtime::Time watch_at_{};  // when the watch looks next; it starts with run()
    runtime::Time alarm_{};     // when expire_calls() runs next, not after watch_at_

    std::deque<Outgoing> outgoing_;
    std::size_t queued_bytes_ = 0;  // of outgoing_ and of what is being written
    runtime::Signal filled_;
    std::size_t served_ = 0;
    std::size_t served_bytes_ = 0;

    runtime::Time greet_until_ = runtime::Time::never();
    runtime::Time opened_at_{};
    runtime::Time heard_{};   // when the last byte arrived
    runtime::Time pinged_{};  // when the last ping was queued

    runtime::Gate gate_;
    bool running_ = false;
    runtime::Event finished_;
};

}  // namespace hamster::rpc
