// Which planted bug the product code shows. One thread: set before a simulated world starts.
#pragma once

#include <array>
#include <cstdint>

#include "base/planted.h"

namespace hamster::simulation {

void plant(base::Bug bug);

// Those that clusters are to find. The rest of one node's are found by one node. Four of consensus
// are left to raft_test: no seed of the first thousand has the power cuts that show entries counted
// before they are durable, entries of an earlier term committed by counting need a schedule that
// dice do not find, the policy never asks for two changes of the membership at once, and no node
// opens a damaged log to rejoin.
inline constexpr std::array kClusterBugs = {
    base::PlantedBug{base::Bug::kRaftVoteLost, "raft-vote-lost"},
    base::PlantedBug{base::Bug::kRaftAckBeforeSync, "raft-ack-before-sync"},
    base::PlantedBug{base::Bug::kRaftStaleReads, "raft-stale-reads"},
    base::PlantedBug{base::Bug::kRaftKeepConflict, "raft-keep-conflict"},
    base::PlantedBug{base::Bug::kRaftVoteForShorter, "raft-vote-for-shorter"},
    base::PlantedBug{base::Bug::kRetryAsNew, "retry-as-new"},
    base::PlantedBug{base::Bug::kPreconditionTooEarly, "precondition-too-early"},
    base::PlantedBug{base::Bug::kWalAckBeforeSync, "wal-ack-before-sync"},
    base::PlantedBug{base::Bug::kShardAckBeforeSync, "shard-ack-before-sync"},
    base::PlantedBug{base::Bug::kAckBelowFloor, "ack-below-floor"},
    base::PlantedBug{base::Bug::kLayoutFenceIgnored, "layout-fence-ignored"},
    base::PlantedBug{base::Bug::kSettleUnfetched, "settle-unfetched"},
    base::PlantedBug{base::Bug::kRepairUnverified, "repair-unverified"},
    base::PlantedBug{base::Bug::kReadWrongSlot, "read-wrong-slot"},
    base::PlantedBug{base::Bug::kReplaceBeforeSync, "replace-before-sync"},
};

// The seed of a cluster that found the bug when this was written: tried before all others.
std::uint64_t likely_seed(base::Bug bug);

}  // namespace hamster::simulation
