// Makes this node have a shard: copied slice by slice from other places of the same slot, or
// rebuilt from any k others; each stripe chooses anew, so that shards which are damaged in
// different stripes repair each other. What is here already of the shard serves as well, as far as
// it verifies. It is written beside what there is and takes its place when it is whole; nothing is
// ever removed here. Control loop, except where said.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "base/metrics.h"
#include "objects/exchange.h"
#include "objects/pacer.h"
#include "objects/site.h"
#include "runtime/sync.h"

namespace hamster::objects {

class Repairer {
  public:
    // Slices in memory of all shards that are restored at once, bytes; as much again for those that
    // clients wait for. A share of its own: who restores never holds memory that bodies of clients
    // wait for.
    static constexpr std::size_t kMemory = 64UL << 20;
    // Asked of one other node at once, bytes: clients' reads of it have a window of their own, and
    // both together stay below what a connection queues.
    static constexpr std::size_t kWindow = 2UL << 20;
    // Stripes of one shard that are fetched at once.
    static constexpr std::uint32_t kStripesAtOnce = 4;

    enum class Pace : std::uint8_t {
        kBackground,  // within the rate of Options
        kUrgent,      // a client waits for it
    };

    Repairer(const Site* site, base::Metrics* metrics);

    // kUnavailable: too few slices are within reach now; kCorrupt: fewer than k are left, the shard
    // cannot be restored; kNoSpace, kIo: of this node's disk.
    runtime::Task<Result<void>> restore(BlobPlace blob, base::Slot slot, Pace pace);
    // Whether the shard is here and every byte of it verifies. Reads all of it; an error of
    // the disk counts as damage.
    runtime::Task<bool> is_whole(shards::ShardId shard, Shape shape, Pace pace);
    // Whether the index has it in its right size. Reads nothing. Any loop.
    [[nodiscard]] Result<bool> is_present(const shards::ShardId& shard, const Shape& shape) const;

    struct Totals {
        std::uint64_t blobs = 0;
        std::uint64_t bytes = 0;
    };
    [[nodiscard]] Totals restored() const { return {blobs_.value(), bytes_.value()}; }

    // The slice as another node has it. kNotFound, kCorrupt, kIo: it says so; else it gives none
    // now.
    runtime::Task<Result<base::Buffer>> read_away(base::NodeId node, SliceAddress address,
                                                  std::uint32_t length);

  private:
    runtime::Task<Result<void>> restore_alone(BlobPlace blob, base::Slot slot, Pace pace);

    const Site* site_;
    Pacer pacer_;
    runtime::Semaphore memory_{kMemory};         // of what goes on in the background
    runtime::Semaphore urgent_memory_{kMemory};  // of what a client waits for: it passes that
    std::map<base::NodeId, runtime::Semaphore> windows_;
    std::set<shards::ShardId> under_way_;
    runtime::Signal ended_;
    base::Counter& blobs_;
    base::Counter& bytes_;
    base::Counter& failures_;
};

}  // namespace hamster::objects
