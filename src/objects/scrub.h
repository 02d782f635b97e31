// Reads every shard of this node over and over, at a low rate, so that damage is found while the
// other shards are still there to repair it. What the system has in its cache is not read from the
// disk again: it is younger than the damage that matters.
//
// The position is kept in a file, so that a node which is restarted often gets round as well. It is
// written now and then: what a crash makes it read twice does no harm.
// Control loop.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/metrics.h"
#include "objects/pacer.h"
#include "objects/site.h"

namespace hamster::objects {

// In the data directory: docs/formats/data-directory.md.
inline constexpr std::string_view kScrubFile = "scrub";

class Scrubber {
  public:
    // A read counts for so many bytes at least: a disk does not read small records much faster.
    static constexpr std::uint64_t kLeastRead = 64 * 1024;

    // `on_damage` is told each shard that is found damaged.
    Scrubber(const Site* site, std::function<void(const shards::ShardId&)> on_damage,
             base::Metrics* metrics);

    // Until the node stops.
    runtime::Task<void> run();
    // Begins a pass from the first shard on, now and at the rate of repair. Answers how many passes
    // will have ended when this one has.
    std::uint64_t begin_now();

    struct Report {
        std::uint64_t bytes = 0;    // read since start
        std::uint64_t passes = 0;   // since start
        std::uint32_t percent = 0;  // of the shards, in this pass
        std::uint64_t damaged = 0;  // shards, since start
    };
    [[nodiscard]] Report report() const;

  private:
    runtime::Task<void> load();
    runtime::Task<void> save();
    runtime::Task<bool> wait_for_next(runtime::Time begun);
    runtime::Task<bool> pass();
    runtime::Task<bool> page();
    runtime::Task<void> scrub(shards::ShardInfo shard);
    runtime::Task<bool> verify(shards::ShardInfo shard);
    [[nodiscard]] std::uint64_t bytes_per_s() const;

    const Site* site_;
    std::function<void(const shards::ShardId&)> on_damage_;
    Pacer pacer_;
    std::optional<shards::ShardId> after_;
    runtime::Time saved_at_{INT64_MIN / 2};
    bool is_asked_ = false;    // somebody wants a pass, and it has not begun
    bool is_hurried_ = false;  // the pass under way is such a one
    std::uint64_t passes_ = 0;
    base::Counter& bytes_;
    base::Counter& damaged_;
    base::Gauge& percent_;
};

}  // namespace hamster::objects
