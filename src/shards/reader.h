// Reads and verifies slices. Any loop.
#pragma once

#include "shards/core.h"

namespace hamster::shards {

// Where one slice lies.
struct SlicePlace {
    std::uint32_t segment = 0;
    std::uint64_t epoch = 0;  // 0: not known (small lane), any
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    Lane lane = Lane::kSmall;
    Kind kind = Kind::kSlice;
    bool operator==(const SlicePlace&) const = default;
};
// nullopt: the shard has no such slice.
std::optional<SlicePlace> locate(const Row& row, std::uint32_t stripe);
// The record that makes the shard exist.
SlicePlace locate_home(const Row& row);

struct SliceRead {
    base::Buffer payload;
    Header header;           // as stored, if it verified
    bool header_ok = false;  // intact, and of this record and place
    bool payload_ok = false;
};
// Reads the record once. Damage is told by the flags; kIo by the result.
runtime::Task<Result<SliceRead>> read_record(std::shared_ptr<const Segment> segment,
                                             SlicePlace place, ShardId id, std::uint32_t stripe);

// The verified payload. What the index says may go stale while the file is read (the slice was
// moved, the file recycled): then it looks again. kNotFound, kCorrupt (counted, logged), kIo.
runtime::Task<Result<base::Buffer>> read_slice(Core* core, ShardId id, std::uint32_t stripe);
// The same of the record that makes the shard exist.
runtime::Task<Result<base::Buffer>> read_home(Core* core, ShardId id);

}  // namespace hamster::shards
