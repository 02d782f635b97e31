// What the admin endpoints ask of the node they speak for.
#pragma once

#include <cstdint>
#include <string>

#include "admin/identities.h"
#include "base/metrics.h"
#include "base/result.h"
#include "cluster/cluster.h"
#include "runtime/world.h"

namespace hamster::admin {

enum class State : std::uint8_t { kStarting, kServing, kDraining };
std::string_view to_string(State state);

// The node at a glance.
struct Report {
    std::string cluster_id;
    std::string node_id;
    std::string name;
    std::string version;
    State state = State::kStarting;
    std::uint64_t uptime_s = 0;
    std::uint64_t buckets = 0;
    std::uint64_t objects = 0;
    std::uint64_t object_bytes = 0;
    std::uint64_t stored_bytes = 0;  // live in the shard store
    std::uint64_t disk_bytes = 0;    // allocated by its segments
    std::uint64_t disk_free_bytes = 0;
    std::uint64_t disk_total_bytes = 0;
    bool full = false;
    std::uint64_t garbage_blobs = 0;  // by the collector's last full walk
    std::uint64_t garbage_bytes = 0;
    std::uint64_t corrupt_slices = 0;
    std::uint64_t scrub_passes = 0;  // since start
    std::uint32_t scrub_percent = 0;
    std::uint64_t scrub_damaged = 0;  // shards found so since start
    std::string s3_address;
    std::string admin_address;
};

// Control loop.
class Subject {
  public:
    virtual ~Subject() = default;
    [[nodiscard]] virtual State state() const = 0;
    virtual runtime::Task<Result<Report>> report() = 0;
    // Can the node still make a change durable? kNoSpace counts as healthy. Cheap when asked often.
    virtual runtime::Task<Result<void>> probe() = 0;
    // Begins to read everything here; answers what Report::scrub_passes will be at its end. Not
    // while starting.
    virtual std::uint64_t scrub_now() = 0;
    virtual Identities& identities() = 0;
    virtual cluster::Cluster& cluster() = 0;  // not while starting
    virtual base::Metrics& metrics() = 0;
};

}  // namespace hamster::admin
