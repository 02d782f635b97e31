#include "shards/appender.h"

#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"

namespace hamster::shards {

void SmallLane::start() {
    runtime::spawn(core_->world->executor, core_->gate, "shards group commit", write_loop());
    runtime::spawn(core_->world->executor, core_->gate, "shards prepare", prepare_loop());
}

void SmallLane::stop() {
    HAMSTER_ASSERT(core_->stopping);
    queued_.notify_all();
    next_changed_.notify_all();
}

void SmallLane::retry_prepare() {
    prepare_failed_ = false;
    next_changed_.notify_all();
}

runtime::Task<Result<bool>> SmallLane::append(std::shared_ptr<Append> record) {
    HAMSTER_ASSERT(record->payload.size() <= kSliceBytes, record->payload.size());
    for (auto it = on_the_way_.find(record->id); it != on_the_way_.end();
         it = on_the_way_.find(record->id)) {
        if (record->replaces) co_return false;  // the row it meant to replace is going away
        const std::shared_ptr<Append> other = it->second;
        co_await other->done.wait();
    }
    if (core_->stopping) co_return fail(Code::kUnavailable, "the shard store is stopping");
    if (!record->replaces && record->mode == Mode::kNew) {
        CO_TRY_ASSIGN(const std::optional<Row> row, core_->index->get(record->id));
        if (row) co_return fail(Code::kAlreadyExists, "this shard is stored already");
    }
    on_the_way_.emplace(record->id, record);
    queue_.push_back(record);
    queued_.notify_all();
    co_await record->done.wait();
    co_return record->outcome;
}

runtime::Task<void> SmallLane::write_loop() {
    for (;;) {
        while (queue_.empty() && !core_->stopping) {
            co_await queued_.wait();
        }
        if (queue_.empty()) {
            next_changed_.notify_all();
            co_return;
        }
        const std::uint64_t need = base::round_up(
            small_span(static_cast<std::uint32_t>(queue_.front()->payload.size())), base::kBlock);
        auto room = co_await make_room(need);
        if (!room) {
            fail_queue(room.error());
            continue;
        }
        co_await write_group();
    }
}

void SmallLane::fail_queue(const Error& error) {
    Group group(queue_.begin(), queue_.end());
    queue_.clear();
    for (const auto& record : group) {
        record->outcome = std::unexpected(error);
    }
    settle(group);
}

void SmallLane::settle(const Group& group) {
    for (const auto& record : group) {
        on_the_way_.erase(record->id);
        record->done.set();
    }
}

void SmallLane::seal_active() {
    active_->sealed = true;
    sealed_.push_back(active_->id);
    if (active_->live == 0) reclaimer_->note_death();
    active_ = nullptr;
    ++rollovers_;
}

runtime::Task<Result<void>> SmallLane::make_room(std::uint64_t bytes) {
    for (;;) {
        if (active_ != nullptr && active_->end + bytes <= active_->disk) co_return Result<void>();
        if (active_ != nullptr) seal_active();
        if (next_ != nullptr) {
            active_ = std::exchange(next_, nullptr);
            HAMSTER_ASSERT(active_->end == kSegmentStart && !active_->sealed, active_->id);
            next_changed_.notify_all();
            continue;
        }
        next_error_.reset();
        want_next_ = true;
        next_changed_.notify_all();
        while (next_ == nullptr && !next_error_) {
            co_await next_changed_.wait();
        }
        want_next_ = false;
        if (next_ == nullptr) co_return std::unexpected(*next_error_);
    }
}

SmallLane::Group SmallLane::take_group(std::vector<Placed>* placed, std::uint64_t* bytes) {
    Group group;
    std::uint64_t at = active_->end;
    while (!queue_.empty()) {
        const auto& record = queue_.front();
        const std::uint64_t span = small_span(static_cast<std::uint32_t>(record->payload.size()));
        const bool fits = base::round_up(at + span, base::kBlock) <= active_->disk;
        if (!fits || (!group.empty() && at + span - active_->end > kGroupBytes)) break;
        placed->push_back({static_cast<std::uint32_t>(at), core_->next_sequence++});
        group.push_back(record);
        queue_.pop_front();
        at += span;
    }
    HAMSTER_ASSERT(!group.empty(), active_->end, active_->disk);
    *bytes = base::round_up(at, base::kBlock) - active_->end;
    return group;
}

base::Buffer SmallLane::build(const Group& group, const std::vector<Placed>& placed,
                              std::uint64_t bytes) const {
    base::Buffer buffer(bytes);
    buffer.resize(bytes);
    std::byte* const base_at = buffer.data();
    std::uint64_t filled = 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
        const Append& record = *group[i];
        const std::uint64_t at = placed[i].offset - active_->end;
        std::memset(base_at + filled, 0, at - filled);
        Header header;
        header.kind = record.kind;
        header.flags = i == 0 ? kGroupStart : 0;
        header.slot = record.id.slot;
        header.segment = active_->id;
        header.epoch = active_->epoch;
        header.offset = placed[i].offset;
        header.length = static_cast<std::uint32_t>(record.payload.size());
        header.blob = record.id.blob;
        header.sequence = placed[i].sequence;
        header.sealed_ms = record.sealed_ms;
        header.payload_hash = record.payload_hash;
        encode_header(header, base_at + at);
        if (!record.payload.empty()) {
            std::memcpy(base_at + at + kHeaderBytes, record.payload.data(), record.payload.size());
        }
        filled = at + kHeaderBytes + record.payload.size();
    }
    HAMSTER_ASSERT(filled <= bytes, filled, bytes);
    std::memset(base_at + filled, 0, bytes - filled);
    return buffer;
}

