// A node's conversations with all others: for each peer and lane one outgoing connection, dialled
// when it is needed, and the connections that were accepted.
//
// - A call or post to a peer without a connection dials and is queued meanwhile, under the same
//   limits as on an open connection. If the dial fails, the calls are answered with kUnavailable
//   and the posts are lost.
// - After a failure the next call or post dials again at once; after a second one nothing is
//   dialled for a while, which doubles, and calls and posts are refused at once. A connection that
//   ended soon after its dial counts as a failure. A peer that shows itself meanwhile, on the other
//   lane or by dialling us, is dialled at once.
// - Once a dial has failed, what the peer itself dialled is used instead, while that is open: a
//   node may be heard by one whose address it does not know, or not any more.
// - A node that the handler does not admit is neither called nor served.
// All of it belongs to one loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "rpc/connection.h"
#include "rpc/handler.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::rpc {

class Peers {
  public:
    // Connects to a node, transport security included. Must end in bounded time.
    using Dial = std::function<runtime::Task<Result<StreamPtr>>(base::NodeId, Lane)>;

    // What `endpoint` points to must outlive this.
    Peers(Endpoint endpoint, Dial dial);
    Peers(const Peers&) = delete;
    Peers& operator=(const Peers&) = delete;
    ~Peers();

    // Answered exactly once, see connection.h. The request is queued when this returns, so calls on
    // one connection arrive in the order in which they were made. kDenied: not admitted.
    runtime::Task<Result<std::string>> call(base::NodeId to, Lane lane, Method method,
                                            std::string payload, runtime::Time deadline);
    // One-way, never waits. False when it was dropped here: no room, or the peer is out of reach.
    bool post(base::NodeId to, Lane lane, Method method, std::string payload);
    // Ends every connection with a node at once, in both directions. Only admits() keeps it from
    // coming back.
    void forget(base::NodeId node);
    // Takes over a connection that was accepted.
    void serve(StreamPtr stream);
    // Ends all connections and waits for everything under way: dials and handlers too. Once;
    // nothing is called or served after it.
    runtime::Task<void> stop();

    // Why the last connection to the peer ended, until the next one is open.
    [[nodiscard]] std::optional<Error> trouble(base::NodeId node, Lane lane) const;
    [[nodiscard]] bool is_connected(base::NodeId node, Lane lane) const;
    // Incoming and outgoing, also those that end.
    [[nodiscard]] std::size_t connections() const { return live_.size(); }

  private:
    using Address = std::pair<base::NodeId, Lane>;
    using ConnectionPtr = std::shared_ptr<Connection>;
    // The outgoing side towards one peer, on one lane.
    struct Link {
        ConnectionPtr connection;  // null: none yet
        runtime::Time dialled_at{};
        runtime::Time ended_at{};  // the last connection
        runtime::Time retry_at{};  // nothing is dialled before
        int failures = 0;          // in a row
        std::optional<Error> trouble;
    };

    [[nodiscard]] runtime::Time now() const { return endpoint_.world->clock.now(); }
    // A connection to queue on, or why there is none.
    Result<ConnectionPtr> reach(base::NodeId to, Lane lane);
    // One that is open and was accepted; null: there is none.
    [[nodiscard]] ConnectionPtr accepted_from(base::NodeId node, Lane lane) const;
    // A connection with the node, on any lane and dialled by anyone, was opened after that.
    [[nodiscard]] bool has_appeared(base::NodeId node, runtime::Time since) const;
    void run(ConnectionPtr connection, runtime::Task<Result<StreamPtr>> stream);
    static runtime::Task<void> drive(Peers* peers, std::uint64_t serial, ConnectionPtr connection,
                                     runtime::Task<Result<StreamPtr>> stream);
    void ended(Connection* connection);
    runtime::Micros back_off(int failures);

    Endpoint endpoint_;
    Dial dial_;
    std::map<Address, Link> links_;
    std::map<std::uint64_t, ConnectionPtr> live_;  // by age: all whose run() has not ended
    std::uint64_t next_serial_ = 0;
    std::size_t accepted_ = 0;  // of live_
    bool stopping_ = false;
    runtime::Gate gate_;
};

}  // namespace hamster::rpc
