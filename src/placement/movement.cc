#include "placement/movement.h"

#include <algorithm>
#include <map>

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
    for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
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
    std::map<NodeId, std::uint32_t> held;
    for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
        const auto kept = from.of(partition).first(std::min(from.width, width));
        for (const NodeId& node : kept) {
            ++held[node];
        }
    }
    std::uint32_t least = 0;
    for (const Share& ideal : ideal_shares(nodes, width)) {
        const std::uint32_t has = held[ideal.node];
        if (ideal.places > has + 1) least += ideal.places - has - 1;  // it may round down
    }
    return least;
}

}  // namespace hamster::placement
