// What the reconciler of a node says about itself.
#pragma once

#include <cstdint>

namespace hamster::objects {

// Shards of this node that are to be restored.
struct Backlog {
    std::uint64_t blobs = 0;
    std::uint64_t bytes = 0;  // of the shards
    Backlog& operator+=(const Backlog& o) {
        blobs += o.blobs;
        bytes += o.bytes;
        return *this;
    }
    bool operator==(const Backlog&) const = default;
};

struct ReconcileReport {
    Backlog missing;  // lost, or never written here
    Backlog moving;   // other nodes have them for this one
    Backlog damaged;  // found so, and not looked at yet
    // Blobs of the whole cluster that say they lack a shard, by this node's last full look.
    std::uint64_t degraded_blobs = 0;
    // Shards of this node that cannot be restored: an alarm.
    std::uint64_t beyond_repair = 0;
    // Since start.
    std::uint64_t restored_blobs = 0;
    std::uint64_t restored_bytes = 0;
    std::uint64_t settled_slots = 0;
    std::uint64_t reencoded_blobs = 0;
    std::uint64_t reencoded_bytes = 0;
    std::uint64_t scrubbed_bytes = 0;
    std::uint64_t scrub_passes = 0;
    std::uint32_t scrub_percent = 0;  // of this pass
    std::uint64_t scrub_damaged = 0;  // shards that the scrub found damaged
    // Of the last seconds, and how long the backlog takes at that; 0: not known.
    std::uint64_t bytes_per_s = 0;
    std::uint64_t left_s = 0;

    [[nodiscard]] std::uint64_t backlog_blobs() const {
        return missing.blobs + moving.blobs + damaged.blobs;
    }
    [[nodiscard]] std::uint64_t backlog_bytes() const {
        return missing.bytes + moving.bytes + damaged.bytes;
    }
};

}  // namespace hamster::objects
