#include "cluster/roster.h"

#include <algorithm>

namespace hamster::cluster {

void Roster::know(const proto::Acquaintances& acquaintances) {
    for (const proto::Node& node : acquaintances.nodes()) {
        const auto id = NodeId::from_bytes(node.node_id());
        if (id) nodes_.try_emplace(*id, node);
    }
}

Result<std::vector<NodeId>> Roster::read(const meta::View& view) {
    TRY_ASSIGN(const auto nodes, view.nodes());
    TRY_ASSIGN(const auto removed, view.removed_nodes());
    // A replica that has not caught up yet knows fewer than it was told when it joined.
    if (!nodes.empty()) nodes_.clear();
    for (const proto::Node& node : nodes) {
        const auto id = NodeId::from_bytes(node.node_id());
        if (!id) return fail(Code::kCorrupt, "a member's row holds a malformed id");
        nodes_[*id] = node;
    }
    std::vector<NodeId> gone;
    for (const auto& entry : removed) {
        nodes_.erase(entry.id);
        if (removed_.insert(entry.id).second) gone.push_back(entry.id);
    }
    return gone;
}

const proto::Node* Roster::find(const NodeId& id) const {
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : &found->second;
}

const proto::Node* Roster::find_by_name(std::string_view name) const {
    const auto found = std::ranges::find_if(
        nodes_, [&](const auto& entry) { return entry.second.name() == name; });
    return found == nodes_.end() ? nullptr : &found->second;
}

std::string Roster::name_of(const NodeId& id) const {
    const proto::Node* node = find(id);
    return node == nullptr || node->name().empty() ? id.hex().substr(0, 8) : node->name();
}

}  // namespace hamster::cluster
