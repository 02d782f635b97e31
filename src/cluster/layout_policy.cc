#include "cluster/layout_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "placement/layout.h"

namespace hamster::cluster {

namespace {

// A node whose number of places is off by less than one part in so many stays as it is: capacities
// that differ a little are not worth the copying.
constexpr std::uint32_t kNoticeable = 20;

std::string label(const LayoutNode& node) { return node.name.empty() ? node.id.hex() : node.name; }

bool is_none(const LayoutStep& step) { return std::holds_alternative<std::monostate>(step); }

std::set<NodeId> nodes_with_places(const placement::Table& table) {
    return {table.nodes.begin(), table.nodes.end()};
}

using Nodes = std::vector<const LayoutNode*>;

std::vector<placement::Node> as_holders(const Nodes& nodes) {
    std::vector<placement::Node> out;
    for (const LayoutNode* node : nodes) {
        out.push_back({node->id, node->zone, node->host, node->capacity_bytes, true});
    }
    return out;
}

// One question. Each method that answers a step answers the one that its rule wants, or none.
class LayoutPolicy {
  public:
    explicit LayoutPolicy(const LayoutFacts& facts);
    [[nodiscard]] LayoutStep next() const;
    [[nodiscard]] std::string hindrance() const;

  private:
    [[nodiscard]] LayoutStep dismiss_replaced() const;
    [[nodiscard]] LayoutStep begin_replacing() const;
    [[nodiscard]] LayoutStep hand_places_over() const;
    [[nodiscard]] LayoutStep change_table() const;
    [[nodiscard]] LayoutStep change_while_too_few() const;
    [[nodiscard]] LayoutStep change_reencode() const;

    [[nodiscard]] const LayoutNode* find(const NodeId& id) const;
    [[nodiscard]] bool has_places(const NodeId& id) const { return placed_.contains(id); }
    // Who takes over from `node`, as soon as it can.
    [[nodiscard]] const LayoutNode* successor_of(const LayoutNode& node) const;
    [[nodiscard]] bool waits_for_places(const LayoutNode& node) const;
    [[nodiscard]] Profile wanted_profile() const { return profile_on(holders_.size()); }
    [[nodiscard]] Profile profile_on(std::size_t nodes) const;
    [[nodiscard]] LayoutStep change_profile(const Profile& profile, std::string_view why) const;
    // Blobs are wider than the nodes are many.
    [[nodiscard]] bool is_too_few() const { return facts_.widest > holders_.size(); }
    [[nodiscard]] bool is_alone() const;
    // Bodies that are only on nodes which are leaving, and which no layout moves yet.
    [[nodiscard]] bool has_leaving_blobs() const;
    [[nodiscard]] bool has_strangers() const;
    // A node that is leaving is to be replaced by one that is not there now: its places are not
    // given up as long as that one is a member.
    [[nodiscard]] const LayoutNode* awaited_successor() const;
    [[nodiscard]] bool awaits_successor() const { return awaited_successor() != nullptr; }
    // The holders, and those that are leaving and hold something.
    [[nodiscard]] Nodes all_with_places() const;
    [[nodiscard]] bool is_due(const placement::Table& next,
                              const std::vector<placement::Node>& nodes) const;
    [[nodiscard]] bool has_uneven_loads(const std::vector<placement::Node>& nodes) const;
    [[nodiscard]] bool is_badly_spread(std::vector<placement::Node> nodes) const;

