#include "placement/tree.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "placement/score.h"

namespace hamster::placement {

namespace {

constexpr std::uint64_t kLargestWeight = std::uint64_t{1} << kWeightBits;
// Of the level to which groups fill up: at this one a node of weight 1 has all it can have.
constexpr std::uint64_t kHighestLevel = (kOnePlace * kPartitions) << kWeightBits;
static_assert(kHighestLevel >> kWeightBits == kOnePlace * kPartitions);

std::vector<const Node*> holders_of(std::span<const Node> nodes) {
    std::vector<const Node*> holders;
    for (const Node& node : nodes) {
        if (node.may_hold) holders.push_back(&node);
    }
    std::ranges::sort(holders, {}, [](const Node* node) { return node->id; });
    return holders;
}

// The mean of the weights that are known, at least 1.
std::uint64_t mean_weight(std::span<const Node* const> holders) {
    const auto known = static_cast<std::uint64_t>(
        std::ranges::count_if(holders, [](const Node* node) { return node->weight != 0; }));
    std::uint64_t mean = 0;
    for (const Node* node : holders) {
        if (node->weight != 0) mean += node->weight / known;
    }
    return std::max<std::uint64_t>(mean, 1);
}

}  // namespace

Tree::Tree(std::span<const Node> nodes, std::uint32_t width) : width_(width) {
    const std::vector<const Node*> holders = holders_of(nodes);
    HAMSTER_ASSERT(holders.size() >= width, holders.size(), width);
    for (const Node* node : holders) ids_.push_back(node->id);
    grow(holders);
    weigh(holders);
    limit(root(), width);
    deal(root(), width * one_slot());
}

GroupIndex Tree::find(const NodeId& id) const {
    const auto found = std::ranges::lower_bound(ids_, id);
    if (found == ids_.end() || *found != id) return nodes();
    return static_cast<GroupIndex>(found - ids_.begin());
}

// Makes the groups: nodes, hosts, zones, all.
void Tree::grow(std::span<const Node* const> holders) {
    std::map<std::string_view, GroupIndex> zones;
    std::map<std::pair<std::string_view, std::string_view>, GroupIndex> hosts;
    std::vector<const Node*> host_nodes;  // one of each host
    groups_.resize(holders.size());
    for (GroupIndex node = 0; node < nodes(); ++node) {
        const Node& holder = *holders[node];
        const auto next = static_cast<GroupIndex>(groups_.size());
        GroupIndex host = next;
        if (!holder.host.empty()) {
            host = hosts.try_emplace({holder.zone, holder.host}, next).first->second;
        }
        if (host == next) {
            groups_.emplace_back();
            host_nodes.push_back(&holder);
        }
        groups_[node].parent = host;
    }
    for (std::size_t i = 0; i < host_nodes.size(); ++i) {
        const auto next = static_cast<GroupIndex>(groups_.size());
        const auto [zone, is_new] = zones.try_emplace(host_nodes[i]->zone, next);
        if (is_new) groups_.emplace_back();
        groups_[nodes() + i].parent = zone->second;
    }
    groups_.emplace_back();
    for (GroupIndex group = 0; group < root(); ++group) {
        Group& it = groups_[group];
        if (it.parent == 0) it.parent = root();  // a zone: no group but a node has index 0
        if (group < nodes()) it.size = 1;
        groups_[it.parent].size += it.size;
        groups_[it.parent].children.push_back(group);
    }
}

void Tree::weigh(std::span<const Node* const> holders) {
    const std::uint64_t mean = mean_weight(holders);
    std::uint64_t largest = mean;
    for (const Node* node : holders) largest = std::max(largest, node->weight);
    std::uint32_t shift = 0;  // so that the scaled weight does not overflow
    while (largest >> shift >= std::uint64_t{1} << (63U - kWeightBits)) ++shift;
    for (GroupIndex node = 0; node < nodes(); ++node) {
        const std::uint64_t weight = holders[node]->weight == 0 ? mean : holders[node]->weight;
        const std::uint64_t scaled = (weight >> shift) * kLargestWeight / (largest >> shift);
        groups_[node].weight = std::max<std::uint64_t>(scaled, 1);
    }
}

// `slots` of each partition are dealt to the children as evenly as their sizes allow: none gets
// more than the smallest number that suffices.
void Tree::limit(GroupIndex group, std::uint32_t slots) {
    groups_[group].fair = slots;
    const std::vector<GroupIndex>& children = groups_[group].children;
    if (children.empty()) return;
    const auto places_at = [&](std::uint32_t most) {
        std::uint64_t places = 0;
        for (const GroupIndex child : children) places += std::min(most, groups_[child].size);
        return places;
    };
    std::uint32_t most = 0;
    while (places_at(most) < slots) ++most;
    for (const GroupIndex child : children) limit(child, std::min(most, groups_[child].size));
}

// What the group has when everybody has `level` for each unit of weight, as far as they can.
std::uint64_t Tree::taken_at(GroupIndex group, std::uint64_t level) const {
    const Group& it = groups_[group];
    const std::uint64_t limit = it.fair * one_slot();
    if (it.children.empty()) {
        if (level >= (limit << kWeightBits) / it.weight) return limit;
        return (level * it.weight) >> kWeightBits;
    }
    std::uint64_t sum = 0;
    for (const GroupIndex child : it.children) sum += taken_at(child, level);
    return std::min(sum, limit);
}

// Gives the group its share, and its children theirs: the lowest level at which it is used up.
void Tree::deal(GroupIndex group, std::uint64_t share) {
    Group& it = groups_[group];
    it.share = share;
    it.least = rounded_down(share, one_slot());
    it.most = rounded_up(share, one_slot());
    if (it.children.empty()) return;
    const auto sum_at = [&](std::uint64_t level) {
        std::uint64_t sum = 0;
        for (const GroupIndex child : it.children) sum += taken_at(child, level);
        return sum;
    };
    std::uint64_t low = 0;
    std::uint64_t high = kHighestLevel;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        if (sum_at(middle) >= share) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    for (const GroupIndex child : it.children) deal(child, taken_at(child, low));
}

Spread::Spread(const Tree& tree) : tree_(&tree), needed_by_none_(tree.groups().size()) {
    for (GroupIndex group = 0; group < tree.root(); ++group) {
        needed_by_none_[tree[group].parent] += std::max(needed_by_none_[group], tree[group].least);
    }
    needed_ = needed_by_none_;
}

void Spread::clear() {
    for (const GroupIndex group : raised_) needed_[group] = needed_by_none_[group];
    raised_.clear();
}

bool Spread::may_add(GroupIndex node) const {
    HAMSTER_ASSERT(node < tree_->nodes() && needed_[node] == 0, node);
    for (GroupIndex group = node;; group = (*tree_)[group].parent) {
        const Group& it = (*tree_)[group];
        if (needed_[group] + 1 <= it.least) return true;  // it was counted on
        if (needed_[group] + 1 > it.most) return false;
        if (group == tree_->root()) return true;
    }
}

void Spread::add(GroupIndex node) {
    HAMSTER_ASSERT(node < tree_->nodes() && needed_[node] == 0, node);
    for (GroupIndex group = node;; group = (*tree_)[group].parent) {
        raised_.push_back(group);
        if (++needed_[group] <= (*tree_)[group].least || group == tree_->root()) return;
    }
}

}  // namespace hamster::placement
