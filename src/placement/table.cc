#include "placement/table.h"

#include <algorithm>

#include "base/assert.h"
#include "base/partitions.h"

namespace hamster::placement {

Table Table::of_width(std::uint32_t width) {
    HAMSTER_ASSERT(width <= kMaxWidth, width);
    return {width, std::vector<NodeId>(std::size_t{base::partitions()} * width)};
}

std::size_t Table::index_of(Place place) const {
    HAMSTER_ASSERT(place.partition < base::partitions() && place.slot < width, place.partition,
                   place.slot, width);
    return std::size_t{place.partition} * width + place.slot;
}

std::span<const NodeId> Table::of(std::uint16_t partition) const {
    HAMSTER_ASSERT(partition < base::partitions(), partition);
    return std::span(nodes).subspan(std::size_t{partition} * width, width);
}

std::optional<std::uint8_t> Table::slot_of(std::uint16_t partition, const NodeId& node) const {
    const auto all = of(partition);
    const auto found = std::ranges::find(all, node);
    if (found == all.end()) return std::nullopt;
    return static_cast<std::uint8_t>(found - all.begin());
}

std::optional<std::string> flaw_of(const Table& table) {
    if (table.width > kMaxWidth) return fmt::format("a width of {}", table.width);
    if (table.nodes.size() != std::size_t{base::partitions()} * table.width) {
        return fmt::format("{} places for a width of {}", table.nodes.size(), table.width);
    }
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const auto nodes = table.of(partition);
        for (std::size_t i = 1; i < nodes.size(); ++i) {
            const auto before = nodes.first(i);
            if (!nodes[i].is_zero() && std::ranges::find(before, nodes[i]) != before.end()) {
                return fmt::format("node {} is twice in partition {}", nodes[i].hex(), partition);
            }
        }
    }
    return std::nullopt;
}

Result<Table> replace(const Table& table, const NodeId& old, const NodeId& by) {
    HAMSTER_ASSERT(!old.is_zero() && !by.is_zero() && old != by, old.hex(), by.hex());
    Table next = table;
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const auto slot = table.slot_of(partition, old);
        if (!slot) continue;
        if (table.slot_of(partition, by)) {
            return fail(Code::kPrecondition,
                        fmt::format("partition {} is on both nodes already", partition));
        }
        next.set({partition, *slot}, by);
    }
    return next;
}

}  // namespace hamster::placement
