// Zones, hosts and nodes as a tree, with the share of each. Pure; any thread. Private to the room.
//
// A group is a node, a host, a zone or the whole cluster. What the rules of layout.h ask of the
// spread is: of each partition a group has at least `least` and at most `most` slots. They are its
// share of a partition rounded down and up, so the loads that are asked for and the spread never
// contradict each other: some table meets both (a flow through a tree with whole bounds).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/partitions.h"
#include "placement/layout.h"

namespace hamster::placement {

// Shares are counted in 2^-24 places.
inline constexpr std::uint32_t kPlaceBits = 24;
inline constexpr std::uint64_t kOnePlace = std::uint64_t{1} << kPlaceBits;
// Of each partition.
inline std::uint64_t one_slot() { return kOnePlace * base::partitions(); }
// Rounding down or up does not see differences smaller than this: shares are this exact.
inline constexpr std::uint64_t kInexact = kOnePlace / 64;

constexpr std::uint32_t rounded_down(std::uint64_t share, std::uint64_t unit) {
    return static_cast<std::uint32_t>((share + kInexact) / unit);
}
constexpr std::uint32_t rounded_up(std::uint64_t share, std::uint64_t unit) {
    return share <= kInexact ? 0 : static_cast<std::uint32_t>((share - kInexact + unit - 1) / unit);
}

using GroupIndex = std::uint32_t;

struct Group {
    GroupIndex parent = 0;
    std::vector<GroupIndex> children;  // none: a node
    std::uint32_t size = 0;            // nodes in it
    std::uint32_t fair = 0;            // most slots of a partition, by the spread alone
    std::uint64_t weight = 0;          // of a node: 1 to 2^kWeightBits
    std::uint64_t share = 0;           // at most fair * kOneSlot
    std::uint32_t least = 0;           // slots of a partition
    std::uint32_t most = 0;
};

class Tree {
  public:
    // The nodes of `nodes` that may hold; at least `width` of them.
    Tree(std::span<const Node> nodes, std::uint32_t width);

    [[nodiscard]] std::uint32_t width() const { return width_; }
    // Groups 0 .. nodes-1 are the nodes, by ascending ids; a parent comes after its children.
    [[nodiscard]] std::uint32_t nodes() const { return static_cast<std::uint32_t>(ids_.size()); }
    [[nodiscard]] const NodeId& id(GroupIndex node) const { return ids_[node]; }
    // The node of this id, or nodes() when it is not here.
    [[nodiscard]] GroupIndex find(const NodeId& id) const;
    [[nodiscard]] const std::vector<Group>& groups() const { return groups_; }
    [[nodiscard]] const Group& operator[](GroupIndex group) const { return groups_[group]; }
    [[nodiscard]] GroupIndex root() const { return static_cast<GroupIndex>(groups_.size()) - 1; }

  private:
    void grow(std::span<const Node* const> holders);
    void weigh(std::span<const Node* const> holders);
    void limit(GroupIndex group, std::uint32_t slots);
    [[nodiscard]] std::uint64_t taken_at(GroupIndex group, std::uint64_t level) const;
    void deal(GroupIndex group, std::uint64_t share);

    std::uint32_t width_;
    std::vector<NodeId> ids_;
    std::vector<Group> groups_;
};

// One partition while it is dealt out: who may still come without breaking the spread. It can be
// completed whenever every step was allowed. Cheap: three steps up the tree for each node.
class Spread {
  public:
    explicit Spread(const Tree& tree);

    void clear();  // nobody has a slot
    [[nodiscard]] bool has(GroupIndex node) const { return needed_[node] != 0; }
    [[nodiscard]] bool may_add(GroupIndex node) const;
    // `node` has no slot yet. Allowed or not: pinned places are not asked.
    void add(GroupIndex node);

  private:
    const Tree* tree_;
    // What the members of a group need: of a node 1 when it has a slot, else the sum over the
    // children of this or of their `least`, whichever is more.
    std::vector<std::uint32_t> needed_;
    std::vector<std::uint32_t> needed_by_none_;
    std::vector<GroupIndex> raised_;
};

}  // namespace hamster::placement
