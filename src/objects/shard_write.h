// One shard on its way into this node's store, slice by slice: of a body that comes in here, or
// that another node sends. A shard of one small slice is packed with others under a shared sync.
// Going away before the last slice abandons it.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/task.h"
#include "shards/store.h"

namespace hamster::objects {

// Slices up to this size are packed, when they are their shard's only one; bodies up to it are
// stored as copies. Bytes.
inline constexpr std::uint64_t kSmallBlobBytes = 128 * 1024;

class ShardWrite {
  public:
    // `expected_bytes` of the whole shard, 0: unknown. `store` outlives this.
    ShardWrite(shards::Store* store, shards::ShardId id, std::uint64_t expected_bytes)
        : store_(store), id_(id), expected_bytes_(expected_bytes) {}

    // The next slice, one at a time. With `is_last` it answers once the whole shard is durable, and
    // `slice` may be empty if it is not the first. The errors of the store; after one nothing more.
    runtime::Task<Result<void>> add(base::Buffer slice, bool is_last);
    // Durable as a whole.
    [[nodiscard]] bool is_finished() const { return is_finished_; }
    [[nodiscard]] const shards::ShardId& id() const { return id_; }
    // Gives up what is not finished. Nothing may be under way.
    void abandon() { writer_.reset(); }

  private:
    shards::Store* store_;
    const shards::ShardId id_;
    const std::uint64_t expected_bytes_;
    std::unique_ptr<shards::Writer> writer_;
    bool is_finished_ = false;
};

}  // namespace hamster::objects
