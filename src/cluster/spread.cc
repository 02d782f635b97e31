#include "cluster/spread.h"

#include <map>
#include <string>
#include <string_view>

namespace hamster::cluster {

namespace {

using Counts = std::map<std::string_view, std::uint64_t>;

std::uint64_t squares(const Counts& counts) {
    std::uint64_t sum = 0;
    for (const auto& [key, count] : counts) {
        sum += count * count;
    }
    return sum;
}

}  // namespace

Spread spread_of(const NodeList& nodes) {
    Counts zones;
    Counts hosts;
    std::uint64_t unknown_hosts = 0;  // each counts as a host of its own
    for (const NodeFacts* node : nodes) {
        ++zones[node->zone];
        if (node->host.empty()) {
            ++unknown_hosts;
        } else {
            ++hosts[node->host];
        }
    }
    return {squares(zones), squares(hosts) + unknown_hosts};
}

}  // namespace hamster::cluster
