#include "cluster/policy.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "cluster/spread.h"

namespace hamster::cluster {

namespace {

std::string label(const NodeFacts& node) { return node.name.empty() ? node.id.hex() : node.name; }

NodeList with(NodeList nodes, const NodeFacts* more) {
    nodes.push_back(more);
    return nodes;
}
NodeList without(NodeList nodes, const NodeFacts* less) {
    std::erase(nodes, less);
    return nodes;
}

// One question, with the facts sorted by id. Each step_... answers the step that its rule wants, or
// nothing.
class Policy {
  public:
    explicit Policy(const Facts& facts);
    [[nodiscard]] Step next() const;

  private:
    [[nodiscard]] Step drop_removed() const;
    [[nodiscard]] Step add_learner() const;
    [[nodiscard]] Step promote() const;
    [[nodiscard]] Step demote() const;
    [[nodiscard]] Step begin_swap() const;

    [[nodiscard]] bool is_reachable(const NodeId& id) const;
    [[nodiscard]] bool has_quorum(const std::set<NodeId>& voters) const;
    [[nodiscard]] const NodeFacts* heir() const;
    // So that the leader can go; nothing unless the others can do without it.
    [[nodiscard]] Step hand_over(std::string why) const;
    [[nodiscard]] Step make_voter(const NodeFacts& node, std::string why) const;
    [[nodiscard]] bool has_leaving_voter() const;