runtime::Task<void> SmallLane::write_group() {
    std::vector<Placed> placed;
    std::uint64_t bytes = 0;
    const Group group = take_group(&placed, &bytes);
    const base::Buffer buffer = build(group, placed, bytes);
    const SegmentRef segment = active_;
    const runtime::Time begun = core_->world->clock.now();
    std::vector<base::Bytes> pieces{buffer.bytes()};
    const bool is_late =
        base::planted(base::Bug::kShardAckBeforeSync) ||
        (base::planted(base::Bug::kReplaceBeforeSync) && group.front()->mode == Mode::kReplace);
    auto writing = is_late ? segment->file->write(segment->end, std::move(pieces))
                           : segment->file->write_durable(segment->end, std::move(pieces));
    auto written = co_await std::move(writing);
    HAMSTER_ASSERT(active_ == segment);
    Result<void> outcome = written;
    if (written) {
        const auto took = core_->world->clock.now() - begun;
        core_->meters.wrote(bytes, static_cast<std::uint64_t>(took.count()), group.size());
        outcome = commit(group, placed, bytes);
    } else {
        // What reached the disk is unknown; blocks behind `end` are never written again.
        if (written.error().code == Code::kNoSpace) core_->space.ran_out();
        core_->poison(segment.get(), written.error());
        seal_active();
    }
    if (!outcome) {
        for (const auto& record : group) {
            record->outcome = std::unexpected(outcome.error());
        }
    }
    settle(group);
    if (should_prepare()) next_changed_.notify_all();
}

Result<void> SmallLane::commit(const Group& group, const std::vector<Placed>& placed,
                               std::uint64_t bytes) {
    active_->end += bytes;
    active_->last_sequence = placed.back().sequence;
    Change change = core_->change();
    change.touch(active_->id);
    for (const std::uint32_t id : sealed_) change.touch(id);
    for (std::size_t i = 0; i < group.size(); ++i) {
        Append& record = *group[i];
        TRY_ASSIGN(const std::optional<Row> old, change.lookup(record.id));
        HAMSTER_ASSERT(record.replaces || record.mode == Mode::kReplace || !old,
                       record.id.blob.hex());
        if (record.replaces && (!old || old->sequence != *record.replaces)) {
            record.outcome = false;
            continue;
        }
        Row row;
        row.sequence = placed[i].sequence;
        row.sealed_ms = record.sealed_ms;
        row.home = {active_->id, placed[i].offset,
                    static_cast<std::uint32_t>(record.payload.size())};
        row.large = record.large;
        change.set(record.id, old, row);
        record.outcome = true;
        if (old) reclaimer_->note_death();
    }
    TRY_ASSIGN(auto freed, change.commit());
    sealed_.clear();
    reclaimer_->add(std::move(freed));
    return {};
}

bool SmallLane::should_prepare() const {
    if (next_ != nullptr) return false;
    if (want_next_) return !next_error_;
    if (core_->stopping || prepare_failed_) return false;
    return active_ == nullptr || active_->end > active_->disk / 2;
}

runtime::Task<void> SmallLane::prepare_loop() {
    for (;;) {
        while (!should_prepare()) {
            // While stopping, the write loop may still have a queue to drain.
            if (core_->stopping && queue_.empty()) co_return;
            co_await next_changed_.wait();
        }
        auto prepared = co_await prepare();
        if (prepared) {
            next_ = *prepared;
            prepare_failed_ = false;
        } else {
            LOG_WARN("shards", "no fresh segment: {}", prepared.error().context);
            if (prepared.error().code == Code::kNoSpace) core_->space.ran_out();
            prepare_failed_ = true;
            next_error_ = prepared.error();
        }
        next_changed_.notify_all();
    }
}

runtime::Task<Result<SegmentRef>> SmallLane::prepare() {
    const std::uint64_t sequence = core_->next_sequence++;
    SegmentRef old = reclaimer_->take_recyclable();
    if (old != nullptr) {
        auto recycled = co_await recycle_segment(core_->world, old, sequence);
        if (recycled) {
            core_->table.put(*recycled);
            co_return recycled;
        }
        reclaimer_->give_back(std::move(old));
    }
    const SegmentName name{core_->next_segment++, Lane::kSmall};
    auto created = co_await create_segment(core_->world, &core_->directory, name,
                                           core_->options.small_segment_bytes, sequence);
    if (created) core_->table.put(*created);
    co_return created;
}

}  // namespace hamster::shards
