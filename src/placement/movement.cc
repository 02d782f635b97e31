#include "placement/movement.h"

#include <algorithm>
#include <map>

#include "base/partitions.h"
#include "placement/tree.h"

namespace hamster::placement {

namespace {

const NodeId* node_at(const Table& table, std::uint16_t partition, std::uint32_t slot) {
    if (slot >= table.width) return nullptr;
    const NodeId& node = table.of(partition)[slot];
    return node.is_zero() ? nullptr : &node;
}

}  // namespace

Movement movement(const Table& from, const Table& to) {
    Movement out;
    std::map<NodeId, Movement::Change> changes;
    const std::uint32_t width = std::max(from.width, to.width);
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const std::uint32_t places_before = out.places;
        for (std::uint32_t slot = 0; slot < width; ++slot) {
            const NodeId* was = node_at(from, partition, slot);
            const NodeId* is = node_at(to, partition, slot);
            if (was != nullptr && is != nullptr && *was == *is) continue;
            if (was != nullptr) ++changes[*was].lost;
            if (is == nullptr) continue;
            ++changes[*is].gained;
            ++out.places;
        }
        if (out.places != places_before) ++out.partitions;
    }
    for (auto& [node, change] : changes) {
        change.node = node;
        out.nodes.push_back(change);
    }
    return out;
}

std::uint32_t least_movement(const Table& from, std::span<const Node> nodes, std::uint32_t width) {
    const auto holders = std::ranges::count_if(nodes, &Node::may_hold);
    if (static_cast<std::size_t>(holders) < width) return 0;
    const Tree tree(nodes, width);
    std::vector<std::uint32_t> held(tree.nodes() + 1);  // the last one: who may not hold
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const auto kept = from.of(partition).first(std::min(from.width, width));
        for (const NodeId& node : kept) ++held[tree.find(node)];
    }
    // Some must gain so much; and what the others may keep leaves so much.
    std::uint32_t gained = 0;
    std::uint32_t left = std::uint32_t{base::partitions()} * width;
    for (GroupIndex node = 0; node < tree.nodes(); ++node) {
        const std::uint32_t least = rounded_down(tree[node].share, kOnePlace);
        gained += least - std::min(least, held[node]);
        left -= std::min(held[node], rounded_up(tree[node].share, kOnePlace));
    }
    return std::max(gained, left);
}

}  // namespace hamster::placement
