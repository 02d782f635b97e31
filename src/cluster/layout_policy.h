// How the layout follows the members: which single step comes next. Pure; any thread. Why it is as
// it is: docs/adr/0017-the-layout-follows-the-members.md.
//
// The leader asks again after every step, and whenever a fact changes. All that it goes by is in
// the metadata or seen anew, so any later leader goes on where this one stopped. Under the same
// facts, once slots have settled and blobs are re-encoded, it comes to an end.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "placement/profile.h"
#include "placement/table.h"

namespace hamster::cluster {

using base::NodeId;
using placement::Profile;

// A member by the metadata, and what the leader sees of it.
struct LayoutNode {
    NodeId id;
    std::string name;  // for people
    std::string zone;  // empty: nobody said
    std::string host;  // empty: not known
    std::uint64_t capacity_bytes = 0;
    bool ready = false;  // reachable and caught up: may get its first places
    bool leaving = false;
    bool votes = false;        // a voter of the membership in force
    bool holds_blobs = false;  // blobs that lie nowhere else and do not follow the layout yet
    NodeId replaces{};         // the node whose places it is to take; zero: none
    bool operator==(const LayoutNode&) const = default;
};

// What changes all the time is left out, so that equal facts are frequent.
struct LayoutFacts {
    std::vector<LayoutNode> nodes;  // ids unique; at most meta::kMaxNodes
    std::uint64_t version = 0;      // of the layout
    placement::Table table;         // a node in every slot; it may be a member no more
    Profile profile;                // of new blobs
    std::optional<Profile> pinned;  // that the operator chose
    bool is_settled = true;         // no partition has a source
    std::set<NodeId> sources;       // leaving nodes that some partition has as a source
    std::uint32_t widest = 1;       // slots of the widest blob, live or garbage
    std::optional<Profile> reencode;
    bool is_reencoded = false;  // no live blob is left that `reencode` is for
    bool operator==(const LayoutFacts&) const = default;
};

// The next table and profile of new blobs.
struct PutTable {
    placement::Table table;
    Profile profile;
    std::string why;  // for the log
};
// The node gives its places away.
struct BeginLeaving {
    NodeId node;
    std::string why;
};
// Blobs of other geometries are to become those of this profile.
struct StartReencode {
    Profile profile;
    std::string why;
};
struct StopReencode {
    std::string why;
};
// The node is a member no more.
struct Dismiss {
    NodeId node;
    std::string why;
};
using LayoutStep =
    std::variant<std::monostate, PutTable, BeginLeaving, StartReencode, StopReencode, Dismiss>;

// May take as long as placement::compute(): not for a control loop.
LayoutStep next_layout_step(const LayoutFacts& facts);

// For people: what keeps the layout from following the members; empty: nothing does.
std::string layout_hindrance(const LayoutFacts& facts);

}  // namespace hamster::cluster
