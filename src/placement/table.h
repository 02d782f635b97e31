// The table partition -> nodes, as a value: slot i of a partition is on its i-th node. Pure; any
// thread. How a table is made: layout.h; how it is stored: encoding.h.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace hamster::placement {

using base::kPartitions;
using base::NodeId;

inline constexpr std::uint32_t kMaxWidth = 16;

// One slot of one partition.
struct Place {
    std::uint16_t partition = 0;  // below kPartitions
    std::uint8_t slot = 0;        // below the table's width
    auto operator<=>(const Place&) const = default;
};

struct Table {
    std::uint32_t width = 0;    // slots of each partition, 0 (no table yet) to kMaxWidth
    std::vector<NodeId> nodes;  // kPartitions * width, partition by partition; zero: nobody

    bool operator==(const Table&) const = default;

    // Every slot of every partition with nobody.
    static Table of_width(std::uint32_t width);

    [[nodiscard]] std::span<const NodeId> of(std::uint16_t partition) const;
    [[nodiscard]] const NodeId& at(Place place) const { return nodes[index_of(place)]; }
    void set(Place place, const NodeId& node) { nodes[index_of(place)] = node; }
    // The slot that `node` has in the partition, if any.
    [[nodiscard]] std::optional<std::uint8_t> slot_of(std::uint16_t partition,
                                                      const NodeId& node) const;

  private:
    [[nodiscard]] std::size_t index_of(Place place) const;
};

// Why the table is none: size or width wrong, a node twice in a partition. nullopt: it is one.
std::optional<std::string> flaw_of(const Table& table);

// `by` takes exactly the places of `old`; nothing else changes. kPrecondition when a partition
// would then have `by` twice. `by` is not zero and not `old`.
Result<Table> replace(const Table& table, const NodeId& old, const NodeId& by);

}  // namespace hamster::placement
