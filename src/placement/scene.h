// Clusters in a few words, and what must hold of their tables, for the tests of this room.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "placement/layout.h"

namespace hamster::placement::testing {

inline constexpr std::uint64_t kDisk = 1'000'000'000'000;  // bytes

// What a call that must not come back would have answered.
template <class Value>
void drop(const Value& /*value*/) {}

inline NodeId id(std::uint64_t number) {
    std::string bytes(8, 'N');
    base::put_be64(bytes, number);
    return *NodeId::from_bytes(bytes);
}

inline Node node(std::uint64_t number, std::string zone = {}, std::string host = {},
                 std::uint64_t weight = kDisk) {
    return {id(number), std::move(zone), std::move(host), weight, true};
}

inline std::vector<Node> equal_nodes(std::uint64_t count) {
    std::vector<Node> nodes;
    for (std::uint64_t number = 1; number <= count; ++number) nodes.push_back(node(number));
    return nodes;
}

// Twelve nodes of many kinds: four zones, of which one has no name, hosts, weights.
inline std::vector<Node> mixed_nodes() {
    return {node(1, "a", "a1"),
            node(2, "a", "a1", 2 * kDisk),
            node(3, "a", "a2"),
            node(4, "b", "b1", 3 * kDisk),
            node(5, "b", "b2"),
            node(6, "b", "b2", 0),
            node(7, "c", "", 2 * kDisk),
            node(8, "c", ""),
            node(9, "c", "c1", kDisk / 2),
            node(10, "", "d1", 0),
            node(11, "", "d2"),
            node(12, "", "")};
}

inline std::map<NodeId, std::uint32_t> places_of(const Table& table) {
    std::map<NodeId, std::uint32_t> places;
    for (const Share& share : shares_of(table)) places[share.node] = share.places;
    return places;
}

// Places of each node, slot by slot.
inline std::map<NodeId, std::vector<std::uint32_t>> slots_of(const Table& table) {
    std::map<NodeId, std::vector<std::uint32_t>> slots;
    for (std::size_t i = 0; i < table.nodes.size(); ++i) {
        auto& its = slots[table.nodes[i]];
        its.resize(table.width);
        ++its[i % table.width];
    }
    return slots;
}

// Rules 1 and 3 of layout.h, counted in another way than by the code under test. Partitions in
// `except` are held to rule 1 only. What is wrong; empty: nothing.
class Referee {
  public:
    explicit Referee(const std::vector<Node>& nodes) {
        for (const Node& node : nodes) {
            if (node.may_hold) holders_.emplace(node.id, node);
        }
    }

    std::string flaw(const Table& table, const std::set<std::uint16_t>& except = {}) const {
        if (const auto flaw = flaw_of(table)) return *flaw;
        for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
            for (const NodeId& node : table.of(partition)) {
                if (!holders_.contains(node)) return "no holder: " + node.hex();
            }
            if (except.contains(partition)) continue;
            if (auto flaw = crowd(table.of(partition)); !flaw.empty()) {
                return fmt::format("partition {}: {}", partition, flaw);
            }
        }
        return {};
    }

  private:
    using Sizes = std::map<std::string, std::uint32_t>;

    // The smallest number such that groups of these sizes can take `slots` with no more each.
    static std::uint32_t fair(const Sizes& sizes, std::uint32_t slots) {
        std::uint32_t most = 0;
        for (std::uint32_t places = 0; places < slots;) {
            ++most;
            places = 0;
            for (const auto& [name, size] : sizes) places += std::min(size, most);
        }
        return most;
    }

    static std::string host_of(const Node& node) {
        return node.host.empty() ? "alone " + node.id.hex() : "host " + node.host;
    }

    std::string crowd(std::span<const NodeId> nodes) const {
        Sizes zone_sizes;
        std::map<std::string, Sizes> host_sizes;
        for (const auto& [id, node] : holders_) {
            ++zone_sizes[node.zone];
            ++host_sizes[node.zone][host_of(node)];
        }
        Sizes zones;
        std::map<std::string, Sizes> hosts;
        for (const NodeId& id : nodes) {
            const Node& node = holders_.at(id);
            ++zones[node.zone];
            ++hosts[node.zone][host_of(node)];
        }
        const auto width = static_cast<std::uint32_t>(nodes.size());
        const std::uint32_t most = fair(zone_sizes, width);
        for (const auto& [zone, count] : zones) {
            if (count > most) return fmt::format("zone '{}' has {}, not {}", zone, count, most);
            const std::uint32_t of_zone = std::min(most, zone_sizes[zone]);
            const std::uint32_t most_of_host = fair(host_sizes[zone], of_zone);
            for (const auto& [host, slots] : hosts[zone]) {
                if (slots > most_of_host) {
                    return fmt::format("{} has {}, not {}", host, slots, most_of_host);
                }
            }
        }
        return {};
    }

    std::map<NodeId, Node> holders_;
};

// Nodes whose number of places is not their share rounded up or down; empty: none.
inline std::string load_flaw(const Table& table, const std::vector<Node>& nodes,
                             std::uint32_t slack = 1) {
    auto places = places_of(table);
    for (const Share& ideal : ideal_shares(nodes, table.width)) {
        const std::uint32_t has = places[ideal.node];
        if (has + slack < ideal.places || has > ideal.places + slack) {
            return fmt::format("node {} has {} places, not {}", ideal.node.hex(), has,
                               ideal.places);
        }
    }
    return {};
}

// Nodes that are in a partition of both tables, but not in the same slot, though it still exists.
inline std::string slot_flaw(const Table& from, const Table& to) {
    for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
        for (const NodeId& node : to.of(partition)) {
            const auto was = from.slot_of(partition, node);
            const auto is = to.slot_of(partition, node);
            if (was && *was < to.width && *was != *is) {
                return fmt::format("node {} changed its slot in {}", node.hex(), partition);
            }
        }
    }
    return {};
}

}  // namespace hamster::placement::testing
