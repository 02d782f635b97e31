// Shards that other nodes write here: slices come in stripe order, and two of a shard may be on
// their way at once. A write that goes silent is given up, so that nothing is left of a writer that
// died. Control loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "objects/exchange.h"
#include "objects/shard_write.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::objects {

class IncomingWrites {
  public:
    // Writes under way at once, 1 KiB each when they are idle.
    static constexpr std::size_t kMaxWrites = 4096;
    // Slices being taken, all together; more wait their turn. Bytes.
    static constexpr std::size_t kRoom = 32UL << 20;
    // So many slices may overtake the one that is next.
    static constexpr std::uint32_t kMaxAhead = 4;
    // After so long without a slice, or a word of its writer, a write is given up.
    static constexpr runtime::Micros kIdle = std::chrono::seconds(60);
    // The same while later slices wait for one that does not come.
    static constexpr runtime::Micros kGap = std::chrono::seconds(10);

    // Both outlive this.
    IncomingWrites(runtime::World* control, shards::Store* store)
        : control_(control), store_(store) {}

    // One slice; of the last one it answers when the shard is durable. kConflict: it is not the
    // next one, or the write was given up; kUnavailable: too many; the errors of the store, which
    // end the write.
    runtime::Task<Result<void>> put(base::NodeId from, VerifiedWrite put);
    // Gives a write up that is not finished. False when there is none.
    bool abandon(base::NodeId from, shards::ShardId shard);
    // The writer waits for its client. False when there is no such write.
    bool keep(base::NodeId from, shards::ShardId shard);
    // Gives up what has been silent for too long; now and then.
    void sweep();
    // Gives up all of them, so that nobody waits for a slice: the node stops.
    void stop();
    [[nodiscard]] std::size_t size() const { return writes_.size(); }

  private:
    using Key = std::pair<base::NodeId, shards::ShardId>;
    struct Write {
        Write(shards::Store* store, shards::ShardId id, std::uint64_t expected_bytes)
            : shard(store, id, expected_bytes) {}
        ShardWrite shard;
        std::uint32_t next = 0;  // stripe
        std::uint32_t waiting = 0;
        bool is_busy = false;
        bool is_over = false;  // finished, failed or given up: not in the table any more
        runtime::Time touched{};
        runtime::Signal changed;
    };
    using WritePtr = std::shared_ptr<Write>;

    Result<WritePtr> find_or_open(const Key& key, const VerifiedWrite& put);
    static runtime::Task<Result<void>> wait_turn(WritePtr write, std::uint32_t stripe);
    void end(const Key& key, Write& write);

    runtime::World* control_;
    shards::Store* store_;
    std::map<Key, WritePtr> writes_;
    runtime::Semaphore room_{kRoom};
};

}  // namespace hamster::objects
