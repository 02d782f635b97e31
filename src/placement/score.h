// Weighted rendezvous hashing in integers. Pure; any thread. Private to the room.
//
// A node's cost for a partition is -log2(u) / weight, with u a hash of both taken as a fraction of
// one. The node with the lowest cost is each node with a probability proportional to its weight,
// and what nodes there are besides does not change a node's cost. log2 is computed digit by digit
// by squaring, with 24 binary digits behind the point, exactly alike on every machine.
#pragma once

#include <cstdint>

#include "base/ids.h"

namespace hamster::placement {

inline constexpr std::uint32_t kWeightBits = 26;  // of the largest weight, see tree.h
using Cost = std::uint64_t;

// -log2(hash / 2^64), 24 binary digits behind the point; 64 for 0.
std::uint64_t negative_log2(std::uint64_t hash);
// weight: 1 to 2^kWeightBits.
Cost rendezvous_cost(const base::NodeId& node, std::uint16_t partition, std::uint64_t weight);

}  // namespace hamster::placement
