// One body on its way to the nodes of its slots. Each slot has a lane, which takes its slices in
// order: to this node's store, or to another node. Stripes are sent while the next one is read;
// memory is leased for all that is on its way.
//
// A lane whose node fails is dropped, and the body goes on without it while enough are left
// (floor_of); so is one that holds up the body although enough others could go on. Below the floor
// the write fails, and nothing is left behind. On the loop that made it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "erasure/codec.h"
#include "objects/budget.h"
#include "objects/placing.h"
#include "objects/shard_write.h"
#include "objects/watch.h"
#include "runtime/sync.h"

namespace hamster::objects {

class ServiceImpl;
struct LoopState;

// Stripes of one body in memory while it streams in: one that is being read, two on their way.
// More than one only while the node has room for them.
inline constexpr std::uint64_t kStripesInFlight = 3;
// Slices of one lane on their way to another node at once, after the first one, which opens the
// shard there.
inline constexpr std::size_t kLaneWindow = 2;
// A lane that has taken nothing for so long is dropped, if the body waits for it and enough others
// wait as well.
inline constexpr runtime::Micros kStall = std::chrono::seconds(3);
// So often a node that has nothing to take for now is told that more will come: well within
// IncomingWrites::kIdle.
inline constexpr runtime::Micros kKeepWriteInterval = std::chrono::seconds(15);

class BodyWrite final : public Watched, public std::enable_shared_from_this<BodyWrite> {
  public:
    // `expected_bytes` of the body, 0: unknown. `lease` holds one stripe with its parity at least.
    BodyWrite(ServiceImpl* service, LoopState* loop, Target target, std::uint64_t expected_bytes,
              Lease lease);
    // Before the first add(): starts to look after stuck lanes.
    void start();

    // Waits until there is room for one stripe more. An error once too few lanes are
    // left: kUnavailable, or kNoSpace when the others have no space.
    runtime::Task<Result<void>> make_room();
    // Sends the next stripe: its k data slices, equally long. `is_last`: the body ends with it, and
    // has been verified.
    void add(std::vector<base::Buffer> data, bool is_last);
    // The body ended with the stripe before.
    void add_end();
    // After the last stripe: waits until it is durable on all lanes, or on enough of them. Answers
    // the slots that are missing, bit by bit.
    runtime::Task<Result<std::uint64_t>> finish();
    // Instead: nothing of it is to stay, on any node. Does not wait for it.
    void give_up();

    void on_tick(runtime::Time now) override;
    [[nodiscard]] const Target& target() const { return target_; }

  private:
    struct Item {
        base::Buffer slice;   // of a lane to this node
        std::string payload;  // of a lane to another one
        bool is_last = false;
    };
    struct Lane {
        std::unique_ptr<ShardWrite> shard;              // of a lane to this node
        std::shared_ptr<std::atomic<bool>> is_dropped;  // of another: read on the control loop
        std::vector<Item> queue;                        // a few at most
        std::size_t in_flight = 0;
        std::size_t workers = 0;
        bool is_begun = false;  // its node was sent something
        bool is_open = false;   // and took it
        bool is_done = false;   // durable
        std::optional<Error> failed;
        runtime::Time moved_at{};  // when it last took something, or had nothing to take
        runtime::Time kept_at{};   // when its node was last told that more will come
        [[nodiscard]] bool is_live() const { return !failed; }
        [[nodiscard]] bool is_idle() const { return queue.empty() && in_flight == 0; }
    };

    [[nodiscard]] Item item_for(std::size_t slot, base::Buffer* slice, bool is_last) const;
    void push(std::size_t slot, Item item);
    void pump(std::size_t slot);
    static runtime::Task<void> work(std::shared_ptr<BodyWrite> self, std::size_t slot);
    runtime::Task<Result<void>> send(std::size_t slot, Item item);
    void drop(std::size_t slot, Error error);
    static runtime::Task<void> abandon(std::shared_ptr<BodyWrite> self, std::size_t slot);
    void keep_writes(runtime::Time now);
    static runtime::Task<void> keep_write(std::shared_ptr<BodyWrite> self, std::size_t slot);
    [[nodiscard]] std::uint32_t live_lanes() const;
    [[nodiscard]] bool has_room();
    [[nodiscard]] Error too_few() const;

    ServiceImpl* service_;
    LoopState* loop_;
    const Target target_;
    const std::uint64_t shard_bytes_;  // expected, 0: unknown
    Lease lease_;
    std::optional<erasure::Codec> codec_;  // if there is anything to encode
    std::vector<Lane> lanes_;
    std::unique_ptr<Watch> watch_;
    std::uint32_t next_stripe_ = 0;
    std::uint64_t held_ = 0;  // slices in memory
    bool is_waiting_ = false;
    bool has_failed_ = false;
    runtime::Signal changed_;
};

}  // namespace hamster::objects
