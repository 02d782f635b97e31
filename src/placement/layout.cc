#include "placement/layout.h"

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "placement/draft.h"
#include "placement/tree.h"

namespace hamster::placement {

namespace {

void check(std::span<const Node> nodes, std::uint32_t width) {
    HAMSTER_ASSERT(width >= 1 && width <= kMaxWidth, width);
    HAMSTER_ASSERT(nodes.size() <= kMaxNodes, nodes.size());
    std::vector<NodeId> ids;
    for (const Node& node : nodes) {
        HAMSTER_ASSERT(!node.id.is_zero());
        ids.push_back(node.id);
    }
    std::ranges::sort(ids);
    HAMSTER_ASSERT(std::ranges::adjacent_find(ids) == ids.end());
}

std::size_t holders_among(std::span<const Node> nodes) {
    return static_cast<std::size_t>(
        std::ranges::count_if(nodes, [](const Node& node) { return node.may_hold; }));
}

// Who lost a slot of a partition and got another one of it gets back the one it had: the partition
// has the same nodes, and less moves. What a swap puts right no later one touches.
void keep_slots(Draft& draft) {
    for (PlaceIndex place = 0; place < draft.places(); ++place) {
        const GroupIndex node = draft.before(place);
        if (node == kNobody || draft.is_kept(place)) continue;
        const PlaceIndex first = draft.first_of(draft.partition_of(place));
        for (PlaceIndex other = first; other < first + draft.width(); ++other) {
            if (draft.at(other) != node) continue;
            HAMSTER_ASSERT(!draft.is_kept(other), other);
            draft.swap(place, other);
            break;
        }
    }
}

Result<Table> compute(const Table* previous, std::span<const Node> nodes, std::uint32_t width,
                      std::span<const Place> pinned, Scope slots) {
    check(nodes, width);
    if (previous != nullptr) {
        const auto flaw = flaw_of(*previous);
        HAMSTER_ASSERT(!flaw, *flaw);
    }
    const std::size_t holders = holders_among(nodes);
    if (holders < width) {
        return fail(Code::kPrecondition,
                    fmt::format("{} slots need as many nodes; there are {}", width, holders));
    }
    const Tree tree(nodes, width);
    Draft draft(tree, previous, pinned);
    free_crowded(draft);
    fill(draft);
    balance(draft);
    keep_slots(draft);
    even_slots(draft, slots);
    return draft.table();
}

}  // namespace

Result<Table> compute(const Table* previous, std::span<const Node> nodes, std::uint32_t width,
                      std::span<const Place> pinned) {
    return compute(previous, nodes, width, pinned, Scope::kNew);
}

Result<Table> compute_with_even_slots(const Table* previous, std::span<const Node> nodes,
                                      std::uint32_t width, std::span<const Place> pinned) {
    return compute(previous, nodes, width, pinned, Scope::kAll);
}

std::vector<Share> ideal_shares(std::span<const Node> nodes, std::uint32_t width) {
    check(nodes, width);
    std::vector<Share> shares;
    if (holders_among(nodes) < width) return shares;
    const Tree tree(nodes, width);
    for (GroupIndex node = 0; node < tree.nodes(); ++node) {
        const std::uint64_t places = (tree[node].share + kOnePlace / 2) / kOnePlace;
        shares.push_back({tree.id(node), static_cast<std::uint32_t>(places)});
    }
    return shares;
}

std::vector<Share> shares_of(const Table& table) {
    std::map<NodeId, std::uint32_t> places;
    for (const NodeId& node : table.nodes) {
        if (!node.is_zero()) ++places[node];
    }
    std::vector<Share> shares;
    shares.reserve(places.size());
    for (const auto& [node, count] : places) shares.push_back({node, count});
    return shares;
}

}  // namespace hamster::placement
