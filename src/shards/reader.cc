#include "shards/reader.h"

#include <cstring>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"

namespace hamster::shards {

std::optional<SlicePlace> locate(const Row& row, std::uint32_t stripe) {
    if (!row.large) {
        if (stripe != 0) return std::nullopt;
        return locate_home(row);
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

SlicePlace locate_home(const Row& row) {
    return {row.home.segment, 0,
            row.home.offset,  row.home.length,
            Lane::kSmall,     row.large ? Kind::kSeal : Kind::kSlice};
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
        out.header_ok = header->kind == place.kind && header->segment == place.segment &&
                        header->epoch == segment->epoch && header->offset == place.offset &&
                        header->length == place.length && header->stripe == stripe &&
                        header->blob == id.blob && header->slot == id.slot;
        if (base::planted(base::Bug::kShardNoAddress)) {
            out.header_ok = header->kind == place.kind && header->length == place.length;
        }
        out.payload_ok = out.header_ok && hash_payload(buffer.bytes()) == header->payload_hash;
    }
    out.payload = std::move(buffer);
    co_return out;
}

namespace {

// `stripe` nullopt: the home record.
runtime::Task<Result<base::Buffer>> read_verified(Core* core, ShardId id,
                                                  std::optional<std::uint32_t> stripe) {
    std::optional<SlicePlace> tried;
    std::shared_ptr<const Segment> tried_in;
    for (;;) {
        CO_TRY_ASSIGN(const std::optional<Row> row, core->index->get(id));
        if (!row) co_return fail(Code::kNotFound, "no such shard");
        const std::optional<SlicePlace> place =
            stripe ? locate(*row, *stripe) : std::optional(locate_home(*row));
        if (!place) co_return fail(Code::kNotFound, "no such slice in this shard");
        const std::shared_ptr<const Segment> segment = core->table.find(place->segment);
        // The index has not changed: this is what the disk holds. Each turn that goes on follows
        // one completed move, so the loop ends.
        if (tried == place && tried_in == segment) break;
        tried = place;
        tried_in = segment;
        if (segment == nullptr || (place->epoch != 0 && place->epoch != segment->epoch)) continue;
        auto read = co_await read_record(segment, *place, id, stripe.value_or(0));
        CO_TRY_ASSIGN(SliceRead record, read);
        if (record.payload_ok) co_return std::move(record.payload);
    }
    core->meters.corrupt_slice();
    LOG_ERROR("shards", "corrupt {}: blob {} slot {} stripe {} in segment {} at {}",
              tried->kind == Kind::kSeal ? "seal" : "slice", id.blob.hex(), id.slot.value,
              stripe.value_or(0), tried->segment, tried->offset);
    co_return fail(Code::kCorrupt, "a stored slice fails verification");
}

}  // namespace

runtime::Task<Result<base::Buffer>> read_slice(Core* core, ShardId id, std::uint32_t stripe) {
    return read_verified(core, id, stripe);
}

runtime::Task<Result<base::Buffer>> read_home(Core* core, ShardId id) {
    return read_verified(core, id, std::nullopt);
}

}  // namespace hamster::shards
