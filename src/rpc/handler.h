// What nodes say to each other through rpc, and what a node does with what it hears.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "runtime/task.h"

namespace hamster::rpc {

// What a request asks for. The rooms above give the numbers their names; a number is never reused.
enum class Method : std::uint16_t {};

// Two connections to each peer, so that a bulky answer never delays a heartbeat.
enum class Lane : std::uint8_t { kControl = 1, kBulk = 2 };

// Called on the loop of the connections. Outlives them.
class Handler {
  public:
    virtual ~Handler() = default;
    // Answers a request of a verified peer: the payload of the answer, at most kMaxPayload, or an
    // error, whose code and (shortened) context the peer gets. Must end by itself in bounded time:
    // stop() waits for it.
    virtual runtime::Task<Result<std::string>> on_call(base::NodeId from, Method method,
                                                       std::string payload) = 0;
    // A one-way message; may have been lost or, between two connections, overtaken. Must not wait.
    virtual void on_post(base::NodeId from, Method method, std::string payload) = 0;
    // May this node talk to us now? Asked at the beginning of each connection, for every request
    // and post it sends and for every one that we send to it.
    virtual bool admits(base::NodeId node) = 0;
    // A connection with the node is open, dialled by it or by us. Must not wait.
    virtual void on_met(base::NodeId /*node*/) {}
    // What was dialled to the node has ended, or could not be opened. Must not wait.
    virtual void on_cut(base::NodeId /*node*/) {}
};

}  // namespace hamster::rpc
