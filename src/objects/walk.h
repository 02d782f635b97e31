// Finds the shards that this node should have and has not, and restores them: first those that the
// metadata says were never written, then those that were found damaged, then what a walk of the
// partitions misses, which are lost shards before those that only move here.
//
// Everything follows from the metadata and the index of shards, so nothing has to be remembered: a
// node that starts walks once. A walk is also due when the layout has changed, of the partitions
// that did; of all of them now and then, and soon when a shard was found to be missing.
//
// A slot is settled after a walk of its partition that found every shard of it here. Blobs that are
// committed later have theirs here too, or say that they lack it (docs/adr/0015). A shard that is
// beyond repair keeps its slot from settling: what is left of it elsewhere stays.
// Control loop.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/metrics.h"
#include "objects/duty.h"
#include "objects/repairer.h"
#include "objects/report.h"
#include "objects/suspects.h"
#include "proto/commands.pb.h"

namespace hamster::objects {

class Walker {
  public:
    // `turns`: held by who decides from a view and the index that a shard is here, and by who
    // removes shards that nobody needs here any more. Else a slot that comes back might count as
    // settled with a shard that is just being removed.
    Walker(const Site* site, Repairer* repairer, runtime::Semaphore* turns, base::Metrics* metrics);

    // Everything that is due now; `all`: walks every partition. False: something could not be done
    // yet.
    runtime::Task<bool> round(bool all);
    // A shard of this node was found damaged or missing. Any loop.
    void note_suspect(const shards::ShardId& shard);

    struct Report {
        Backlog missing;  // never written, or lost
        Backlog moving;   // other nodes have them for this one
        Backlog damaged;
        std::uint64_t beyond_repair = 0;
        std::uint64_t degraded = 0;  // blobs of the cluster that say they lack a shard
        std::uint64_t settled = 0;   // slots, since start
    };
    [[nodiscard]] Report report() const;

  private:
    // A shard to restore, and what the metadata is to hear then.
    struct Job {
        BlobPlace blob;
        base::Slot slot;
        std::uint64_t version = 0;  // of the partition's row
        bool is_to_fill = false;
        bool is_moving = false;
        [[nodiscard]] shards::ShardId shard() const { return {blob.blob, slot}; }
    };
    using Jobs = std::vector<Job>;
    struct Tally {
        Backlog missing;
        Backlog moving;
        void add(const Job& job);
        [[nodiscard]] bool is_empty() const { return missing.blobs + moving.blobs == 0; }
    };
    struct Partition {
        Tally lacks;
        std::uint64_t walked = 0;  // the row's version when all was here, and 1; 0: never
    };
    struct Page {
        Jobs jobs;
        std::optional<base::Slot> slot;  // this node's
        std::uint64_t version = 0;
        bool has_sources = false;  // of that slot
        bool is_last = false;
        std::size_t blobs = 0;
        std::optional<base::BlobId> last;
    };
    struct Cursor {
        std::uint16_t partition = 0;
        bool has_begun = false;
        std::uint64_t version = 0;
        std::optional<base::BlobId> after;
        Tally tally;
    };

    // walk.cc
    runtime::Task<Result<void>> survey(bool all);
    Result<void> survey_some(const meta::View& view, bool all, Cursor* cursor);
    runtime::Task<void> restore_partitions();
    runtime::Task<Result<void>> restore_partition(std::uint16_t partition);
    Result<Page> read_page(const meta::View& view, std::uint16_t partition,
                           std::optional<base::BlobId> after, std::size_t limit) const;
    // Nullopt: nothing is to be done.
    [[nodiscard]] Result<std::optional<Job>> job_of(const meta::View& view,
                                                    const meta::BlobEntry& entry,
                                                    const meta::PartitionPlaces& places) const;
    void end_partition(std::uint16_t partition, const Page& page, const Tally& lacks);
    runtime::Task<void> settle();
    // walk_repair.cc
    runtime::Task<void> urgent();
    runtime::Task<void> forget_deleted();
    runtime::Task<Result<void>> fill_degraded();
    Result<Jobs> fillings_of(const meta::View& view, std::span<const meta::BlobEntry> blobs) const;
    runtime::Task<Result<void>> look_into_suspects();
    // Nullopt: nobody expects this shard here.
    Result<std::optional<Job>> expected(const meta::View& view, const shards::ShardId& shard) const;
    // Answers what could not be done.
    runtime::Task<Tally> run(Jobs jobs);
    enum class Restored : std::uint8_t {
        kWhole,
        kNotYet,
        kNotWanted,  // its blob was deleted, or it has moved away
    };
    runtime::Task<Restored> restore(const Job* job);
    runtime::Task<bool> examine(const Job* job);
    runtime::Task<void> fill(std::vector<const Job*> jobs);
    Result<void> forget_strangers(const meta::View& view, BlobPlace* blob) const;
    runtime::Task<bool> is_still_expected(shards::ShardId shard);
    void note_failure(const Job& job, const Error& error);
    void recheck_beyond_repair(const meta::View& view, bool again);
    runtime::Task<Result<meta::View>> view();

    const Site* site_;
    Repairer* repairer_;
    runtime::Semaphore* turns_;
    Suspects suspects_;
    runtime::Semaphore one_round_{1};
    std::array<Partition, base::kPartitions> partitions_;
    std::vector<proto::SettleSlots::Settled> to_settle_;
    std::optional<std::uint64_t> surveyed_layout_;  // its version
    runtime::Time surveyed_at_{INT64_MIN / 2};      // all of it
    bool wants_survey_ = false;                     // shards were found to be missing
    runtime::Time urgent_at_{INT64_MIN / 2};
    std::optional<base::BlobId> degraded_after_;
    std::uint64_t degraded_seen_ = 0;
    std::uint64_t degraded_ = 0;
    std::set<shards::ShardId> beyond_repair_;
    std::optional<shards::ShardId> rechecked_;  // the last one of those
    std::uint64_t failed_ = 0;                  // of this round
    std::optional<Error> failure_;
    base::Counter& settled_;
    base::Counter& lost_;
    base::Gauge& beyond_gauge_;
};

}  // namespace hamster::objects
