// The next table: which nodes hold which partitions. Pure and deterministic, in integers only: the
// same inputs give the same table on every machine, whatever the order of the nodes. Any thread.
// How it is done and why: docs/adr/0016-placement.md.
//
// What holds of a table, the stronger rule first:
//  1. No node is twice in a partition; a node that may not hold has no place.
//  2. Pinned places stay.
//  3. Spread: a zone has at most as many slots of a partition as it must when the slots are dealt
//     out as evenly as the numbers of nodes allow (with Z zones of enough nodes: width / Z, rounded
//     up); inside a zone the same for hosts. Nodes without a zone count as one zone all together,
//     a node without a host as a host of its own.
//  4. Load: places are proportional to weight as far as 3 allows; what a zone, a host or a node
//     cannot take goes to the others by their weights. A node gets its share rounded up or down.
//  5. Movement: as few places change their node as 1 to 4 allow. A node that keeps a partition
//     keeps its slot.
//  6. Slots: the places of a node are spread evenly over the slots, as far as 5 allows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "placement/table.h"

namespace hamster::placement {

inline constexpr std::size_t kMaxNodes = 4096;

struct Node {
    NodeId id;
    std::string zone;          // empty: nobody said; such nodes count as one zone
    std::string host;          // empty: not known; counts as a host of its own
    std::uint64_t weight = 0;  // capacity in bytes; 0: not known, taken for the mean of the others
    bool may_hold = true;      // false: draining, leaving or removed; it loses all its places
};

// About 0.1 s for 100 nodes and a width of 6, 4 s for 1000 and a width of 16: too long for a
// control loop.
// The table after `previous` (nullptr: none yet) for these nodes; ids unique and not zero, at most
// kMaxNodes. Width 1 to kMaxWidth. Nodes of `previous` that are not among `nodes` may not hold.
// Slots of `previous` at and above `width` are dropped. `pinned`: places of `previous` that keep
// their node unless it may not hold; those without a node or above the width do not count.
// kPrecondition: fewer than `width` nodes may hold. The result has a node in every slot.
Result<Table> compute(const Table* previous, std::span<const Node> nodes, std::uint32_t width,
                      std::span<const Place> pinned = {});

// The same, and then nodes swap the slots that they have in a partition until the slots of each are
// about as even as in a new table: rule 6 before rule 5. Each swap moves two places. A cluster that
// grew node by node has its first nodes in the first slots, which small objects use.
Result<Table> compute_with_even_slots(const Table* previous, std::span<const Node> nodes,
                                      std::uint32_t width, std::span<const Place> pinned = {});

// Some number of places of a node.
struct Share {
    NodeId node;
    std::uint32_t places = 0;
    bool operator==(const Share&) const = default;
};
// What rule 4 gives each node that may hold, rounded to whole places; ascending ids. Empty when
// fewer than `width` nodes may hold.
std::vector<Share> ideal_shares(std::span<const Node> nodes, std::uint32_t width);
// What each node has; ascending ids, without those that have nothing.
std::vector<Share> shares_of(const Table& table);

}  // namespace hamster::placement
