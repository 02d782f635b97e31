// Who should vote: which single change of the Raft membership comes next. Pure; any thread. Why it
// is as it is: docs/adr/0012-membership-policy.md.
//
// The leader asks again after every change, and whenever a fact changes. Asked again and again
// under the same facts it comes to an end, and no step on the way takes the quorum away.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "raft/core.h"

namespace hamster::cluster {

using base::NodeId;

// A member by the metadata, and what the leader sees of it.
struct NodeFacts {
    NodeId id;
    std::string name;  // for people
    std::string zone;  // empty: nobody said; such nodes count as one zone
    std::string host;  // empty: not known; counts as a host of its own
    bool reachable = false;
    bool caught_up = false;  // its log is close enough to the leader's to vote at once
    bool leaving = false;
    bool is_drained = false;  // leaving, and nothing lies on it any more
    bool is_heard = true;     // by the leader, a moment ago: it has not just died
};

// Who is in `members` but not in `nodes` was removed from the cluster. The leader is taken to be
// reachable and caught up, whatever its facts say; removed nodes to be cut off.
struct Facts {
    raft::Members members;         // in force
    std::vector<NodeFacts> nodes;  // ids unique; at most meta::kMaxNodes
    NodeId leader;
    bool change_pending = false;  // a change of the membership is not committed yet
};

// To be proposed: differs from the members in force by one node.
struct Change {
    raft::Members next;
    std::string why;  // for the log
};
// First leadership goes to `to`, a voter; then that leader asks again.
struct HandOver {
    NodeId to;
    std::string why;
};
using Step = std::variant<std::monostate, Change, HandOver>;

// How many of `nodes` members should vote.
std::size_t voters_wanted(std::size_t nodes);
Step next_step(const Facts& facts);

}  // namespace hamster::cluster
