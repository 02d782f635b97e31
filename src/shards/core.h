// What the parts of one shard store share. Everything here belongs to the control loop, except
// where a member's own header says otherwise.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/sync.h"
#include "shards/index.h"
#include "shards/meters.h"
#include "shards/segment.h"
#include "shards/space.h"

namespace hamster::shards {

// Bytes accepted for large shards and not durable yet, over all writers.
inline constexpr std::size_t kWriteBudget = 64 << 20;

struct Core {
    Core(runtime::World* world_in, std::string dir_in, const Options& options_in,
         base::Metrics* metrics)
        : world(world_in),
          segments_dir(dir_in + "/segments"),
          directory(world_in, segments_dir),
          index_dir(dir_in + "/index"),
          options(options_in),
          meters(metrics),
          table(&meters),
          space(world_in, options_in) {}

    runtime::World* const world;
    const std::string segments_dir;
    Directory directory;  // of that path
    const std::string index_dir;
    const Options options;
    Meters meters;
    SegmentTable table;
    Space space;
    std::unique_ptr<Index> index;  // set by open, then never changed
    runtime::Gate gate;
    runtime::Semaphore write_budget{kWriteBudget};
    bool stopping = false;
    std::uint32_t next_segment = 1;
    std::uint64_t next_sequence = 1;

    [[nodiscard]] Change change() { return {index.get(), &table, &meters}; }
    // Takes it out of use after a failed write. Logged and counted.
    void poison(Segment* segment, const Error& error);
};

}  // namespace hamster::shards
