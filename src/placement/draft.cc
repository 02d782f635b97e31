#include "placement/draft.h"

#include <algorithm>

#include "base/assert.h"
#include "base/partitions.h"

namespace hamster::placement {

Draft::Draft(const Tree& tree, const Table* previous, std::span<const Place> pinned)
    : tree_(&tree),
      at_(std::size_t{base::partitions()} * tree.width(), kNobody),
      before_(at_.size(), kNobody),
      pinned_(at_.size()),
      load_(tree.nodes()),
      slot_load_(std::size_t{tree.nodes()} * tree.width()) {
    for (GroupIndex node = 0; node < tree.nodes(); ++node) {
        const std::uint64_t share = tree[node].share;
        const std::uint64_t of_slot = share / width();
        wanted_.push_back({rounded_down(share, kOnePlace), rounded_up(share, kOnePlace),
                           rounded_down(of_slot, kOnePlace), rounded_up(of_slot, kOnePlace)});
        host_of_.push_back(tree[node].parent);
        zone_of_.push_back(tree[host_of_.back()].parent);
    }
    if (previous != nullptr) adopt(*previous);
    for (const Place place : pinned) {
        if (place.slot >= width()) continue;
        HAMSTER_ASSERT(place.partition < base::partitions(), place.partition);
        const PlaceIndex index = first_of(place.partition) + place.slot;
        if (at_[index] != kNobody) pinned_[index] = true;
    }
}

void Draft::adopt(const Table& previous) {
    const std::uint32_t common = std::min(width(), previous.width);
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const auto nodes = previous.of(partition);
        for (std::uint32_t slot = 0; slot < common; ++slot) {
            const GroupIndex node = tree_->find(nodes[slot]);
            if (node == tree_->nodes()) continue;
            give(first_of(partition) + slot, node);
            before_[first_of(partition) + slot] = node;
        }
    }
}

bool Draft::holds(std::uint16_t partition, GroupIndex node) const {
    const auto first = at_.begin() + first_of(partition);
    return std::find(first, first + width(), node) != first + width();
}

Cost Draft::cost(std::uint16_t partition, GroupIndex node) const {
    return rendezvous_cost(tree_->id(node), partition, (*tree_)[node].weight);
}

std::uint32_t Draft::closeness(PlaceIndex place, GroupIndex node, PlaceIndex except) const {
    constexpr std::uint32_t kZoneRatherThanHost = 256;  // more than all slots can add up to
    static_assert(kMaxWidth * kMaxWidth <= kZoneRatherThanHost);
    const std::uint32_t slot = slot_of(place);
    const PlaceIndex first = place - slot;
    std::uint32_t sum = 0;
    for (std::uint32_t i = 0; i < width(); ++i) {
        const PlaceIndex other = first + i;
        if (other == place || other == except || at_[other] == kNobody) continue;
        if (zone_of_[at_[other]] != zone_of_[node]) continue;
        // Objects that use the first slots only have both if they use the higher one.
        const std::uint32_t users = width() - std::max(slot, i);
        sum += users * kZoneRatherThanHost;
        if (host_of_[at_[other]] == host_of_[node]) sum += users;
    }
    return sum;
}

void Draft::count(PlaceIndex place, std::uint32_t change) {
    load_[at_[place]] += change;
    slot_load_[at_[place] * width() + slot_of(place)] += change;
}

void Draft::give(PlaceIndex place, GroupIndex node) {
    HAMSTER_ASSERT(at_[place] == kNobody && !holds(partition_of(place), node), place, node);
    at_[place] = node;
    count(place, 1);
}

void Draft::take(PlaceIndex place) {
    HAMSTER_ASSERT(at_[place] != kNobody && !pinned_[place], place);
    count(place, UINT32_MAX);  // minus one
    at_[place] = kNobody;
}

void Draft::swap(PlaceIndex one, PlaceIndex other) {
    const GroupIndex first = at_[one];
    const GroupIndex second = at_[other];
    HAMSTER_ASSERT(partition_of(one) == partition_of(other), one, other);
    take(one);
    take(other);
    give(one, second);
    give(other, first);
}

void Draft::load_spread_without(PlaceIndex place, Spread& spread) const {
    spread.clear();
    const PlaceIndex first = first_of(partition_of(place));
    for (PlaceIndex other = first; other < first + width(); ++other) {
        if (other != place && at_[other] != kNobody) spread.add(at_[other]);
    }
}

Table Draft::table() const {
    Table table = Table::of_width(width());
    for (PlaceIndex place = 0; place < places(); ++place) {
        HAMSTER_ASSERT(at_[place] != kNobody, place);
        table.nodes[place] = tree_->id(at_[place]);
    }
    return table;
}

}  // namespace hamster::placement
