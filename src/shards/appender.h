// The small lane: whole small shards, and the seals that end large ones, packed into pre-written
// segments. Whatever waits while one durable write is on its way shares the next (group commit);
// the next segment is prepared in the background. One write is in flight at a time, so every
// record that precedes a valid group in its segment was acknowledged or given up.
// Control loop.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "shards/core.h"
#include "shards/reclaim.h"

namespace hamster::shards {

// One record to append, and what the index shall say once it is durable.
struct Append {
    Kind kind = Kind::kSlice;
    ShardId id;
    base::Buffer payload;
    std::uint64_t payload_hash = 0;
    std::uint64_t sealed_ms = 0;
    std::optional<Geometry> large;  // of a seal
    Mode mode = Mode::kNew;
    // A move: takes effect only if the shard's row still has this sequence.
    std::optional<std::uint64_t> replaces;
    // Set once `done` is: true: it is in the index; false: a move that came too late.
    Result<bool> outcome = false;
    runtime::Event done;
};

class SmallLane {
  public:
    // The most bytes of one group write, unless a single record is larger.
    static constexpr std::size_t kGroupBytes = 1 << 20;

    SmallLane(Core* core, Reclaimer* reclaimer) : core_(core), reclaimer_(reclaimer) {}

    void start();
    void stop();  // appends queued before it still happen; the gate waits for them
    // kAlreadyExists, kNoSpace, kIo, kUnavailable. At most one record of a shard is on its way: a
    // second one waits and looks again.
    runtime::Task<Result<bool>> append(std::shared_ptr<Append> record);
    // There may be space again.
    void retry_prepare();
    // Segments started since the last call: how much a crash would have to scan.
    std::uint32_t take_rollovers() { return std::exchange(rollovers_, 0); }
    [[nodiscard]] std::uint32_t rollovers() const { return rollovers_; }

  private:
    using Group = std::vector<std::shared_ptr<Append>>;
    struct Placed {
        std::uint32_t offset = 0;
        std::uint64_t sequence = 0;
    };
    runtime::Task<void> write_loop();
    runtime::Task<void> write_group();
    runtime::Task<Result<void>> make_room(std::uint64_t bytes);
    Group take_group(std::vector<Placed>* placed, std::uint64_t* bytes);
    base::Buffer build(const Group& group, const std::vector<Placed>& placed,
                       std::uint64_t bytes) const;
    Result<void> commit(const Group& group, const std::vector<Placed>& placed, std::uint64_t bytes);
    void settle(const Group& group);
    void fail_queue(const Error& error);
    void seal_active();
    [[nodiscard]] bool should_prepare() const;
    runtime::Task<void> prepare_loop();
    runtime::Task<Result<SegmentRef>> prepare();

    Core* core_;
    Reclaimer* reclaimer_;
    std::deque<std::shared_ptr<Append>> queue_;
    std::map<ShardId, std::shared_ptr<Append>> on_the_way_;
    runtime::Signal queued_;
    SegmentRef active_;
    SegmentRef next_;
    std::vector<std::uint32_t> sealed_;  // to be noted in the index with the next change
    runtime::Signal next_changed_;
    bool want_next_ = false;
    bool prepare_failed_ = false;
    std::optional<Error> next_error_;
    std::uint32_t rollovers_ = 0;
};

}  // namespace hamster::shards
