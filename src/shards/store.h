// One node's shard store: verified slices, packed into append-only segments.
// Durable when a call returns; every slice is verified on every read, its address included.
// The index (kv) is derived: lost or stale, it is rebuilt by scanning. Formats:
// docs/formats/segments.md. Methods may be called from any loop of the node.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "kv/store.h"
#include "runtime/world.h"

namespace hamster::shards {

using base::BlobId;
using base::Slot;

// The largest slice payload, bytes: the unit of disk I/O, verification and range reads.
inline constexpr std::uint32_t kSliceBytes = 256 * 1024;

struct ShardId {
    BlobId blob;
    Slot slot;
    auto operator<=>(const ShardId&) const = default;
};

// What becomes of a shard that is there already under the id of a new one.
enum class Mode : std::uint8_t {
    kNew,      // it stays: kAlreadyExists
    kReplace,  // it is read until the new one is finished, which then takes its place in one step
};

struct Options {
    std::uint64_t segment_bytes = 256ULL << 20;
    std::uint64_t small_segment_bytes = 64ULL << 20;  // packed small shards, pre-written
    double compact_below = 0.5;       // live share under which a sealed segment is rewritten
    std::uint64_t reserve_bytes = 0;  // free space kept for metadata and deletes; see kNoSpace
    bool must_exist = false;          // open() refuses a place where no store was ever made
    // Opens without segments that are missing: their shards are no longer in the index, so that
    // they can be written anew. Else kInvalid.
    bool accept_lost_segments = false;
};

struct Stats {
    std::uint64_t shards = 0;
    std::uint64_t live_bytes = 0;  // payload and headers of shards in the index
    std::uint64_t disk_bytes = 0;  // allocated by segments
    std::uint64_t segments = 0;
    std::uint64_t corrupt_slices = 0;  // found since start
};

struct ShardInfo {
    ShardId id;
    std::uint64_t bytes = 0;  // payload
    std::uint32_t slices = 0;
    std::uint64_t sealed_ms = 0;  // this machine's clock when it became durable
};

// Writes one shard of several slices. Owned by one task at a time. Destroying it without finish()
// abandons the shard: its space is reclaimed, also after a crash.
class Writer {
  public:
    virtual ~Writer() = default;
    // Slices in stripe order. Returns before it is durable, with bounded data in flight.
    // 1 <= size <= kSliceBytes; only the last slice of a shard may be smaller than the others.
    virtual runtime::Task<Result<void>> append(base::Buffer slice) = 0;
    // Every slice and the shard's end are durable and indexed. The writer is done.
    virtual runtime::Task<Result<void>> finish() = 0;
};

class Store {
  public:
    // kInvalid, before anything is changed: segments that hold shards are missing.
    static runtime::Task<Result<std::unique_ptr<Store>>> open(runtime::World* control,
                                                              std::string dir, Options options,
                                                              base::Metrics* metrics);
    virtual ~Store() = default;

    // A shard of exactly one slice (small blobs): one shared sync. Durable and indexed on return.
    // kAlreadyExists, kNoSpace (disk full, or inside the reserve), kIo.
    virtual runtime::Task<Result<void>> put(ShardId id, base::Buffer slice,
                                            Mode mode = Mode::kNew) = 0;
    // `expected_bytes` (0: unknown) sizes its extents. kAlreadyExists may also come from finish().
    virtual runtime::Task<Result<std::unique_ptr<Writer>>> create(ShardId id,
                                                                  std::uint64_t expected_bytes,
                                                                  Mode mode = Mode::kNew) = 0;
    // One verified slice payload. kNotFound, kCorrupt (counted and logged), kIo.
    virtual runtime::Task<Result<base::Buffer>> read(ShardId id, std::uint32_t stripe) = 0;
    // Reads and verifies the record that makes the shard exist: what a scrub must look at beside
    // the slices, because a lost index is rebuilt from it. kNotFound, kCorrupt (counted and
    // logged), kIo.
    virtual runtime::Task<Result<void>> verify_home(ShardId id) = 0;
    // Idempotent: absent shards are fine. Space is reclaimed in the background. Works on a full
    // disk.
    virtual runtime::Task<Result<void>> remove(std::vector<ShardId> ids) = 0;
    // One look-up in the index; no byte of the shard is read.
    [[nodiscard]] virtual Result<std::optional<ShardInfo>> find(ShardId id) const = 0;
    // Up to `limit` finished shards in id order, starting after `after` (nullopt: the first).
    [[nodiscard]] virtual Result<std::vector<ShardInfo>> list(std::optional<ShardId> after,
                                                              std::size_t limit) const = 0;
    // Rewrites at most one sparse segment; false when there was none. Driven by the reconciler.
    virtual runtime::Task<Result<bool>> compact_one() = 0;
    [[nodiscard]] virtual Stats stats() const = 0;
    // True while new shards are refused for lack of space.
    [[nodiscard]] virtual bool is_full() const = 0;
    virtual runtime::Task<void> stop() = 0;
};

}  // namespace hamster::shards
