#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "shards/large.h"

namespace hamster::shards {

LargeWrite::LargeWrite(Core* core, LargeLane* lane, Reclaimer* reclaimer, ShardId id,
                       std::uint64_t expected_bytes, std::uint32_t first_stripe)
    : core_(core),
      lane_(lane),
      reclaimer_(reclaimer),
      id_(id),
      expected_bytes_(expected_bytes),
      started_ms_(core->world->clock.unix_ms()),
      next_stripe_(first_stripe) {}

Result<void> LargeWrite::check_size(std::size_t size) const {
    if (ended_ || draining_) return fail(Code::kInvalid, "the shard is finished");
    if (size == 0 || size > kSliceBytes) return fail(Code::kInvalid, "slice size");
    if (last_was_short_) return fail(Code::kInvalid, "a slice behind the shorter, last one");
    if (geometry_.slice_bytes != 0 && size > geometry_.slice_bytes) {
        return fail(Code::kInvalid, "a slice longer than the ones before it");
    }
    return {};
}

runtime::Task<Result<void>> LargeWrite::add(base::Buffer slice, std::uint64_t hash) {
    CO_TRY(check_size(slice.size()));
    if (geometry_.slice_bytes == 0) {
        geometry_.slice_bytes = static_cast<std::uint32_t>(slice.size());
    }
    while (queued_bytes_ >= kWriteBytes && !error_) {
        co_await changed_.wait();
    }
    const std::uint32_t span = large_span(static_cast<std::uint32_t>(slice.size()));
    if (!error_) {
        auto found = co_await find_room(span);
        CO_TRY(found);
    }
    if (error_) co_return std::unexpected(*error_);
    co_await core_->write_budget.acquire(span);
    Piece piece;
    piece.segment = room_.segment;
    piece.offset = room_.offset;
    piece.span = span;
    piece.tail = make_tail(slice, hash);
    piece.payload = std::move(slice);
    place(std::move(piece));
    pump();
    co_return Result<void>();
}

runtime::Task<Result<void>> LargeWrite::find_room(std::uint32_t span) {
    if (room_.length >= span && !room_.segment->poisoned) co_return Result<void>();
    give_back_room();
    const std::uint64_t stride = large_span(geometry_.slice_bytes);
    std::uint64_t want = want_slices_;
    const std::uint64_t had = std::uint64_t{added_} * geometry_.slice_bytes;
    if (expected_bytes_ > had) {
        want = (expected_bytes_ - had + geometry_.slice_bytes - 1) / geometry_.slice_bytes;
    } else {
        want_slices_ = std::min<std::uint64_t>(want_slices_ * 2, 256);
    }
    auto room = co_await lane_->reserve(stride, std::min(want * stride, kMaxReserve));
    CO_TRY_ASSIGN(room_, room);
    // One pin per segment is enough; reserve() adds one each time.
    if (!pinned_.insert(room_.segment).second) --room_.segment->pins;
    co_return Result<void>();
}

base::Buffer LargeWrite::make_tail(const base::Buffer& slice, std::uint64_t hash) const {
    const std::size_t whole = slice.size() / base::kBlock * base::kBlock;
    const std::uint32_t span = large_span(static_cast<std::uint32_t>(slice.size()));
    const std::size_t rest = slice.size() - whole;
    base::Buffer tail(span - whole);
    tail.resize(span - whole);
    if (rest > 0) std::memcpy(tail.data(), slice.data() + whole, rest);
    std::memset(tail.data() + rest, 0, tail.size() - rest);
    Header header;
    header.kind = Kind::kSlice;
    header.slot = id_.slot;
    header.segment = room_.segment->id;
    header.epoch = room_.segment->epoch;
    header.offset = static_cast<std::uint32_t>(room_.offset);
    header.length = static_cast<std::uint32_t>(slice.size());
    header.stripe = next_stripe_;
    header.blob = id_.blob;
    header.sealed_ms = started_ms_;
    header.payload_hash = hash;
    encode_header(header, tail.data() + tail.size() - kHeaderBytes);
    return tail;
}

void LargeWrite::place(Piece piece) {
    HAMSTER_ASSERT(room_.length >= piece.span, room_.length, piece.span);
    auto& extents = geometry_.extents;
    const bool goes_on = !extents.empty() && extents.back().segment == piece.segment->id &&
                         extent_end_ == piece.offset;
    if (goes_on) {
        ++extents.back().slices;
    } else {
        extents.push_back(
            {piece.segment->id, piece.segment->epoch, static_cast<std::uint32_t>(piece.offset), 1});
    }
    extent_end_ = piece.offset + piece.span;
    room_.offset += piece.span;
    room_.length -= piece.span;
    geometry_.bytes += piece.payload.size();
    last_was_short_ = piece.payload.size() < geometry_.slice_bytes;
    ++next_stripe_;
    ++added_;
    queued_bytes_ += piece.span;
    queue_.push_back(std::move(piece));
}

void LargeWrite::pump() {
    while (!queue_.empty() && in_flight_ < kInFlight && !error_) {
        // The first slice goes at once; while something is in flight the next ones gather.
        const bool enough = in_flight_ == 0 || draining_ || queued_bytes_ >= kWriteBytes;
        if (!enough || !core_->gate.is_open()) break;
        std::vector<Piece> pieces;
        std::uint64_t bytes = 0;
        while (!queue_.empty()) {
            const Piece& next = queue_.front();
            const bool joins =
                pieces.empty() || (next.segment == pieces.back().segment &&
                                   next.offset == pieces.back().offset + pieces.back().span &&
                                   bytes + next.span <= kWriteBytes);
            if (!joins) break;
            bytes += next.span;
            pieces.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
        queued_bytes_ -= bytes;
        ++in_flight_;
        runtime::spawn(core_->world->executor, core_->gate, "shards large write",
                       write(shared_from_this(), std::move(pieces)));
    }
    if (!core_->gate.is_open() && !error_) error_ = Error{Code::kUnavailable, "stopping"};
}

runtime::Task<Result<void>> LargeWrite::write_pieces(const std::vector<Piece>* pieces) {
    const SegmentRef segment = pieces->front().segment;
    if (segment->poisoned) co_return fail(Code::kIo, "an earlier write to this segment failed");
    std::vector<base::Bytes> parts;
    std::uint64_t bytes = 0;
    for (const Piece& piece : *pieces) {
        const std::size_t whole = piece.span - piece.tail.size();
        if (whole > 0) parts.push_back(piece.payload.bytes().first(whole));
        parts.push_back(piece.tail.bytes());
        bytes += piece.span;
    }
    const runtime::Time begun = core_->world->clock.now();
    auto written = co_await segment->file->write_durable(pieces->front().offset, std::move(parts));
    if (written) {
        const auto took = core_->world->clock.now() - begun;
        core_->meters.wrote(bytes, static_cast<std::uint64_t>(took.count()), 0);
    } else if (written.error().code == Code::kNoSpace) {
        core_->space.ran_out();
    } else {
        core_->poison(segment.get(), written.error());
    }
    co_return written;
}

runtime::Task<void> LargeWrite::write(std::shared_ptr<LargeWrite> self, std::vector<Piece> pieces) {
    auto written = co_await self->write_pieces(&pieces);
    for (const Piece& piece : pieces) {
        self->core_->write_budget.release(piece.span);
    }
    pieces.clear();
    if (!written && !self->error_) self->error_ = written.error();
    HAMSTER_ASSERT(self->in_flight_ > 0);
    --self->in_flight_;
    self->pump();
    self->changed_.notify_all();
}

runtime::Task<Result<void>> LargeWrite::drain() {
    draining_ = true;
    pump();
    while (in_flight_ > 0) {
        co_await changed_.wait();
    }
    if (error_) co_return std::unexpected(*error_);
    HAMSTER_ASSERT(queue_.empty(), queue_.size());
    give_back_room();
    co_return Result<void>();
}

void LargeWrite::give_back_room() {
    if (room_.length == 0) return;
    Segment& segment = *room_.segment;
    if (segment.end == room_.offset + room_.length && !segment.sealed) {
        segment.end = room_.offset;  // nobody reserved behind it
    } else {
        free_ranges(
            {{segment.id, segment.epoch, static_cast<std::uint32_t>(room_.offset), room_.length}});
    }
    room_.length = 0;
}

void LargeWrite::free_ranges(std::vector<Hole> holes) {
    Change change = core_->change();
    for (const Hole& hole : holes) {
        change.add_hole(hole);
    }
    auto freed = change.commit();
    if (freed) {
        reclaimer_->add(std::move(*freed));
    } else {
        LOG_WARN("shards", "space not given back: {}", freed.error().context);
    }
}

void LargeWrite::unpin() {
    ended_ = true;
    for (const SegmentRef& segment : pinned_) {
        HAMSTER_ASSERT(segment->pins > 0, segment->id);
        --segment->pins;
    }
    if (!pinned_.empty()) reclaimer_->note_death();
    pinned_.clear();
}

void LargeWrite::give_up() {
    HAMSTER_ASSERT(is_idle() && !ended_, in_flight_);
    for (const Piece& piece : queue_) {
        core_->write_budget.release(piece.span);
    }
    queue_.clear();
    queued_bytes_ = 0;
    give_back_room();
    std::vector<Hole> holes;
    const std::uint64_t stride = geometry_.slice_bytes == 0 ? 0 : large_span(geometry_.slice_bytes);
    for (std::size_t i = 0; i < geometry_.extents.size(); ++i) {
        const Extent& extent = geometry_.extents[i];
        const bool last = i + 1 == geometry_.extents.size();
        const std::uint64_t length =
            last ? extent_end_ - extent.offset : std::uint64_t{extent.slices} * stride;
        holes.push_back({extent.segment, extent.epoch, extent.offset, length});
    }
    if (!holes.empty()) free_ranges(std::move(holes));
    unpin();
}

}  // namespace hamster::shards
