// What goes: garbage, orphans and extra shards. How each is proved not to be needed any more stands
// at the top of collector.cc and of orphans.cc. Control loop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "meta/view.h"
#include "objects/site.h"
#include "runtime/sync.h"

namespace hamster::objects {

class Collector {
  public:
    // `turns`: as of the Walker.
    Collector(const Site* site, runtime::Semaphore* turns, base::Metrics* metrics);

    // One round; `scan`: looks for orphans and extra shards as well.
    runtime::Task<void> round(bool scan);
    // RemoteMethod::kRemove: another node asks for the shards of garbage to go. Answers the blobs
    // that stay: they are read here, or are no garbage for all that this node knows. kInvalid,
    // kTooLarge; kUnavailable.
    runtime::Task<Result<std::string>> serve_remove(std::string payload);

  private:
    struct Due {
        base::BlobId blob;
        std::uint64_t bytes = 0;
        std::vector<base::NodeId> homes;
    };
    using Blobs = std::set<base::BlobId>;
    // collect.cc
    runtime::Task<void> keep_time_going();
    runtime::Task<void> collect_garbage();
    runtime::Task<Result<std::optional<base::BlobId>>> collect_page(
        std::optional<base::BlobId> after);
    Result<std::vector<Due>> due_of(const meta::View& view,
                                    const std::vector<meta::View::GarbageEntry>& entries);
    Result<std::vector<base::NodeId>> members_of(const meta::View& view,
                                                 const meta::View::GarbageEntry& entry) const;
    [[nodiscard]] bool is_collector(const std::vector<base::NodeId>& homes) const;
    [[nodiscard]] std::uint64_t garbage_grace_ms() const;
    runtime::Task<Result<void>> drop(std::vector<Due> due);
    // What is left on some node.
    struct Left {
        Blobs in_use;
        Blobs away;  // the node does not answer
        [[nodiscard]] bool has(const base::BlobId& blob) const {
            return in_use.contains(blob) || away.contains(blob);
        }
    };
    runtime::Task<void> remove_at(base::NodeId node, std::vector<base::BlobId> blobs, Left* left);
    runtime::Task<Result<void>> remove_here(std::vector<base::BlobId> blobs);
    runtime::Task<Result<void>> drop_rows(const std::vector<Due>* due, const Left* left);
    Result<void> append_shards(const base::BlobId& blob, std::vector<shards::ShardId>* ids) const;
    runtime::Task<void> compact();
    // orphans.cc
    enum class Fate : std::uint8_t { kStays, kOrphan, kExtra };
    runtime::Task<void> collect_orphans();
    runtime::Task<Result<std::optional<shards::ShardId>>> orphan_page(
        std::optional<shards::ShardId> after);
    Result<std::vector<shards::ShardInfo>> suspects_of(
        const meta::View& view, const std::vector<shards::ShardInfo>& listed);
    Result<Fate> fate_of(const meta::View& view, const shards::ShardId& shard) const;
    bool note_unneeded(const shards::ShardId& shard, Fate fate, std::uint64_t now_ms);
    runtime::Task<Result<void>> remove_unneeded(std::vector<shards::ShardInfo> suspects);
    Result<std::vector<shards::ShardId>> still_unneeded(
        const meta::View& view, const std::vector<shards::ShardInfo>& suspects);

    const Site* site_;
    runtime::Semaphore* turns_;
    runtime::Semaphore one_round_{1};
    std::uint64_t round_ms_ = 0;  // cluster time in the last round
    // What the garbage walk has seen since it last started over.
    std::optional<base::BlobId> garbage_cursor_;
    std::uint64_t seen_blobs_ = 0;
    std::uint64_t seen_bytes_ = 0;
    // Garbage that is gone from all of its nodes but those that are down.
    Blobs waiting_;
    // Shards that were not needed when they were last listed.
    struct Unneeded {
        Fate fate = Fate::kOrphan;
        std::uint64_t since_ms = 0;  // cluster time when that was first seen
        std::uint64_t scan = 0;      // the last one that saw it
    };
    std::map<shards::ShardId, Unneeded> unneeded_;
    std::uint64_t scan_ = 0;
    struct Counters {
        base::Counter& garbage_bytes;
        base::Counter& garbage_blobs;
        base::Counter& refused;
        base::Counter& orphans;
        base::Counter& orphan_bytes;
        base::Counter& extra;
        base::Counter& extra_bytes;
        base::Counter& compactions;
        base::Gauge& pending_blobs;
        base::Gauge& pending_bytes;
    };
    Counters counters_;
};

}  // namespace hamster::objects
