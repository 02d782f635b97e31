// What time it is for the cluster: the median of its voters' clocks while this node leads, and what
// the leader says otherwise. Each clock that was heard goes on with this node's monotonic one. Not
// monotonic itself. Any value may come from a peer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/ids.h"
#include "raft/core.h"
#include "runtime/world.h"

namespace hamster::raft {

class ClusterClock {
  public:
    // What the leader stated, and what a voter or learner answered to the leader of `term`. 0 (not
    // said) and more than 48 bits are ignored.
    void heard_leader(std::uint64_t unix_ms, runtime::Time now);
    void heard_follower(Term term, const NodeId& from, std::uint64_t unix_ms, runtime::Time now);

    struct Asked {
        runtime::Time now;
        std::uint64_t own_ms = 0;  // this node's own clock
        NodeId self;
        Term term;
    };
    // While leading `term`. The lower one of the two in the middle. Voters not heard in this term
    // are left out; while no majority is known, what the last leader said counts, if anything.
    [[nodiscard]] std::uint64_t leading(const Asked& asked, const Members& members) const;
    // The own clock while no leader said anything.
    [[nodiscard]] std::uint64_t following(const Asked& asked) const;
    // Whether a majority's clocks are known, or the leader's word. Otherwise the answer may be no
    // better than the own clock.
    [[nodiscard]] bool is_known(const Asked& asked, const Members& members, bool leads) const;

  private:
    struct Heard {
        std::uint64_t unix_ms = 0;
        runtime::Time at;
        [[nodiscard]] std::uint64_t by(runtime::Time now) const;
    };
    [[nodiscard]] std::vector<std::uint64_t> known(const Asked& asked,
                                                   const Members& members) const;

    std::optional<Heard> leader_;
    Term term_;  // of followers_
    std::map<NodeId, Heard> followers_;
};

}  // namespace hamster::raft
