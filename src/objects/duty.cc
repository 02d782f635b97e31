#include "objects/duty.h"

#include <algorithm>

namespace hamster::objects {

namespace {

using base::NodeId;
using base::Slot;
using meta::PartitionPlaces;

constexpr Slot kFirstSlot{0};

bool has_source(const PartitionPlaces& places, Slot slot) {
    return std::ranges::any_of(places.sources,
                               [slot](const auto& source) { return source.slot == slot; });
}

std::uint32_t slots_of(const proto::Blob& blob, const PartitionPlaces& places) {
    return std::min<std::uint32_t>(meta::width_of(blob),
                                   static_cast<std::uint32_t>(places.nodes.size()));
}

}  // namespace

NodeId holder_of(const proto::Blob& blob, const NodeId& founder) {
    if (blob.holder().empty()) return founder;
    return NodeId::from_bytes(blob.holder()).value_or(NodeId{});
}

std::optional<Duty> first_duty_of(const proto::Blob& blob, const PartitionPlaces& places,
                                  const NodeId& self, const NodeId& founder) {
    if (blob.placed()) return duty_of(blob, places, self, founder);
    if (holder_of(blob, founder) != self) return std::nullopt;
    return Duty{kFirstSlot, false, false};
}

std::optional<Duty> duty_of(const proto::Blob& blob, const PartitionPlaces& places,
                            const NodeId& self, const NodeId& founder) {
    const std::uint32_t slots = blob.placed() ? slots_of(blob, places) : 1;
    for (std::uint32_t i = 0; i < slots; ++i) {
        if (places.nodes[i] != self) continue;
        const Slot slot{static_cast<std::uint8_t>(i)};
        if (!blob.placed()) return Duty{slot, true, holder_of(blob, founder) != self};
        const bool is_missing = meta::is_missing(blob, slot);
        return Duty{slot, is_missing, !is_missing && has_source(places, slot)};
    }
    return std::nullopt;
}

bool is_needed_at(const NodeId& node, Slot slot, const proto::Blob& blob,
                  const PartitionPlaces& places, const NodeId& founder) {
    if (slot.value >= meta::width_of(blob)) return false;
    if (!blob.placed() && slot == kFirstSlot && holder_of(blob, founder) == node) return true;
    if (slot.value >= places.nodes.size()) return true;  // rows that contradict each other
    if (places.nodes[slot.value] == node) return true;
    return std::ranges::any_of(places.sources, [&](const auto& source) {
        return source.slot == slot && source.node == node;
    });
}

std::vector<NodeId> homes_of(const proto::Blob& blob, const PartitionPlaces& places,
                             const NodeId& founder) {
    std::vector<NodeId> homes;
    const auto add = [&homes](const NodeId& node) {
        if (std::ranges::find(homes, node) == homes.end()) homes.push_back(node);
    };
    if (!blob.placed()) add(holder_of(blob, founder));
    const std::uint32_t slots = slots_of(blob, places);
    for (std::uint32_t i = 0; i < slots; ++i) add(places.nodes[i]);
    for (const auto& source : places.sources) {
        if (source.slot.value < slots) add(source.node);
    }
    return homes;
}

Result<BlobPlace> place_of(const base::BlobId& id, const proto::Blob& blob,
                           const PartitionPlaces& places, const NodeId& founder) {
    BlobPlace place;
    place.blob = id;
    TRY_ASSIGN(place.shape, shape_of(blob));
    for (std::uint32_t i = 0; i < place.shape.width(); ++i) {
        const Slot slot{static_cast<std::uint8_t>(i)};
        for (const NodeId& node : meta::places_of(blob, places, slot, founder)) {
            place.shards.push_back({slot, node});
        }
    }
    return place;
}

}  // namespace hamster::objects
