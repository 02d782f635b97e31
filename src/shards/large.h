// The large lane: slices of large shards, each a record of whole blocks, in contiguous extents of
// large segments. LargeLane hands out room; LargeWrite streams one shard (or the part of one that
// compaction moves) into it. Nothing here makes a shard exist: its seal in the small lane does.
// Control loop.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "shards/core.h"
#include "shards/reclaim.h"

namespace hamster::shards {

class LargeLane {
  public:
    explicit LargeLane(Core* core) : core_(core) {}

    struct Room {
        SegmentRef segment;
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
    };
    // Room for `least` bytes at least, `want` if the segment has it, in multiples of `least`. The
    // segment is pinned for the caller. kNoSpace, kIo.
    runtime::Task<Result<Room>> reserve(std::uint64_t least, std::uint64_t want);

  private:
    runtime::Task<Result<Room>> reserve_in_turn(std::uint64_t least, std::uint64_t want);
    runtime::Task<Result<void>> open_segment();
    runtime::Task<Result<void>> allocate_to(std::uint64_t end);
    Result<void> seal_active();

    Core* core_;
    runtime::Semaphore turn_{1};
    SegmentRef active_;
    std::uint64_t allocated_ = 0;  // of active_
};

class LargeWrite : public std::enable_shared_from_this<LargeWrite> {
  public:
    // Bytes of one durable write; writes of one shard in flight.
    static constexpr std::size_t kWriteBytes = 1 << 20;
    static constexpr std::size_t kInFlight = 2;
    // The most one shard reserves at a time, so that many slow uploads do not fill a disk.
    static constexpr std::uint64_t kMaxReserve = 64 << 20;

    // `expected_bytes` of payload, 0 if unknown. `first_stripe` is that of the first add().
    LargeWrite(Core* core, LargeLane* lane, Reclaimer* reclaimer, ShardId id,
               std::uint64_t expected_bytes, std::uint32_t first_stripe);

    // The next slice; `hash` is what its header will say. Waits while too much is in flight.
    runtime::Task<Result<void>> add(base::Buffer slice, std::uint64_t hash);
    // Everything added is durable; what was reserved and not used is given back.
    runtime::Task<Result<void>> drain();
    // The seal is in the index (or failed, and give_up() was called): lets go of the segments.
    void unpin();
    // Frees everything written. Nothing may be in flight.
    void give_up();
    [[nodiscard]] const Geometry& geometry() const { return geometry_; }
    // For compaction, which knows it before the first slice; otherwise the first slice sets it.
    void set_slice_bytes(std::uint32_t bytes) { geometry_.slice_bytes = bytes; }
    [[nodiscard]] ShardId id() const { return id_; }
    [[nodiscard]] bool is_idle() const { return in_flight_ == 0; }

    // The owner's handle is gone. Any loop.
    void abandon() { abandoned_ = true; }
    [[nodiscard]] bool is_abandoned() const { return abandoned_; }

  private:
    struct Piece {
        SegmentRef segment;
        std::uint64_t offset = 0;
        std::uint64_t span = 0;
        base::Buffer payload;
        base::Buffer tail;  // the last blocks of the record: rest of the payload, header
    };
    runtime::Task<Result<void>> find_room(std::uint32_t span);
    void place(Piece piece);
    void pump();
    static runtime::Task<void> write(std::shared_ptr<LargeWrite> self, std::vector<Piece> pieces);
    runtime::Task<Result<void>> write_pieces(const std::vector<Piece>* pieces);
    base::Buffer make_tail(const base::Buffer& slice, std::uint64_t hash) const;
    void give_back_room();
    void free_ranges(std::vector<Hole> holes);
    [[nodiscard]] Result<void> check_size(std::size_t size) const;

    Core* core_;
    LargeLane* lane_;
    Reclaimer* reclaimer_;
    const ShardId id_;
    const std::uint64_t expected_bytes_;
    const std::uint64_t started_ms_;
    std::uint32_t next_stripe_;
    std::uint32_t added_ = 0;
    bool last_was_short_ = false;
    Geometry geometry_;
    std::uint64_t extent_end_ = 0;   // file offset behind geometry_'s last extent
    LargeLane::Room room_;           // not used yet
    std::uint64_t want_slices_ = 4;  // of the next reservation; doubles
    std::set<SegmentRef> pinned_;
    std::deque<Piece> queue_;
    std::size_t queued_bytes_ = 0;
    std::size_t in_flight_ = 0;
    bool draining_ = false;
    bool ended_ = false;
    std::optional<Error> error_;
    runtime::Signal changed_;
    std::atomic<bool> abandoned_{false};
};

}  // namespace hamster::shards
