#include "cluster/layout_facts.h"

#include <algorithm>
#include <utility>

#include "base/partitions.h"
#include "objects/shard_write.h"
#include "placement/profile.h"

namespace hamster::cluster {

namespace {

constexpr std::size_t kBlobsAtOnce = 1000;

Error corrupt(std::string what) { return {Code::kCorrupt, "the layout: " + std::move(what)}; }

NodeId id_of(const proto::Node& node) {
    return NodeId::from_bytes(node.node_id()).value_or(NodeId{});
}

Result<std::shared_ptr<const LayoutPlaces>> read_places(const meta::View& view,
                                                        const proto::Layout& layout) {
    auto read = std::make_shared<LayoutPlaces>();
    read->version = layout.version();
    read->table = placement::Table::of_width(layout.width());
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        TRY_ASSIGN(const meta::PartitionPlaces places, view.places(partition));
        if (places.nodes.size() != layout.width()) {
            return std::unexpected(corrupt("a partition of another width"));
        }
        std::set<base::Slot> moving;
        for (std::uint8_t slot = 0; slot < places.nodes.size(); ++slot) {
            read->table.set({partition, slot}, places.nodes[slot]);
            ++read->held[places.nodes[slot]];
        }
        for (const auto& source : places.sources) {
            ++read->owed[source.node];
            moving.insert(source.slot);
        }
        read->moving += static_cast<std::uint32_t>(moving.size());
    }
    if (const auto flaw = placement::flaw_of(read->table)) return std::unexpected(corrupt(*flaw));
    return read;
}

}  // namespace

const proto::Node* LayoutRows::find(const NodeId& node) const {
    const auto found = std::ranges::find(nodes, node, id_of);
    return found == nodes.end() ? nullptr : &*found;
}

// Before the first layout the founder has blobs that count as placed.
bool LayoutRows::is_empty(const NodeId& node) const {
    return !places->held.contains(node) && !places->owed.contains(node) && !blobs.contains(node);
}

std::uint32_t LayoutRows::slots_on(const NodeId& node) const {
    const auto held = places->held.find(node);
    const auto owed = places->owed.find(node);
    return (held == places->held.end() ? 0 : held->second) +
           (owed == places->owed.end() ? 0 : owed->second);
}

std::size_t LayoutRows::staying() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(nodes, [](const proto::Node& node) { return !node.leaving(); }));
}

std::uint32_t LayoutRows::widest() const {
    std::uint32_t width = 1;
    for (const auto& geometry : geometries) width = std::max(width, geometry.k + geometry.m);
    return width;
}

// Sources go without a new version of the layout; only when there are none can nothing go.
Result<LayoutRows> read_layout(const meta::View& view,
                               const std::shared_ptr<const LayoutPlaces>& before) {
    LayoutRows rows;
    TRY_ASSIGN(rows.layout, view.layout());
    TRY_ASSIGN(rows.nodes, view.nodes());
    TRY_ASSIGN(const auto trust, view.trust());
    if (!trust) return std::unexpected(corrupt("there is no founder"));
    rows.founder = NodeId::from_bytes(trust->founder()).value_or(NodeId{});
    const bool is_known = before && before->version == rows.layout.version() &&
                          before->moving == 0 && rows.layout.unsettled() == 0;
    if (is_known) {
        rows.places = before;
    } else {
        TRY_ASSIGN(rows.places, read_places(view, rows.layout));
    }
    for (const proto::Node& node : rows.nodes) {
        TRY_ASSIGN(const std::uint64_t blobs, view.blobs_held(id_of(node)));
        if (blobs > 0) rows.blobs[id_of(node)] = blobs;
    }
    TRY_ASSIGN(rows.geometries, view.geometries());
    TRY_ASSIGN(const auto degraded, view.degraded(std::nullopt, 1));
    rows.is_degraded = !degraded.empty();
    return rows;
}

