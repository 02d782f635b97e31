#include "shards/space.h"

#include "base/log.h"

namespace hamster::shards {

namespace {
constexpr runtime::Micros kAskEvery = std::chrono::milliseconds(100);
constexpr std::uint64_t kAskBytes = 1 << 20;
}  // namespace

void Space::refresh(std::uint64_t taken) {
    const runtime::Time now = world_->clock.now();
    taken_ += taken;
    if (now - asked_ < kAskEvery && taken_ < kAskBytes) return;
    asked_ = now;
    taken_ = 0;
    const auto space = world_->disk.space();
    if (!space) return;  // the next write will tell
    // Leaves the reserve with some distance, or every freed block would flip the answer.
    const std::uint64_t limit = inside_reserve_ ? reserve_ + reserve_ / 16 : reserve_;
    update(space->free_bytes < limit, exhausted_ && space->free_bytes < reserve_ + slack_);
}

void Space::ran_out() { update(inside_reserve_, true); }

void Space::gained() { update(inside_reserve_, false); }

void Space::update(bool inside_reserve, bool exhausted) {
    inside_reserve_ = inside_reserve;
    exhausted_ = exhausted;
    const bool full = inside_reserve_ || exhausted_;
    if (full == full_) return;
    full_ = full;
    if (full) {
        LOG_WARN("shards", "the disk is full: new data is refused, reads and deletes go on");
    } else {
        LOG_INFO("shards", "there is space again: new data is accepted");
    }
}

}  // namespace hamster::shards
