// What people should know about the shape of their cluster: whether a node may be stopped, and what
// one failure would cost. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/policy.h"

namespace hamster::cluster {

// Whether `node` can be stopped for a while and the others still accept writes, with nothing else
// in the air. kNotFound: no member has this id. kPrecondition: better not, and the context says why
// in one sentence. A node that is down already is judged like any other.
Result<void> can_stop(const Facts& facts, const NodeId& node);

// One sentence each, the gravest first; none when there is nothing to say.
std::vector<std::string> topology_notes(const Facts& facts);

}  // namespace hamster::cluster
