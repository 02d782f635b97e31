#include "planted.h"

namespace hamster {

namespace {
base::Bug planted_bug = base::Bug::kNone;
}  // namespace

// Stands in for the one of src/base/planted.cc, in this binary only.
bool base::planted(base::Bug bug) { return planted_bug == bug; }

void simulation::plant(base::Bug bug) { planted_bug = bug; }

}  // namespace hamster
