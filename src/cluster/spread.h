// How evenly a set of nodes lies over zones, then hosts. Pure. Private to the policy and its tests.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "cluster/policy.h"

namespace hamster::cluster {

// Smaller is better: the sum over zones of (nodes in it) squared, then the same over hosts. For a
// given number of nodes it is smallest where the counts are as equal as they can be.
struct Spread {
    std::uint64_t zones = 0;
    std::uint64_t hosts = 0;
    auto operator<=>(const Spread&) const = default;
};
using NodeList = std::vector<const NodeFacts*>;
Spread spread_of(const NodeList& nodes);

}  // namespace hamster::cluster
