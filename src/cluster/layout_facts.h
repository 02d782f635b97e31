// What the metadata says of the layout, gathered for the policy and for people. Reads one view; any
// thread, but not a control loop: it takes milliseconds, reencode_left() longer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/layout_policy.h"
#include "cluster/policy.h"
#include "meta/view.h"
#include "placement/tolerance.h"

namespace hamster::cluster {

// Where slots are. Without a layout: one slot of each partition, on the founder.
struct LayoutPlaces {
    std::uint64_t version = 0;  // of the layout
    placement::Table table;
    std::map<NodeId, std::uint32_t> held;  // slots of the table, by node
    std::map<NodeId, std::uint32_t> owed;  // moved slots whose shards lie there until fetched
    std::uint32_t moving = 0;              // slots that have such sources
};

struct LayoutRows {
    proto::Layout layout;
    std::shared_ptr<const LayoutPlaces> places;
    std::vector<proto::Node> nodes;         // the members
    std::map<NodeId, std::uint64_t> blobs;  // of members: that lie nowhere else; 0 is left out
    std::vector<meta::GeometryEntry> geometries;  // of blobs, live and garbage
    std::vector<meta::GeometryEntry> live;        // of live ones; where people ask
    bool is_degraded = false;                     // a live blob lacks a shard
    NodeId founder;

    [[nodiscard]] Profile profile() const { return {layout.k(), layout.m()}; }
    [[nodiscard]] const proto::Node* find(const NodeId& node) const;
    // No shard is on the node, as far as the metadata knows.
    [[nodiscard]] bool is_empty(const NodeId& node) const;
    // That the node has, or that are to be fetched from it.
    [[nodiscard]] std::uint32_t slots_on(const NodeId& node) const;
    // Members that are not leaving.
    [[nodiscard]] std::size_t staying() const;
    // Slots of the widest blob, live or garbage.
    [[nodiscard]] std::uint32_t widest() const;
};

// `before`: as read earlier from this replica, taken over when nothing has changed; may be null.
// kCorrupt.
Result<LayoutRows> read_layout(const meta::View& view,
                               const std::shared_ptr<const LayoutPlaces>& before);

// `all` without the garbage. Walks that, if geometries of another profile than `now` are among
// them.
Result<std::vector<meta::GeometryEntry>> live_geometries(const meta::View& view,
                                                         std::vector<meta::GeometryEntry> all,
                                                         Profile now);

// Live blobs whose geometry is not the one that `wanted` asks for.
struct ReencodeLeft {
    std::uint64_t blobs = 0;
    std::uint64_t bytes = 0;
    bool operator==(const ReencodeLeft&) const = default;
};
// Whether the blob is one of them. Small ones are to be 1+m.
bool is_to_be_reencoded(const proto::Blob& blob, Profile wanted);
// Walks all blobs: a second or two for a million.
Result<ReencodeLeft> reencode_left(const meta::View& view, Profile wanted);

// `seen`: what the leader sees of the nodes. kCorrupt: the rows contradict each other.
Result<LayoutFacts> layout_facts(const LayoutRows& rows, const Facts& seen, bool is_reencoded);

// What new blobs bear while only the nodes of `up` are there.
placement::Tolerance tolerance_of(const LayoutRows& rows, const std::set<NodeId>& up);

}  // namespace hamster::cluster
