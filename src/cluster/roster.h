// Who belongs to the cluster, as this node's metadata has it, and where they are reached. Control
// loop.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/view.h"
#include "proto/cluster.pb.h"

namespace hamster::cluster {

using base::NodeId;

class Roster {
  public:
    // Until the metadata says more.
    void know(const proto::Acquaintances& acquaintances);
    // Takes what the metadata says. Answers the nodes that were removed since the last time.
    Result<std::vector<NodeId>> read(const meta::View& view);

    [[nodiscard]] const proto::Node* find(const NodeId& id) const;
    [[nodiscard]] const proto::Node* find_by_name(std::string_view name) const;
    [[nodiscard]] bool is_removed(const NodeId& id) const { return removed_.contains(id); }
    [[nodiscard]] const std::map<NodeId, proto::Node>& nodes() const { return nodes_; }
    // For messages: the name, or the id of a node that has none here.
    [[nodiscard]] std::string name_of(const NodeId& id) const;

  private:
    std::map<NodeId, proto::Node> nodes_;
    std::set<NodeId> removed_;
};

}  // namespace hamster::cluster
