// When to refuse new shards for lack of space, and when to take them again. Control loop;
// is_full() from any.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/world.h"
#include "shards/store.h"

namespace hamster::shards {

class Space {
  public:
    Space(runtime::World* world, const Options& options)
        : world_(world),
          reserve_(options.reserve_bytes),
          slack_(options.small_segment_bytes + options.segment_bytes / 16) {}

    [[nodiscard]] bool is_full() const { return full_; }
    // Asks the disk again, if 100 ms have passed or more than a MiB was taken since the last time.
    void refresh(std::uint64_t taken = 0);
    // The disk refused an allocation.
    void ran_out();
    // A prepared segment became free for reuse: room without asking the disk.
    void gained();

  private:
    void update(bool inside_reserve, bool exhausted);
    runtime::World* world_;
    const std::uint64_t reserve_;
    const std::uint64_t slack_;  // an allocation that failed is worth another try above this
    bool inside_reserve_ = false;
    bool exhausted_ = false;
    std::uint64_t taken_ = 0;  // since asked_
    runtime::Time asked_{INT64_MIN / 2};
    std::atomic<bool> full_{false};
};

}  // namespace hamster::shards