    const Facts& facts_;
    std::map<NodeId, const NodeFacts*> nodes_;
    NodeList voters_;      // that are members; by id
    NodeList candidates_;  // learners that may become voters; by id
};

Policy::Policy(const Facts& facts) : facts_(facts) {
    for (const NodeFacts& node : facts.nodes) {
        nodes_.emplace(node.id, &node);
    }
    HAMSTER_ASSERT(nodes_.size() == facts.nodes.size(), nodes_.size());
    for (const auto& [id, node] : nodes_) {
        if (facts.members.is_voter(id)) {
            voters_.push_back(node);
        } else if (facts.members.contains(id) && is_reachable(id) && node->is_heard &&
                   node->caught_up && !node->leaving) {
            candidates_.push_back(node);
        }
    }
}

bool Policy::is_reachable(const NodeId& id) const {
    if (id == facts_.leader) return true;
    const auto node = nodes_.find(id);
    return node != nodes_.end() && node->second->reachable;
}

bool Policy::has_quorum(const std::set<NodeId>& voters) const {
    const auto reachable =
        std::ranges::count_if(voters, [this](const NodeId& id) { return is_reachable(id); });
    return static_cast<std::size_t>(reachable) > voters.size() / 2;
}

bool Policy::has_leaving_voter() const {
    return std::ranges::any_of(voters_, [](const NodeFacts* node) { return node->leaving; });
}

const NodeFacts* Policy::heir() const {
    const NodeFacts* best = nullptr;
    for (const NodeFacts* node : voters_) {
        if (node->id == facts_.leader || !node->reachable || !node->caught_up) continue;
        if (best == nullptr || (best->leaving && !node->leaving)) best = node;
    }
    return best;
}

Step Policy::hand_over(std::string why) const {
    const NodeFacts* to = heir();
    std::set<NodeId> rest = facts_.members.voters;
    rest.erase(facts_.leader);
    if (to == nullptr || !has_quorum(rest)) return {};
    return HandOver{to->id, std::move(why)};
}

Step Policy::make_voter(const NodeFacts& node, std::string why) const {
    raft::Members next = facts_.members;
    next.learners.erase(node.id);
    next.voters.insert(node.id);
    if (!has_quorum(next.voters)) return {};
    return Change{std::move(next), std::move(why)};
}

Step Policy::next() const {
    if (facts_.change_pending || nodes_.empty()) return {};
    Step step = drop_removed();
    if (!std::holds_alternative<std::monostate>(step)) return step;
    step = add_learner();
    if (!std::holds_alternative<std::monostate>(step)) return step;
    // Who is leaving is counted out once it is empty, so that the last ones can go without others
    // coming; until then the cluster may not stand on fewer votes than it has nodes for.
    const auto staying = std::ranges::count_if(nodes_, [](const auto& entry) {
        return !entry.second->leaving || !entry.second->is_drained;
    });
    const std::size_t wanted = voters_wanted(static_cast<std::size_t>(std::max(staying, 1L)));
    if (voters_.size() > wanted) return demote();
    if (voters_.size() < wanted || (has_leaving_voter() && !candidates_.empty())) return promote();
    return begin_swap();
}

// Who was removed from the cluster goes: learners first, the leader last.
Step Policy::drop_removed() const {
    for (const NodeId& id : facts_.members.learners) {
        if (nodes_.contains(id)) continue;
        raft::Members next = facts_.members;
        next.learners.erase(id);
        return Change{std::move(next), "node " + id.hex() + " was removed"};
    }
    for (const NodeId& id : facts_.members.voters) {
        if (nodes_.contains(id) || id == facts_.leader) continue;
        raft::Members next = facts_.members;
        next.voters.erase(id);
        if (!has_quorum(next.voters)) continue;
        return Change{std::move(next), "voter " + id.hex() + " was removed"};
    }
    if (facts_.members.is_voter(facts_.leader) && !nodes_.contains(facts_.leader)) {
        return hand_over("the leader was removed");
    }
    return {};
}

Step Policy::add_learner() const {
    for (const auto& [id, node] : nodes_) {
        if (facts_.members.contains(id)) continue;
        raft::Members next = facts_.members;
        next.learners.insert(id);
        return Change{std::move(next), label(*node) + " is new"};
    }
    return {};
}

Step Policy::promote() const {
    const NodeFacts* best = nullptr;
    Spread best_spread;
    for (const NodeFacts* candidate : candidates_) {
        const Spread spread = spread_of(with(voters_, candidate));
        if (best != nullptr && spread >= best_spread) continue;
        best = candidate;
        best_spread = spread;
    }
    if (best == nullptr) return {};
    return make_voter(*best, label(*best) + " becomes a voter");
}

// There is a voter too many. Who is leaving goes first (who is empty before others), then who is
// down, then who stands closest to others. The leader goes only when it is leaving itself.
Step Policy::demote() const {
    using Rank = std::tuple<bool, bool, bool, bool, Spread>;  // smaller goes sooner
    std::vector<std::pair<Rank, const NodeFacts*>> order;
    for (const NodeFacts* node : voters_) {
        const bool leads = node->id == facts_.leader;
        if (leads && !node->leaving) continue;
        order.emplace_back(Rank{!node->leaving, !node->is_drained, leads, is_reachable(node->id),
                                spread_of(without(voters_, node))},
                           node);
    }
    std::ranges::sort(order, [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first < b.first : b.second->id < a.second->id;
    });
    for (const auto& [rank, node] : order) {
        if (node->id == facts_.leader) {
            Step step = hand_over("the leader is leaving");
            if (!std::holds_alternative<std::monostate>(step)) return step;
            continue;
        }
        raft::Members next = facts_.members;
        next.voters.erase(node->id);
        next.learners.insert(node->id);
        if (!has_quorum(next.voters)) continue;
        return Change{std::move(next), label(*node) + " need not vote any more"};
    }
    return {};
}

// A learner whose vote would be better placed than a voter's becomes a voter; then there is one too
// many, and demote() ends the swap.
Step Policy::begin_swap() const {
    if (!has_quorum(facts_.members.voters)) return {};
    const NodeFacts* best = nullptr;
    Spread best_spread = spread_of(voters_);
    for (const NodeFacts* candidate : candidates_) {
        for (const NodeFacts* voter : voters_) {
            if (voter->id == facts_.leader) continue;
            const Spread spread = spread_of(with(without(voters_, voter), candidate));
            if (spread >= best_spread) continue;
            best = candidate;
            best_spread = spread;
        }
    }
    if (best == nullptr) return {};
    return make_voter(*best, label(*best) + " becomes a voter: it spreads them better");
}

}  // namespace

std::size_t voters_wanted(std::size_t nodes) {
    if (nodes <= 2) return nodes;
    return nodes <= 4 ? 3 : 5;
}

Step next_step(const Facts& facts) { return Policy(facts).next(); }

}  // namespace hamster::cluster
