// Gives space back, in the background: punches what removed shards left in large segments,
// recycles dead small segments, deletes dead large ones. An index without the shards is made
// durable first, so that a crash does not leave rows that point at reclaimed space.
// Control loop.
#pragma once

#include <vector>

#include "shards/core.h"

namespace hamster::shards {

class Reclaimer {
  public:
    // At most this many dead small segments are kept for reuse.
    static constexpr std::size_t kPoolLimit = 2;

    explicit Reclaimer(Core* core) : core_(core) {}

    // Ranges that a committed Change freed (their rows are written), or found by recovery.
    void add(std::vector<Hole> holes);
    // A segment may have died.
    void note_death() { dirty_ = true; }
    [[nodiscard]] bool has_work() const { return dirty_ || !holes_.empty(); }
    [[nodiscard]] std::uint64_t pending_bytes() const { return pending_bytes_; }
    // One round: everything that is pending now.
    runtime::Task<void> run();
    // Flushes the index; the failure is logged and answered.
    runtime::Task<Result<void>> flush();

    // A dead small segment to put to use again; nullptr: none.
    SegmentRef take_recyclable();
    void give_back(SegmentRef segment);

  private:
    std::vector<SegmentRef> take_dead();
    runtime::Task<void> punch(std::vector<Hole> holes);
    runtime::Task<void> empty(std::vector<SegmentRef> dead);
    runtime::Task<void> retire(std::vector<SegmentRef> dead);
    [[nodiscard]] bool is_recyclable(const Segment& segment) const;

    Core* core_;
    bool dirty_ = true;
    std::vector<Hole> holes_;
    std::uint64_t pending_bytes_ = 0;
    std::vector<SegmentRef> pool_;
};

}  // namespace hamster::shards
