// Everything about one run of a cluster that is drawn from its seed before it starts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "node/node.h"

namespace hamster::simulation {

enum class ClusterFault {
    kCrashAtIo,        // of one node, at a random I/O boundary
    kCrashNow,         // of one node
    kCleanRestart,     // of one node
    kPowerCut,         // of all at once
    kCutOneWay,        // one direction between two nodes
    kCutTwoWays,       // both
    kIsolateLeader,    // from all others; in some cases in one direction only
    kFlapping,         // links are cut one by one and heal in another order
    kPause,            // of one node, 10 ms to 120 s
    kSlowLinks,        // latencies of up to 2 s
    kResets,           // connections are reset
    kClockJump,        // of one node, either way, up to ten years
    kFullDisk,         // for a while
    kSlowDisk,         // for a while
    kDiskErrors,       // for a while; what stops because of them is restarted
    kGrow,             // a node joins
    kTransfer,         // leadership
    kRemove,           // a node, for good
    kBadToken,         // a wrong, expired or used one: must be refused
    kHolderDies,       // in the middle of a PUT through another node
    kCoordinatorDies,  // in the middle of what it does for a client
    kSlowNode,         // its links and its disk, for a while
    kDiskLost,         // emptied: that node joins again under another identity
    kDiskRots,         // bits anywhere in the segments of one node
    kShardsRot,        // some shards of some blobs, on any nodes
    kSlotsMove,  // a layout in which slots have swapped their nodes, in the middle of a request
    kDrain,      // a node gives its places away, and may get them back
    kReplace,    // a node joins in the place of another one that is there
    kProfile,    // another profile is chosen
    kOptimize,   // older objects are stored anew in the profile of new ones
};
inline constexpr int kClusterFaults = 30;

std::string_view name_of(ClusterFault fault);

struct ClusterPlan {
    std::uint64_t seed = 0;
    int nodes = 3;     // at most; machines
    int at_start = 3;  // joined before the faults begin
    int workers = 2;
    int operations = 10;  // of each worker
    int faults = 0;       // how many are injected
    int pace_ms = 300;    // between two requests of a client, at most
    int gap_ms = 1000;    // between two faults, at most
    std::vector<ClusterFault> kinds;
    bool crash_in_init = false;
    bool crash_in_start = false;     // nodes crash while they open or join
    bool is_laid_out = false;        // before there are clients; else bodies come before the layout
    bool only_empty_bodies = false;  // no blobs: any node may be removed
    bool has_two_parts = false;      // uploads of 5 MiB and more
    // After healing, in this order:
    bool has_outage = false;       // nodes are down, as many as the objects can do without
    bool has_calamity = false;     // the same with disks, for good
    bool has_leap = false;         // hours pass, as clocks tell
    bool has_catastrophe = false;  // more is lost than is promised
    std::uint64_t slice_bytes = 256 << 10;
    std::uint64_t small_bytes = 128 << 10;  // bodies up to this size are stored as copies
    std::uint64_t max_body_bytes = 600'000;
    std::vector<std::string> keys;
    node::Options options;  // of every node; its addresses and names are its own

    [[nodiscard]] bool has(ClusterFault fault) const;
    [[nodiscard]] std::string text() const;
};

ClusterPlan draw_cluster_plan(std::uint64_t seed);

}  // namespace hamster::simulation
