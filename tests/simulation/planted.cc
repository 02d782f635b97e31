#include "planted.h"

namespace hamster {

namespace {
base::Bug planted_bug = base::Bug::kNone;
}  // namespace

// Stands in for the one of src/base/planted.cc, in this binary only.
bool base::planted(base::Bug bug) { return planted_bug == bug; }

void simulation::plant(base::Bug bug) { planted_bug = bug; }

std::uint64_t simulation::likely_seed(base::Bug bug) {
    switch (bug) {
        case base::Bug::kRaftVoteLost:
            return 570;
        case base::Bug::kRaftAckBeforeSync:
            return 163;
        case base::Bug::kRaftStaleReads:
            return 57;
        case base::Bug::kRaftKeepConflict:
            return 101;
        case base::Bug::kRaftVoteForShorter:
            return 75;
        case base::Bug::kLayoutFenceIgnored:
            return 27;
        case base::Bug::kSettleUnfetched:
            return 75;
        case base::Bug::kRepairUnverified:
            return 107;
        case base::Bug::kReadWrongSlot:
            return 50;
        default:
            return 1;
    }
}

}  // namespace hamster
