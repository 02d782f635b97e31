#include "placement/tolerance.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <string_view>

#include "base/assert.h"
#include "base/partitions.h"

namespace hamster::placement {

namespace {

using Counts = std::vector<std::uint32_t>;

// So many of the groups with these numbers of slots may go, the largest first, without losing more
// than `spare` slots.
std::uint32_t may_go(Counts counts, std::uint32_t spare) {
    std::ranges::sort(counts, std::greater());
    std::uint32_t groups = 0;
    for (const std::uint32_t count : counts) {
        if (count > spare) break;
        spare -= count;
        ++groups;
    }
    return groups;
}

using Known = std::map<NodeId, const Node*>;

Tolerance of_slots(std::span<const NodeId> slots, const Known& known, std::uint32_t spare) {
    std::map<std::string_view, std::uint32_t> zones;
    std::map<std::string_view, std::uint32_t> hosts;
    Counts single;  // nodes; and those of them that are a host of their own
    Counts host_counts;
    for (const NodeId& id : slots) {
        const auto found = known.find(id);
        if (found == known.end()) {
            if (spare == 0) return {};
            --spare;
            continue;
        }
        const Node& node = *found->second;
        ++zones[node.zone];
        single.push_back(1);
        if (node.host.empty()) {
            host_counts.push_back(1);
        } else {
            ++hosts[node.host];
        }
    }
    Counts zone_counts;
    for (const auto& [zone, count] : zones) zone_counts.push_back(count);
    for (const auto& [host, count] : hosts) host_counts.push_back(count);
    return {may_go(zone_counts, spare), may_go(host_counts, spare), may_go(single, spare)};
}

}  // namespace

Tolerance tolerance(const Table& table, std::span<const Node> nodes, std::uint32_t k,
                    std::uint32_t m) {
    HAMSTER_ASSERT(k >= 1 && k + m <= table.width, k, m, table.width);
    Known known;
    for (const Node& node : nodes) known.emplace(node.id, &node);
    constexpr std::uint32_t kMost = std::numeric_limits<std::uint32_t>::max();
    Tolerance least{kMost, kMost, kMost};
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const Tolerance one = of_slots(table.of(partition).first(k + m), known, m);
        least.zones = std::min(least.zones, one.zones);
        least.hosts = std::min(least.hosts, one.hosts);
        least.nodes = std::min(least.nodes, one.nodes);
    }
    return least;
}

}  // namespace hamster::placement
