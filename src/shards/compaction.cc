#include "shards/compaction.h"

#include "base/assert.h"
#include "base/log.h"
#include "shards/window.h"

namespace hamster::shards {

std::shared_ptr<Append> make_seal(ShardId id, const Geometry& geometry, std::uint64_t sealed_ms) {
    std::string payload;
    encode_geometry(payload, geometry);
    auto seal = std::make_shared<Append>();
    seal->kind = Kind::kSeal;
    seal->id = id;
    seal->payload = base::Buffer::copy_of(base::as_bytes(payload));
    seal->payload_hash = hash_payload(seal->payload.bytes());
    seal->sealed_ms = sealed_ms;
    seal->large = geometry;
    return seal;
}

SegmentRef Compactor::choose() const {
    SegmentRef best;
    double best_share = core_->options.compact_below;
    for (const auto& [id, segment] : *core_->table.all()) {
        const bool fit = segment->sealed && !segment->dying && !segment->stuck &&
                         segment->pins == 0 && segment->live > 0;
        if (!fit) continue;
        // Against the full size, so that segments cut short by a restart are merged too.
        const std::uint64_t size = segment->lane == Lane::kSmall
                                       ? core_->options.small_segment_bytes
                                       : core_->options.segment_bytes;
        const double share = static_cast<double>(segment->live) / static_cast<double>(size);
        if (share >= best_share) continue;
        best = segment;
        best_share = share;
    }
    return best;
}

runtime::Task<Result<bool>> Compactor::run() {
    if (running_) co_return false;
    const SegmentRef segment = choose();
    if (segment == nullptr) co_return false;
    running_ = true;
    auto done = co_await rewrite(segment);
    running_ = false;
    CO_TRY(done);
    co_return true;
}

runtime::Task<Result<void>> Compactor::rewrite(SegmentRef segment) {
    const std::uint64_t before = segment->live;
    if (segment->lane == Lane::kSmall) {
        auto done = co_await rewrite_small(segment);
        CO_TRY(done);
    } else {
        auto done = co_await rewrite_large(segment);
        CO_TRY(done);
    }
    if (segment->live > 0) {
        // A header is damaged: the bytes stay where they are until repair replaces the shard.
        segment->stuck = true;
        LOG_WARN("shards", "segment {} keeps {} bytes that cannot be moved", segment->id,
                 segment->live);
    }
    reclaimer_->note_death();
    LOG_DEBUG("shards", "compacted segment {}: {} live bytes moved", segment->id,
              before - segment->live);
    co_return Result<void>();
}

std::shared_ptr<Append> Compactor::plan_move(const Segment& segment, const Header& header,
                                             base::Bytes payload) const {
    const ShardId id{header.blob, header.slot};
    const auto row = core_->index->get(id);
    if (!row || !*row) return nullptr;
    const Row& current = **row;
    if (current.home.segment != segment.id || current.home.offset != header.offset) return nullptr;
    std::shared_ptr<Append> move;
    if (current.large) {
        move = make_seal(id, *current.large, current.sealed_ms);
    } else {
        move = std::make_shared<Append>();
        move->id = id;
        move->payload = base::Buffer::copy_of(payload);
        move->payload_hash = header.payload_hash;
        move->sealed_ms = current.sealed_ms;
    }
    move->replaces = current.sequence;
    return move;
}

runtime::Task<Result<void>> Compactor::append_all(Appends appends) {
    std::vector<runtime::Task<Result<bool>>> tasks;
    tasks.reserve(appends.size());
    for (auto& append : appends) {
        tasks.push_back(small_->append(std::move(append)));
    }
    auto outcomes = co_await runtime::when_all(std::move(tasks));
    for (auto& outcome : outcomes) {
        CO_TRY(outcome);
    }
    co_return Result<void>();
}

runtime::Task<Result<void>> Compactor::rewrite_small(SegmentRef segment) {
    Window window(segment->file.get(), segment->id, segment->epoch, kSegmentStart, segment->end);
    Appends appends;
    std::size_t bytes = 0;
    for (;;) {
        auto step = co_await window.next();
        CO_TRY_ASSIGN(const std::optional<ScanRecord> record, step);
        if (record) {
            if (!record->payload_ok) core_->meters.corrupt_slice();
            auto move = plan_move(*segment, record->header, record->payload);
            if (move == nullptr) continue;
            bytes += move->payload.size() + kHeaderBytes;
            appends.push_back(std::move(move));
        }
        if (bytes >= SmallLane::kGroupBytes || (!record && !appends.empty())) {
            auto done = co_await append_all(std::exchange(appends, {}));
            CO_TRY(done);
            bytes = 0;
        }
        if (!record || core_->stopping) co_return Result<void>();
    }
}

runtime::Task<Result<void>> Compactor::rewrite_large(SegmentRef segment) {
    std::optional<ShardId> last;
    for (;;) {
        CO_TRY_ASSIGN(const std::vector<ShardId> ids,
                      core_->index->in_segment(segment->id, last, 64));
        if (ids.empty() || core_->stopping) co_return Result<void>();
        for (const ShardId& id : ids) {
            auto moved = co_await move_shard(segment, id);
            CO_TRY(moved);
        }
        last = ids.back();
    }
}

runtime::Task<Result<void>> Compactor::move_shard(SegmentRef segment, ShardId id) {
    CO_TRY_ASSIGN(const std::optional<Row> row, core_->index->get(id));
    if (!row || !row->large) co_return Result<void>();
    Geometry moved = *row->large;
    moved.extents.clear();
    std::vector<std::shared_ptr<LargeWrite>> writes;
    std::uint32_t stripe = 0;
    Result<void> outcome;
    for (const Extent& extent : row->large->extents) {
        if (extent.segment != segment->id) {
            moved.extents.push_back(extent);
        } else if (outcome) {
            const std::uint64_t bytes = std::uint64_t{extent.slices} * row->large->slice_bytes;
            auto write = std::make_shared<LargeWrite>(core_, large_, reclaimer_, id, bytes, stripe);
            writes.push_back(write);
            outcome = co_await copy_extent(segment, id, &*row->large, stripe, extent, write.get());
            const auto& fresh = write->geometry().extents;
            moved.extents.insert(moved.extents.end(), fresh.begin(), fresh.end());
        }
        stripe += extent.slices;
    }
    bool keep = false;
    if (outcome) {
        auto seal = make_seal(id, moved, row->sealed_ms);
        seal->replaces = row->sequence;
        auto appended = co_await small_->append(std::move(seal));
        // A seal whose write failed may be on the disk all the same and be found by recovery, so
        // the copy must not be punched: it stays as garbage of its segment.
        keep = !appended || *appended;
        if (!appended) outcome = std::unexpected(appended.error());
    }
    for (const auto& write : writes) {
        if (keep) {
            write->unpin();
        } else {
            write->give_up();
        }
    }
    co_return outcome;
}

runtime::Task<Result<void>> Compactor::copy_extent(SegmentRef segment, ShardId id,
                                                   const Geometry* geometry,
                                                   std::uint32_t first_stripe, Extent extent,
                                                   LargeWrite* out) {
    out->set_slice_bytes(geometry->slice_bytes);
    Result<void> outcome;
    for (std::uint32_t i = 0; i < extent.slices && outcome; ++i) {
        const std::uint32_t stripe = first_stripe + i;
        const SlicePlace place{segment->id, segment->epoch,
                               extent.offset + i * large_span(geometry->slice_bytes),
                               geometry->slice_length(stripe), Lane::kLarge};
        auto read = co_await read_record(segment, place, id, stripe);
        if (!read) {
            outcome = std::unexpected(read.error());
            break;
        }
        std::uint64_t hash = read->header.payload_hash;
        if (!read->payload_ok) {
            core_->meters.corrupt_slice();
            LOG_ERROR("shards", "corrupt slice moved as it is: blob {} slot {} stripe {}",
                      id.blob.hex(), id.slot.value, stripe);
            if (read->payload.size() != place.length) {
                read->payload = base::Buffer(place.length);
                read->payload.resize(place.length);
                std::ranges::fill(read->payload.writable(), std::byte{0});
            }
            if (!read->header_ok) hash = ~hash_payload(read->payload.bytes());
        }
        outcome = co_await out->add(std::move(read->payload), hash);
    }
    auto drained = co_await out->drain();
    if (outcome) outcome = drained;
    co_return outcome;
}

}  // namespace hamster::shards
