// The layout changes: a new table, slots that have settled, the profile and what is to be
// re-encoded.
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/partitions.h"
#include "meta/apply_parts.h"
#include "meta/blob_rows.h"
#include "meta/keyspace.h"
#include "meta/layout_rows.h"
#include "meta/limits.h"
#include "placement/encoding.h"
#include "placement/profile.h"
#include "placement/table.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;
using Refusal = std::optional<Answer>;
using Source = PartitionPlaces::Source;
using Nodes = std::vector<NodeId>;

// The partition with other nodes. Whoever had a slot becomes a source of it, and the sources that
// it had stay: shards of the slot may lie with any of them. The new node itself is asked first and
// so is no source, but the slot is not settled just because it had been there before: what was
// written since lies with the others. Slots that the partition has no more are used by no blob.
PartitionPlaces moved(const PartitionPlaces& before, Nodes nodes, std::uint64_t version) {
    PartitionPlaces after{version, std::move(nodes), {}};
    const auto add = [&after](Source source) {
        const std::size_t slot = source.slot.value;
        if (slot >= after.nodes.size() || after.nodes[slot] == source.node) return;
        if (std::ranges::find(after.sources, source) == after.sources.end()) {
            after.sources.push_back(source);
        }
    };
    for (const Source& source : before.sources) {
        add(source);
    }
    for (std::size_t i = 0; i < before.nodes.size(); ++i) {
        add({base::Slot{static_cast<std::uint8_t>(i)}, before.nodes[i]});
    }
    return after;
}

std::uint64_t widest(const GeometryCounts& counts) {
    std::uint64_t width = 0;
    for (const auto& [geometry, count] : counts) {
        width = std::max(width, std::uint64_t{geometry.k} + geometry.m);
    }
    return width;
}

// Who gets a place must be a member. Nodes that are gone for good may keep theirs, until there are
// others for these.
Result<Refusal> judge_nodes(const Txn& txn, const placement::Table& table,
                            const std::vector<PartitionPlaces>& before) {
    std::set<NodeId> newcomers;
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const auto nodes = table.of(partition);
        const auto& old = before[partition].nodes;
        for (std::size_t slot = 0; slot < nodes.size(); ++slot) {
            if (slot >= old.size() || nodes[slot] != old[slot]) newcomers.insert(nodes[slot]);
        }
    }
    for (const NodeId& node : newcomers) {
        if (node.is_zero())
            return refuse(Answer::INVALID_REQUEST, "the table has a slot of nobody");
        TRY_ASSIGN(const bool is_member, txn.exists(node_row(node)));
        if (!is_member) return refuse(Answer::NO_SUCH_NODE, "node " + node.hex() + " is no member");
    }
    return std::nullopt;
}

Result<Refusal> judge_width(Txn& txn, const proto::SetLayout& command, std::uint32_t width) {
    if (command.k() == 0 || std::uint64_t{command.k()} + command.m() > width || width > kMaxSlots) {
        return refuse(Answer::INVALID_REQUEST, "the table is not as wide as the profile");
    }
    TRY_ASSIGN(const auto counts, count_geometries(txn));
    if (widest(counts) > width) {
        return refuse(Answer::INVALID_REQUEST, "there are blobs that need more slots");
    }
    return std::nullopt;
}

// Writes the rows of the partitions that change; how many have sources then.
Result<Refusal> move_partitions(Txn& txn, const placement::Table& table,
                                const std::vector<PartitionPlaces>& all, proto::Layout& layout) {
    std::uint32_t unsettled = 0;
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const PartitionPlaces& before = all[partition];
        const auto nodes = table.of(partition);
        if (std::ranges::equal(before.nodes, nodes)) {
            unsettled += before.sources.empty() ? 0 : 1;
            continue;
        }
        const PartitionPlaces after =
            moved(before, Nodes(nodes.begin(), nodes.end()), layout.version());
        if (after.sources.size() > kMaxSources) {
            return refuse(Answer::INVALID_REQUEST, "partition " + std::to_string(partition) +
                                                       " has too many moves that have not settled");
        }
        unsettled += after.sources.empty() ? 0 : 1;
        put_places(txn, partition, after);
    }
    layout.set_unsettled(unsettled);
    return std::nullopt;
}

