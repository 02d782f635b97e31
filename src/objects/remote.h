// How the objects service of one node reaches that of another. What is sent: exchange.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "runtime/task.h"

namespace hamster::objects {

// The numbers are sent; one is never reused.
enum class RemoteMethod : std::uint16_t {
    kReadSlice = 1,  // bulk: an answer is as long as a slice
    kKeep = 2,
    kPutSlice = 3,  // bulk, as well
    kAbandon = 4,
    kPull = 5,  // answered when the shard is there: may take as long as copying it
    kRemove = 6,
    kKeepWriting = 7,
};

class Remote {
  public:
    virtual ~Remote() = default;
    // False: no other node belongs to the cluster, so nobody else reads what lies here. Any loop.
    [[nodiscard]] virtual bool has_others() const { return true; }
    // The other members, as far as this node knows. Control loop.
    [[nodiscard]] virtual std::vector<base::NodeId> others() const = 0;
    // Whether the node was in order when it was last heard of. A guess: for who has a choice. Any
    // loop.
    [[nodiscard]] virtual bool is_up(base::NodeId node) const = 0;
    // What Service::serve() of `holder` answers, its errors included. Any loop; resumes on the
    // caller's. Must end in bounded time: kUnavailable or kTimeout when the holder is out of reach.
    virtual runtime::Task<Result<std::string>> call(base::NodeId holder, RemoteMethod what,
                                                    std::string payload) = 0;
};

}  // namespace hamster::objects
