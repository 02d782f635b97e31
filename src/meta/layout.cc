#include "meta/layout.h"

#include <algorithm>

#include "base/assert.h"
#include "base/partitions.h"
#include "erasure/kernel.h"
#include "meta/limits.h"
#include "placement/table.h"

namespace hamster::meta {

namespace {

using base::NodeId;
using base::Slot;
using Source = PartitionPlaces::Source;

static_assert(kMaxSlots == erasure::kMaxSlots && placement::kMaxWidth <= kMaxSlots);
static_assert(kMaxSlots <= 64, "Blob.missing has a bit for each slot");

bool has_twice(std::vector<NodeId> nodes) {
    std::ranges::sort(nodes);
    return std::ranges::adjacent_find(nodes) != nodes.end();
}

bool is_well_formed(const PartitionPlaces& places) {
    if (places.nodes.empty() || places.nodes.size() > kMaxSlots || has_twice(places.nodes)) {
        return false;
    }
    if (places.sources.size() > kMaxSources) return false;
    for (auto at = places.sources.begin(); at != places.sources.end(); ++at) {
        if (at->slot.value >= places.nodes.size()) return false;
        if (places.nodes[at->slot.value] == at->node) return false;
        if (std::find(places.sources.begin(), at, *at) != at) return false;
    }
    return true;
}

std::unexpected<Error> malformed(const char* what) {
    return fail(Code::kCorrupt, std::string("the metadata row of ") + what + " is malformed");
}

}  // namespace

std::uint32_t width_of(const proto::Blob& blob) { return blob.k() + blob.m(); }

bool is_missing(const proto::Blob& blob, Slot slot) {
    return slot.value < kMaxSlots && (blob.missing() >> slot.value & 1U) != 0;
}

std::vector<NodeId> places_of(const proto::Blob& blob, const PartitionPlaces& places, Slot slot,
                              const NodeId& founder) {
    if (slot.value >= kMaxSlots || slot.value >= width_of(blob) || is_missing(blob, slot)) {
        return {};
    }
    if (!blob.placed()) {
        if (blob.holder().empty()) return {founder};
        const auto holder = NodeId::from_bytes(blob.holder());
        return holder ? std::vector{*holder} : std::vector<NodeId>{};
    }
    if (slot.value >= places.nodes.size()) return {};
    std::vector<NodeId> nodes{places.nodes[slot.value]};
    for (const Source& source : places.sources) {
        if (source.slot == slot) nodes.push_back(source.node);
    }
    return nodes;
}

proto::Layout first_layout() {
    proto::Layout layout;
    layout.set_k(1);
    layout.set_width(1);
    return layout;
}

PartitionPlaces first_places(const NodeId& founder) { return {0, {founder}, {}}; }

Result<PartitionPlaces> parse_places(std::string_view row) {
    constexpr const char* kWhat = "a partition";
    proto::PartitionLayout message;
    if (!message.ParseFromArray(row.data(), static_cast<int>(row.size()))) return malformed(kWhat);
    PartitionPlaces places;
    places.version = message.version();
    for (const std::string& bytes : message.nodes()) {
        const auto node = NodeId::from_bytes(bytes);
        if (!node) return malformed(kWhat);
        places.nodes.push_back(*node);
    }
    for (const auto& source : message.sources()) {
        const auto node = NodeId::from_bytes(source.node());
        if (!node || source.slot() >= kMaxSlots) return malformed(kWhat);
        places.sources.push_back({Slot{static_cast<std::uint8_t>(source.slot())}, *node});
    }
    if (!is_well_formed(places)) return malformed(kWhat);
    return places;
}

proto::PartitionLayout row_of(const PartitionPlaces& places) {
    HAMSTER_ASSERT(is_well_formed(places), places.version, places.nodes.size());
    proto::PartitionLayout row;
    row.set_version(places.version);
    for (const NodeId& node : places.nodes) {
        row.add_nodes(std::string(node.view()));
    }
    for (const Source& source : places.sources) {
        auto& added = *row.add_sources();
        added.set_slot(source.slot.value);
        added.set_node(std::string(source.node.view()));
    }
    return row;
}

Result<proto::Layout> parse_layout(std::string_view row) {
    proto::Layout layout;
    if (!layout.ParseFromArray(row.data(), static_cast<int>(row.size()))) {
        return malformed("the layout");
    }
    const std::uint64_t slots = std::uint64_t{layout.k()} + layout.m();
    if (layout.k() == 0 || slots > layout.width() || layout.width() > kMaxSlots ||
        layout.unsettled() > base::partitions()) {
        return malformed("the layout");
    }
    return layout;
}

}  // namespace hamster::meta