Result<std::vector<meta::GeometryEntry>> live_geometries(const meta::View& view,
                                                         std::vector<meta::GeometryEntry> all,
                                                         Profile now) {
    const bool is_uniform = std::ranges::all_of(all, [now](const meta::GeometryEntry& entry) {
        const Profile profile{entry.k, entry.m};
        return profile == now || profile == placement::small_copies(now);
    });
    std::optional<base::BlobId> after;
    while (!is_uniform) {
        TRY_ASSIGN(const auto page, view.garbage(after, kBlobsAtOnce));
        for (const auto& [id, garbage] : page) {
            const proto::Blob& blob = garbage.blob();
            const auto found = std::ranges::find_if(all, [&blob](const auto& entry) {
                return entry.k == blob.k() && entry.m == blob.m();
            });
            if (found == all.end() || found->count.blobs() == 0) {
                return std::unexpected(corrupt("garbage that is not counted"));
            }
            found->count.set_blobs(found->count.blobs() - 1);
            found->count.set_bytes(found->count.bytes() - blob.size());
        }
        if (page.size() < kBlobsAtOnce) break;
        after = page.back().blob;
    }
    std::erase_if(all, [](const auto& entry) { return entry.count.blobs() == 0; });
    return all;
}

bool is_to_be_reencoded(const proto::Blob& blob, Profile wanted) {
    const bool is_small = blob.size() <= objects::kSmallBlobBytes;
    const Profile right = is_small ? placement::small_copies(wanted) : wanted;
    return Profile{blob.k(), blob.m()} != right;
}

Result<ReencodeLeft> reencode_left(const meta::View& view, Profile wanted) {
    ReencodeLeft left;
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        std::optional<base::BlobId> after;
        for (;;) {
            TRY_ASSIGN(const auto page, view.blobs_of(partition, after, kBlobsAtOnce));
            for (const auto& [id, blob] : page) {
                if (!is_to_be_reencoded(blob, wanted)) continue;
                ++left.blobs;
                left.bytes += blob.size();
            }
            if (page.size() < kBlobsAtOnce) break;
            after = page.back().id;
        }
    }
    return left;
}

Result<LayoutFacts> layout_facts(const LayoutRows& rows, const Facts& seen, bool is_reencoded) {
    LayoutFacts facts;
    for (const proto::Node& node : rows.nodes) {
        LayoutNode& fact = facts.nodes.emplace_back();
        fact.id = id_of(node);
        fact.name = node.name();
        fact.zone = node.zone();
        fact.host = node.host();
        fact.capacity_bytes = node.capacity_bytes();
        fact.leaving = node.leaving();
        fact.votes = seen.members.is_voter(fact.id);
        fact.holds_blobs = rows.blobs.contains(fact.id);
        fact.replaces = NodeId::from_bytes(node.replaces()).value_or(NodeId{});
        const auto found = std::ranges::find(seen.nodes, fact.id, &NodeFacts::id);
        fact.ready = found != seen.nodes.end() && found->reachable && found->caught_up;
        if (node.leaving() && rows.places->owed.contains(fact.id)) facts.sources.insert(fact.id);
    }
    facts.version = rows.layout.version();
    facts.table = rows.places->table;
    facts.profile = rows.profile();
    if (!rows.layout.pinned().empty()) {
        TRY_ASSIGN(facts.pinned, placement::parse_profile(rows.layout.pinned()));
    }
    facts.is_settled = rows.layout.unsettled() == 0;
    facts.widest = rows.widest();
    if (facts.widest > facts.table.width) {
        return std::unexpected(corrupt("there are blobs with more slots than partitions have"));
    }
    if (rows.layout.has_reencode()) {
        facts.reencode = Profile{rows.layout.reencode().k(), rows.layout.reencode().m()};
        facts.is_reencoded = is_reencoded;
    }
    return facts;
}

placement::Tolerance tolerance_of(const LayoutRows& rows, const std::set<NodeId>& up) {
    std::vector<placement::Node> nodes;
    for (const proto::Node& node : rows.nodes) {
        if (!up.contains(id_of(node))) continue;
        nodes.push_back({id_of(node), node.zone(), node.host(), node.capacity_bytes(), true});
    }
    return placement::tolerance(rows.places->table, nodes, rows.layout.k(), rows.layout.m());
}

}  // namespace hamster::cluster
