#include "shards/reclaim.h"

#include <set>

#include "base/assert.h"
#include "base/log.h"

namespace hamster::shards {

void Reclaimer::add(std::vector<Hole> holes) {
    for (const Hole& hole : holes) {
        pending_bytes_ += hole.length;
        holes_.push_back(hole);
    }
}

SegmentRef Reclaimer::take_recyclable() {
    if (pool_.empty()) return nullptr;
    SegmentRef segment = std::move(pool_.back());
    pool_.pop_back();
    HAMSTER_ASSERT(segment->live == 0 && segment->dying, segment->id);
    return segment;
}

void Reclaimer::give_back(SegmentRef segment) {
    segment->stuck = true;  // its file failed: to be deleted, not pooled again
    segment->dying = false;
    dirty_ = true;
}

bool Reclaimer::is_recyclable(const Segment& segment) const {
    return segment.lane == Lane::kSmall && !segment.poisoned && !segment.stuck &&
           segment.disk == core_->options.small_segment_bytes && pool_.size() < kPoolLimit;
}

std::vector<SegmentRef> Reclaimer::take_dead() {
    std::vector<SegmentRef> dead;
    for (const auto& [id, segment] : *core_->table.all()) {
        if (!segment->sealed || segment->dying || segment->live > 0 || segment->pins > 0) continue;
        HAMSTER_ASSERT(segment->records == 0, id, segment->records);
        segment->dying = true;
        dead.push_back(segment);
    }
    return dead;
}

runtime::Task<Result<void>> Reclaimer::flush() {
    auto flushed = co_await core_->index->store()->flush();
    if (!flushed) LOG_WARN("shards", "index not flushed: {}", flushed.error().context);
    co_return flushed;
}

runtime::Task<void> Reclaimer::run() {
    dirty_ = false;
    std::vector<Hole> holes = std::exchange(holes_, {});
    pending_bytes_ = 0;
    std::vector<SegmentRef> dead = take_dead();
    if (holes.empty() && dead.empty()) co_return;
    auto flushed = co_await flush();
    // On a full disk there may be no room to flush, and reclaiming is what makes it. A crash then
    // leaves stale rows: recovery purges those of emptied segments, verification tells the rest.
    if (!flushed && flushed.error().code != Code::kNoSpace) {
        for (const SegmentRef& segment : dead) segment->dying = false;
        add(std::move(holes));
        co_return;
    }
    co_await punch(std::move(holes));
    if (flushed) {
        co_await retire(std::move(dead));
    } else {
        co_await empty(std::move(dead));
    }
    core_->meters.publish();
}

runtime::Task<void> Reclaimer::punch(std::vector<Hole> holes) {
    std::set<std::uint32_t> touched;
    Change change = core_->change();
    for (const Hole& hole : holes) {
        const SegmentRef segment = core_->table.find(hole.segment);
        const bool same = segment != nullptr && segment->epoch == hole.epoch;
        if (same && !segment->dying && !segment->poisoned) {
            auto punched = co_await segment->file->punch(hole.offset, hole.length);
            if (!punched) {
                LOG_WARN("shards", "segment {}: space not given back: {}", hole.segment,
                         punched.error().context);
            } else {
                const std::uint64_t less = std::min(segment->disk, hole.length);
                core_->table.set_disk(segment.get(), segment->disk - less);
                touched.insert(hole.segment);
                change.touch(hole.segment);
            }
        }
        change.drop_hole(hole);
    }
    for (const std::uint32_t id : touched) {
        const SegmentRef segment = core_->table.find(id);
        if (segment == nullptr) continue;
        auto synced = co_await segment->file->sync();
        if (!synced) core_->poison(segment.get(), synced.error());
    }
    auto committed = change.commit();
    if (!committed) LOG_WARN("shards", "holes not noted: {}", committed.error().context);
}

// Their files stay, cut down to their headers: a file that is missing while the index on the disk
// counts records in it means loss to the next start. They are retired once the index is flushed.
runtime::Task<void> Reclaimer::empty(std::vector<SegmentRef> dead) {
    for (const SegmentRef& segment : dead) {
        HAMSTER_ASSERT(segment->live == 0 && segment->dying, segment->id, segment->live);
        if (is_recyclable(*segment)) {
            pool_.push_back(segment);
            core_->space.gained();
            continue;
        }
        segment->dying = false;
        dirty_ = true;
        if (segment->disk <= kSegmentStart) continue;
        auto cut = co_await segment->file->truncate(kSegmentStart);
        if (!cut) {
            LOG_WARN("shards", "segment {} not emptied: {}", segment->id, cut.error().context);
            continue;
        }
        core_->table.set_disk(segment.get(), kSegmentStart);
    }
}

runtime::Task<void> Reclaimer::retire(std::vector<SegmentRef> dead) {
    if (dead.empty()) co_return;
    Change change = core_->change();
    for (const SegmentRef& segment : dead) {
        HAMSTER_ASSERT(segment->live == 0 && segment->dying, segment->id, segment->live);
        if (is_recyclable(*segment)) {
            pool_.push_back(segment);
            core_->space.gained();
            continue;
        }
        auto removed = co_await core_->world->disk.remove(
            segment_path(core_->segments_dir, segment->id, segment->lane));
        if (!removed && removed.error().code != Code::kNotFound) {
            LOG_WARN("shards", "segment {} not deleted: {}", segment->id, removed.error().context);
            segment->dying = false;
            continue;
        }
        core_->table.erase(segment->id);
        change.drop_segment(segment->id);
    }
    auto synced = co_await core_->directory.sync();
    if (!synced) LOG_WARN("shards", "segment directory: {}", synced.error().context);
    auto committed = change.commit();
    if (!committed) LOG_WARN("shards", "segments not dropped: {}", committed.error().context);
}

}  // namespace hamster::shards
