// The group as its own node has it: one replica of the metadata, kept equal to the others by
// raft/driver. What the cluster room needs of it beyond proposing and reading. Control loop, unless
// a method says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/ids.h"
#include "meta/group.h"
#include "proto/raft.pb.h"
#include "raft/driver/driver.h"

namespace hamster::meta {

// What the group of one node asks of that of another.
enum class Ask : std::uint8_t { kPropose = 1, kSnapshot = 2 };

// The way to the other nodes.
class Wire {
  public:
    virtual ~Wire() = default;
    // One-way; may get lost.
    virtual void send(proto::RaftMessage message) = 0;
    // Answered by Replica::serve() over there. After any error but kDenied it may have run or not.
    virtual runtime::Task<Result<std::string>> ask(base::NodeId to, Ask what, std::string payload,
                                                   runtime::Time deadline) = 0;
};

class Replica : public Group {
  public:
    // From other nodes, whose identity has been verified.
    virtual void receive(const proto::RaftMessage& message) = 0;
    virtual runtime::Task<Result<std::string>> serve(base::NodeId from, Ask what,
                                                     std::string payload) = 0;

    // What is applied here: may lag behind what others know.
    [[nodiscard]] virtual View here() = 0;
    // Cluster time of the latest entry that is applied here, ms since 1970; 0: none is.
    [[nodiscard]] virtual std::uint64_t last_stamp() const = 0;
    // `changed` is called after members, tokens or the trust of the metadata changed, or who votes
    // or leads; it must not wait. One watcher.
    virtual void watch(std::function<void()> changed) = 0;
    // The same for users and their keys.
    virtual void watch_identities(std::function<void()> changed) = 0;
    // From here on nobody waits for a leader: who has none is answered at once. Before stop().
    virtual void end_waiting() = 0;
    [[nodiscard]] virtual const raft::Driver& driver() const = 0;
    // As raft::Driver's; only where the leader is.
    virtual runtime::Task<Result<void>> change_members(raft::Members next) = 0;
    virtual Result<void> transfer(base::NodeId to) = 0;
};

}  // namespace hamster::meta