    const LayoutFacts& facts_;
    std::map<NodeId, const LayoutNode*> nodes_;
    std::set<NodeId> placed_;
    Nodes holders_;  // that are to have places, now or soon; by id
};

LayoutPolicy::LayoutPolicy(const LayoutFacts& facts)
    : facts_(facts), placed_(nodes_with_places(facts.table)) {
    HAMSTER_ASSERT(!placement::flaw_of(facts.table) && facts.table.width >= 1);
    HAMSTER_ASSERT(facts.widest >= 1 && facts.widest <= facts.table.width, facts.widest,
                   facts.table.width);
    for (const LayoutNode& node : facts.nodes) {
        nodes_.emplace(node.id, &node);
    }
    HAMSTER_ASSERT(nodes_.size() == facts.nodes.size(), nodes_.size());
    // Who is down stays: only people take a node out.
    for (const auto& [id, node] : nodes_) {
        const bool may_hold = !node->leaving && (has_places(id) || node->ready);
        if (may_hold && !waits_for_places(*node)) holders_.push_back(node);
    }
}

const LayoutNode* LayoutPolicy::find(const NodeId& id) const {
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : found->second;
}

const LayoutNode* LayoutPolicy::successor_of(const LayoutNode& node) const {
    for (const auto& [id, other] : nodes_) {
        const bool can = !other->leaving && (other->ready || has_places(id));
        if (can && id != node.id && other->replaces == node.id) return other;
    }
    return nullptr;
}

// It gets the places of the node that it replaces, and no others before. While there are places of
// nobody all are dealt out anew.
bool LayoutPolicy::waits_for_places(const LayoutNode& node) const {
    return !has_places(node.id) && find(node.replaces) != nullptr && has_places(node.replaces) &&
           !has_strangers();
}

bool LayoutPolicy::is_alone() const {
    return holders_.size() == 1 && placed_ == std::set<NodeId>{holders_.front()->id};
}

bool LayoutPolicy::has_leaving_blobs() const {
    return std::ranges::any_of(nodes_, [](const auto& entry) {
        return entry.second->leaving && entry.second->holds_blobs;
    });
}

bool LayoutPolicy::has_strangers() const {
    return std::ranges::any_of(placed_, [this](const NodeId& id) { return find(id) == nullptr; });
}

const LayoutNode* LayoutPolicy::awaited_successor() const {
    if (has_strangers()) return nullptr;
    for (const auto& [id, heir] : nodes_) {
        const LayoutNode* node = heir->leaving ? nullptr : find(heir->replaces);
        const bool is_awaited = node != nullptr && node->leaving && has_places(node->id) &&
                                successor_of(*node) == nullptr;
        if (is_awaited) return heir;
    }
    return nullptr;
}

Nodes LayoutPolicy::all_with_places() const {
    Nodes all = holders_;
    for (const auto& [id, node] : nodes_) {
        if (node->leaving && has_places(id)) all.push_back(node);
    }
    return all;
}

Profile LayoutPolicy::profile_on(std::size_t nodes) const {
    const bool fits = facts_.pinned && facts_.pinned->width() <= nodes;
    return fits ? *facts_.pinned : placement::profile_for(nodes);
}

LayoutStep LayoutPolicy::next() const {
    using Rule = LayoutStep (LayoutPolicy::*)() const;
    for (const Rule rule : {&LayoutPolicy::dismiss_replaced, &LayoutPolicy::begin_replacing,
                            &LayoutPolicy::hand_places_over, &LayoutPolicy::change_table,
                            &LayoutPolicy::change_reencode}) {
        LayoutStep step = (this->*rule)();
        if (!is_none(step)) return step;
    }
    return {};
}

// Who was replaced goes when nothing lies on it any more, whether it is alive or dead. Its vote
// went to another node before (policy.h).
LayoutStep LayoutPolicy::dismiss_replaced() const {
    for (const auto& [id, node] : nodes_) {
        const bool is_empty = !has_places(id) && !facts_.sources.contains(id) && !node->holds_blobs;
        if (!node->leaving || node->votes || !is_empty) continue;
        const LayoutNode* by = successor_of(*node);
        if (by != nullptr) return Dismiss{id, label(*by) + " has replaced " + label(*node)};
    }
    return {};
}

LayoutStep LayoutPolicy::begin_replacing() const {
    for (const auto& [id, node] : nodes_) {
        const LayoutNode* by = node->leaving ? nullptr : successor_of(*node);
        if (by != nullptr) return BeginLeaving{id, label(*by) + " replaces " + label(*node)};
    }
    return {};
}

// Place by place the same: nothing else moves, and nothing is re-encoded.
LayoutStep LayoutPolicy::hand_places_over() const {
    for (const auto& [id, node] : nodes_) {
        if (!node->leaving || !has_places(id)) continue;
        const LayoutNode* by = successor_of(*node);
        if (by == nullptr || has_places(by->id) || has_strangers()) continue;
        auto table = placement::replace(facts_.table, id, by->id);
        HAMSTER_ASSERT(table.has_value());
        return PutTable{std::move(*table), facts_.profile,
                        label(*by) + " takes the places of " + label(*node)};
    }
    return {};
}

LayoutStep LayoutPolicy::change_table() const {
    if (holders_.empty()) return {};
    const bool is_first = facts_.version == 0;
    if (is_first && is_alone() && !facts_.pinned && !has_leaving_blobs()) return {};
    if (is_too_few()) return awaits_successor() ? LayoutStep{} : change_while_too_few();
    const Profile profile = wanted_profile();
    const std::uint32_t width = std::max(profile.width(), facts_.widest);
    const std::vector<placement::Node> nodes = as_holders(holders_);
    // Where there are new slots, old shards move to the new nodes as well, or these would get none
    // of the objects that are there already, nor of the small ones to come.
    auto next = width > facts_.table.width
                    ? placement::compute_with_even_slots(&facts_.table, nodes, width)
                    : placement::compute(&facts_.table, nodes, width);
    HAMSTER_ASSERT(next.has_value());
    const bool moves = is_due(*next, nodes);
    if (!moves && profile == facts_.profile && !is_first) return {};
    if (!moves) *next = facts_.table;
    return PutTable{std::move(*next), profile,
                    fmt::format("{} on {} node{}", placement::to_string(profile), nodes.size(),
                                nodes.size() == 1 ? "" : "s")};
}

// Nobody's places go before the wide blobs have become narrower: those that are leaving hold them
// until then, as far as they are there. Where most nodes are gone for good, the rest goes on with
// the places it has, and with what its number can bear; what is missing returns with new nodes.
LayoutStep LayoutPolicy::change_while_too_few() const {
    if (!has_strangers()) {
        return change_profile(wanted_profile(), "there are too few nodes for wider ones");
    }
    const Nodes all = all_with_places();
    if (all.size() < facts_.widest) {
        const auto left = static_cast<std::size_t>(std::ranges::count_if(
            holders_,
            [this](const LayoutNode* node) { return node->ready && has_places(node->id); }));
        if (left == 0) return {};
        return change_profile(profile_on(left), "the other nodes are gone for good");
    }
    auto table = placement::compute(&facts_.table, as_holders(all), facts_.widest);
    HAMSTER_ASSERT(table.has_value());
    return PutTable{std::move(*table), wanted_profile(), "places of nodes that are gone for good"};
}

LayoutStep LayoutPolicy::change_profile(const Profile& profile, std::string_view why) const {
    if (profile == facts_.profile) return {};
    return PutTable{facts_.table, profile,
                    fmt::format("new objects become {}: {}", placement::to_string(profile), why)};
}

// A re-encoding that is under way follows the profile. One that makes room for a node to leave
// begins by itself, and goes on until the wide blobs are gone from all disks. Where nodes are gone
// for good none begins: what is left of their blobs is to become whole again.
LayoutStep LayoutPolicy::change_reencode() const {
    if (holders_.empty()) return {};
    const bool is_needed = is_too_few() && facts_.profile.width() <= holders_.size() &&
                           !has_strangers() && !awaits_successor();
    if (!facts_.reencode && !is_needed) return {};
    if (facts_.reencode != facts_.profile) {
        return StartReencode{facts_.profile, is_needed ? "there are too few nodes for wider objects"
                                                       : "the profile has changed"};
    }
    if (facts_.is_reencoded && !is_needed) return StopReencode{"all objects are re-encoded"};
    return {};
}

bool LayoutPolicy::is_due(const placement::Table& next,
                          const std::vector<placement::Node>& nodes) const {
    if (next == facts_.table) return false;
    if (next.width != facts_.table.width || nodes_with_places(next) != placed_) return true;
    // Only better than what is there: that can wait.
    return facts_.is_settled && (has_uneven_loads(nodes) || is_badly_spread(nodes));
}

bool LayoutPolicy::has_uneven_loads(const std::vector<placement::Node>& nodes) const {
    std::map<NodeId, std::uint32_t> has;
    for (const placement::Share& share : placement::shares_of(facts_.table)) {
        has[share.node] = share.places;
    }
    const auto shares = placement::ideal_shares(nodes, facts_.table.width);
    return std::ranges::any_of(shares, [&has](const placement::Share& ideal) {
        const std::uint32_t is = has[ideal.node];
        const std::uint32_t off = std::max(is, ideal.places) - std::min(is, ideal.places);
        return off > 1 && off * kNoticeable > ideal.places;
    });
}

// Zones or hosts have too much of a partition. With weights that are just what each has, nothing
// else could move a place.
bool LayoutPolicy::is_badly_spread(std::vector<placement::Node> nodes) const {
    std::map<NodeId, std::uint32_t> has;
    for (const placement::Share& share : placement::shares_of(facts_.table)) {
        has[share.node] = share.places;
    }
    for (placement::Node& node : nodes) {
        node.weight = std::max(has[node.id], 1U);
    }
    const auto spread = placement::compute(&facts_.table, nodes, facts_.table.width);
    HAMSTER_ASSERT(spread.has_value());
    return *spread != facts_.table;
}

std::string LayoutPolicy::hindrance() const {
    if (holders_.empty()) return "no node is there to hold objects";
    if (!is_too_few()) return {};
    if (has_strangers() && all_with_places().size() < facts_.widest) {
        return fmt::format(
            "objects need {} nodes and there are {}: add nodes, or let `hamster "
            "optimize` store anew those that can be read",
            facts_.widest, all_with_places().size());
    }
    if (const LayoutNode* heir = awaited_successor()) {
        return fmt::format("{0} is to replace {1} and is not there: start it, or remove it",
                           label(*heir), label(*find(heir->replaces)));
    }
    return fmt::format("objects of {} shards are to be re-encoded for {} nodes before any can go",
                       facts_.widest, holders_.size());
}

}  // namespace

LayoutStep next_layout_step(const LayoutFacts& facts) { return LayoutPolicy(facts).next(); }

std::string layout_hindrance(const LayoutFacts& facts) { return LayoutPolicy(facts).hindrance(); }

}  // namespace hamster::cluster
