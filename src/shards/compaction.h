// Rewrites one sparse sealed segment: its live records are appended elsewhere and become durable
// there before the index lets go of the old ones; then the segment is dead and gets reclaimed.
// Memory: about one group (1 MiB) or one write in flight. Races with remove() and read(): a move
// takes effect only if the row has not changed; a reader that lost the old place looks again.
// Damage travels along: a slice that fails verification is moved with the hash it failed, so it
// stays exactly as corrupt as it was. Control loop; one at a time.
#pragma once

#include "shards/appender.h"
#include "shards/large.h"
#include "shards/reader.h"

namespace hamster::shards {

class Compactor {
  public:
    Compactor(Core* core, SmallLane* small, LargeLane* large, Reclaimer* reclaimer)
        : core_(core), small_(small), large_(large), reclaimer_(reclaimer) {}

    // False: no segment was sparse enough, or a compaction is going on already.
    runtime::Task<Result<bool>> run();

  private:
    using Appends = std::vector<std::shared_ptr<Append>>;
    [[nodiscard]] SegmentRef choose() const;
    runtime::Task<Result<void>> rewrite(SegmentRef segment);
    runtime::Task<Result<void>> rewrite_small(SegmentRef segment);
    runtime::Task<Result<void>> rewrite_large(SegmentRef segment);
    runtime::Task<Result<void>> move_shard(SegmentRef segment, ShardId id);
    // Copies one extent; the new one comes back through `out`, which holds it pinned.
    runtime::Task<Result<void>> copy_extent(SegmentRef segment, ShardId id,
                                            const Geometry* geometry, std::uint32_t first_stripe,
                                            Extent extent, LargeWrite* out);
    runtime::Task<Result<void>> append_all(Appends appends);
    std::shared_ptr<Append> plan_move(const Segment& segment, const Header& header,
                                      base::Bytes payload) const;

    Core* core_;
    SmallLane* small_;
    LargeLane* large_;
    Reclaimer* reclaimer_;
    bool running_ = false;
};

// The seal of a shard with this geometry.
std::shared_ptr<Append> make_seal(ShardId id, const Geometry& geometry, std::uint64_t sealed_ms);

}  // namespace hamster::shards
