// What changes between two tables, for status and for tests. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "placement/layout.h"

namespace hamster::placement {

struct Movement {
    struct Change {
        NodeId node;
        std::uint32_t gained = 0;  // places
        std::uint32_t lost = 0;    // dropped slots count here
        bool operator==(const Change&) const = default;
    };
    std::vector<Change> nodes;     // ascending ids, without those to which nothing happens
    std::uint32_t places = 0;      // that have a node, and another one than before
    std::uint32_t partitions = 0;  // with at least one such place
    bool operator==(const Movement&) const = default;
};
// The widths may differ.
Movement movement(const Table& from, const Table& to);

// The least number of places that any table with the ideal shares of these nodes has to move, new
// slots included. Spread and pinned places may demand more. 0 when fewer
// than `width` nodes may hold.
std::uint32_t least_movement(const Table& from, std::span<const Node> nodes, std::uint32_t width);

}  // namespace hamster::placement