struct Settled {
    std::uint16_t partition = 0;
    base::Slot slot;
    NodeId node;
    std::uint64_t version = 0;
};

std::optional<Settled> parse(const proto::SettleSlots::Settled& settled) {
    const auto node = NodeId::from_bytes(settled.node());
    if (!node || settled.partition() >= base::partitions() || settled.slot() >= kMaxSlots) {
        return std::nullopt;
    }
    return Settled{static_cast<std::uint16_t>(settled.partition()),
                   base::Slot{static_cast<std::uint8_t>(settled.slot())}, *node, settled.version()};
}

// True when the partition has no sources any more, and had.
Result<bool> settle(Txn& txn, const Settled& settled) {
    TRY_ASSIGN(auto places, load_places(txn, settled.partition));
    if (!is_place(places, settled.slot, settled.node, settled.version)) return false;
    const std::size_t erased = std::erase_if(
        places.sources, [&](const Source& source) { return source.slot == settled.slot; });
    if (erased == 0) return false;
    put_places(txn, settled.partition, places);
    return places.sources.empty();
}

}  // namespace

Answered apply_set_layout(Txn& txn, const proto::SetLayout& command) {
    TRY_ASSIGN(auto layout, load_layout(txn));
    if (command.expected_version() != layout.version()) {
        return refuse(Answer::LAYOUT_CHANGED, "the layout is " + std::to_string(layout.version()));
    }
    const auto table = placement::decode(base::as_bytes(command.table()));
    if (!table) return refuse(Answer::INVALID_REQUEST, table.error().context);
    TRY_ASSIGN(auto refusal, judge_width(txn, command, table->width));
    if (refusal) return *refusal;
    TRY_ASSIGN(const auto places, load_all_places(txn));
    TRY_ASSIGN(refusal, judge_nodes(txn, *table, places));
    if (refusal) return *refusal;
    layout.set_version(layout.version() + 1);
    layout.set_k(command.k());
    layout.set_m(command.m());
    layout.set_width(table->width);
    TRY_ASSIGN(refusal, move_partitions(txn, *table, places, layout));
    if (refusal) return *refusal;
    TRY(put_layout(txn, layout));
    return Answer{};
}

Answered apply_settle_slots(Txn& txn, const proto::SettleSlots& command) {
    std::uint32_t done = 0;
    for (const auto& entry : command.settled()) {
        const auto settled = parse(entry);
        if (!settled) return refuse(Answer::INVALID_REQUEST, "malformed slot");
        TRY_ASSIGN(const bool is_last, settle(txn, *settled));
        done += is_last ? 1 : 0;
    }
    if (done == 0) return Answer{};
    TRY_ASSIGN(auto layout, load_layout(txn));
    if (layout.unsettled() < done) return Txn::corrupt_row(system_row("layout"));
    layout.set_unsettled(layout.unsettled() - done);
    TRY(put_layout(txn, layout));
    return Answer{};
}

Answered apply_set_profile(Txn& txn, const proto::SetProfile& command) {
    TRY_ASSIGN(auto layout, load_layout(txn));
    if (!command.pinned().empty()) {
        const auto profile = placement::parse_profile(command.pinned());
        if (!profile) return refuse(Answer::INVALID_REQUEST, profile.error().context);
        TRY_ASSIGN(const std::size_t staying, count_staying(txn));
        if (staying < profile->width()) {
            return refuse(
                Answer::PROFILE_IMPOSSIBLE,
                std::to_string(staying) + " nodes are too few for profile " + command.pinned());
        }
    }
    layout.set_pinned(command.pinned());
    TRY(put_layout(txn, layout));
    return Answer{};
}

Answered apply_set_reencode(Txn& txn, const proto::SetReencode& command) {
    TRY_ASSIGN(auto layout, load_layout(txn));
    layout.clear_reencode();
    if (command.has_reencode()) {
        const proto::Reencode& wanted = command.reencode();
        if (wanted.k() == 0 || std::uint64_t{wanted.k()} + wanted.m() > layout.width()) {
            return refuse(Answer::INVALID_REQUEST, "the layout has too few slots for the profile");
        }
        *layout.mutable_reencode() = wanted;
        layout.mutable_reencode()->set_since_ms(txn.stamp_ms());
    }
    TRY(put_layout(txn, layout));
    return Answer{};
}

}  // namespace hamster::meta
