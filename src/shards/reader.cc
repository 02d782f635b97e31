#include "shards/reader.h"

#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"

namespace hamster::shards {

std::optional<SlicePlace> locate(const Row& row, std::uint32_t stripe) {
    if (!row.large) {
        if (stripe != 0) return std::nullopt;
        return SlicePlace{row.home.segment, 0, row.home.offset, row.home.length, Lane::kSmall};
    }
    const Geometry& geometry = *row.large;
    if (stripe >= geometry.slices()) return std::nullopt;
    std::uint32_t first = 0;
    for (const Extent& extent : geometry.extents) {
        if (stripe - first < extent.slices) {
            const std::uint32_t stride = large_span(geometry.slice_bytes);
            return SlicePlace{extent.segment, extent.epoch,
                              extent.offset + (stripe - first) * stride,
                              geometry.slice_length(stripe), Lane::kLarge};
        }
        first += extent.slices;
    }
    HAMSTER_ASSERT(false, stripe, first);
    return std::nullopt;
}

runtime::Task<Result<SliceRead>> read_record(std::shared_ptr<const Segment> segment,
                                             SlicePlace place, ShardId id, std::uint32_t stripe) {
    const bool small = place.lane == Lane::kSmall;
    const std::size_t span =
        small ? kHeaderBytes + std::size_t{place.length} : large_span(place.length);
    SliceRead out;
    base::Buffer buffer(span);
    buffer.resize(span);
    auto got = co_await segment->file->read(place.offset, buffer.writable());
    CO_TRY_ASSIGN(const std::size_t size, got);
    if (size < span) co_return out;
    auto header =
        decode_header(buffer.bytes().subspan(small ? 0 : span - kHeaderBytes, kHeaderBytes));
    if (small) std::memmove(buffer.data(), buffer.data() + kHeaderBytes, place.length);
    buffer.resize(place.length);
    if (header) {
        out.header = *header;
        out.header_ok = header->kind == Kind::kSlice && header->segment == place.segment &&
                        header->epoch == segment->epoch && header->offset == place.offset &&
                        header->length == place.length && header->stripe == stripe &&
                        header->blob == id.blob && header->slot == id.slot;
        if (base::planted(base::Bug::kShardNoAddress)) {
            out.header_ok = header->kind == Kind::kSlice && header->length == place.length;
        }
        out.payload_ok = out.header_ok && hash_payload(buffer.bytes()) == header->payload_hash;
    }
    out.payload = std::move(buffer);
    co_return out;
}

runtime::Task<Result<base::Buffer>> read_slice(Core* core, ShardId id, std::uint32_t stripe) {
    std::optional<SlicePlace> tried;
    std::shared_ptr<const Segment> tried_in;
    for (;;) {
        CO_TRY_ASSIGN(const std::optional<Row> row, core->index->get(id));
        if (!row) co_return fail(Code::kNotFound, "no such shard");
        const std::optional<SlicePlace> place = locate(*row, stripe);
        if (!place) co_return fail(Code::kNotFound, "no such slice in this shard");
        const std::shared_ptr<const Segment> segment = core->table.find(place->segment);
        // The index has not changed: this is what the disk holds. Each turn that goes on follows
        // one completed move, so the loop ends.
        if (tried == place && tried_in == segment) break;
        tried = place;
        tried_in = segment;
        if (segment == nullptr || (place->epoch != 0 && place->epoch != segment->epoch)) continue;
        auto read = co_await read_record(segment, *place, id, stripe);
        CO_TRY_ASSIGN(SliceRead slice, read);
        if (slice.payload_ok) co_return std::move(slice.payload);
    }
    core->meters.corrupt_slice();
    LOG_ERROR("shards", "corrupt slice: blob {} slot {} stripe {} in segment {} at {}",
              id.blob.hex(), id.slot.value, stripe, tried->segment, tried->offset);
    co_return fail(Code::kCorrupt, "a stored slice fails verification");
}

}  // namespace hamster::shards
