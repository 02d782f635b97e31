// Facts in a few words, for the tests of this room.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "cluster/policy.h"

namespace hamster::cluster::testing {

inline NodeId id(std::uint64_t number) {
    std::string bytes(8, 'N');
    base::put_be64(bytes, number);
    return *NodeId::from_bytes(bytes);
}

// A healthy node: reachable, caught up, on a host of its own.
inline NodeFacts node(std::uint64_t number, std::string zone = {}, std::string host = {}) {
    const std::string name = "n" + std::to_string(number);
    return {
        id(number), name, std::move(zone), host.empty() ? "host-" + name : std::move(host), true,
        true,       false};
}

using Numbers = std::vector<std::uint64_t>;
inline raft::Members members(const Numbers& voters, const Numbers& learners = {}) {
    raft::Members out;
    for (const auto number : voters) out.voters.insert(id(number));
    for (const auto number : learners) out.learners.insert(id(number));
    return out;
}

// Led by node 1, nothing pending.
inline Facts facts(raft::Members in_force, std::vector<NodeFacts> nodes) {
    return {std::move(in_force), std::move(nodes), id(1), false};
}

}  // namespace hamster::cluster::testing
