// What may fail. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "placement/layout.h"

namespace hamster::placement {

// So many of each may be lost at once, whichever they are, and every object still reads.
struct Tolerance {
    std::uint32_t zones = 0;
    std::uint32_t hosts = 0;
    std::uint32_t nodes = 0;
    bool operator==(const Tolerance&) const = default;
};

// Of objects of the profile k+m, whose shards are in slots 0 .. k+m-1: the smallest over all
// partitions. k >= 1, k+m <= width. A slot with nobody, or with a node that is not among `nodes`,
// counts as lost already. Zones and hosts as in layout.h; a name of a host is one machine, in
// whichever zone.
Tolerance tolerance(const Table& table, std::span<const Node> nodes, std::uint32_t k,
                    std::uint32_t m);

}  // namespace hamster::placement
