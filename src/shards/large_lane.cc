#include <algorithm>

#include "base/assert.h"
#include "shards/large.h"

namespace hamster::shards {

runtime::Task<Result<LargeLane::Room>> LargeLane::reserve(std::uint64_t least, std::uint64_t want) {
    HAMSTER_ASSERT(least > 0 && least % base::kBlock == 0 && least <= kMaxSpan, least);
    co_await turn_.acquire(1);
    auto room = co_await reserve_in_turn(least, want);
    turn_.release(1);
    co_return room;
}

runtime::Task<Result<LargeLane::Room>> LargeLane::reserve_in_turn(std::uint64_t least,
                                                                  std::uint64_t want) {
    const std::uint64_t limit = core_->options.segment_bytes;
    if (active_ != nullptr && (active_->sealed || active_->end + least > limit)) {
        CO_TRY(seal_active());
    }
    if (active_ == nullptr) {
        auto opened = co_await open_segment();
        CO_TRY(opened);
    }
    const std::uint64_t most = std::min(want, limit - active_->end);
    const std::uint64_t length = std::max(most / least * least, least);
    const SegmentRef segment = active_;
    auto allocated = co_await allocate_to(segment->end + length);
    CO_TRY(allocated);
    Room room{segment, segment->end, length};
    segment->end += length;
    ++segment->pins;
    HAMSTER_ASSERT(segment->end <= limit, segment->end, limit);
    co_return room;
}

Result<void> LargeLane::seal_active() {
    active_->sealed = true;
    Change change = core_->change();
    change.touch(active_->id);
    active_ = nullptr;
    TRY(change.commit());
    return {};
}

runtime::Task<Result<void>> LargeLane::open_segment() {
    const SegmentName name{core_->next_segment++, Lane::kLarge};
    auto created =
        co_await create_segment(core_->world, &core_->directory, name, 0, core_->next_sequence++);
    if (!created && created.error().code == Code::kNoSpace) core_->space.ran_out();
    CO_TRY_ASSIGN(active_, created);
    core_->table.put(active_);
    allocated_ = kSegmentStart;
    co_return Result<void>();
}

// Ahead in steps: one allocation serves many slices.
runtime::Task<Result<void>> LargeLane::allocate_to(std::uint64_t end) {
    if (end <= allocated_) co_return Result<void>();
    const std::uint64_t limit = core_->options.segment_bytes;
    const std::uint64_t step = base::round_up(limit / 16, base::kBlock);
    const std::uint64_t target = std::max(end, std::min(limit, allocated_ + step));
    auto done = co_await active_->file->allocate(allocated_, target - allocated_, false);
    if (!done) {
        if (done.error().code == Code::kNoSpace) {
            core_->space.ran_out();
        } else {
            core_->poison(active_.get(), done.error());
        }
        co_return done;
    }
    core_->table.set_disk(active_.get(), active_->disk + (target - allocated_));
    allocated_ = target;
    co_return Result<void>();
}

}  // namespace hamster::shards
