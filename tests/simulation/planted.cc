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
            return 276;
        case base::Bug::kRaftAckBeforeSync:
            return 262;
        case base::Bug::kRaftStaleReads:
            return 463;
        case base::Bug::kRaftKeepConflict:
            return 95;
        case base::Bug::kRaftVoteForShorter:
            return 105;
        case base::Bug::kLayoutFenceIgnored:
            return 532;
        case base::Bug::kSettleUnfetched:
            return 209;
        default:
            return 1;
    }
}

}  // namespace hamster
