// The stamps that commands got, as a clock. It never goes back. While the clocks of the cluster are
// behind the highest stamp, as after one that ran ahead was set right, it goes on from there, a
// little slower than time, until they catch up: ages are measured in cluster time, and would stand
// still for as long as the clock was wrong. Any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "runtime/world.h"

namespace hamster::meta {

class StampClock {
  public:
    static constexpr std::uint64_t kMaxMs = (std::uint64_t{1} << 48) - 1;  // a UUIDv7 holds no more
    // Its speed while it is ahead: seven eighths.
    static constexpr std::int64_t kSpeed = 7;
    static constexpr std::int64_t kOf = 8;

    // A stamp that was given, ms since 1970, at most kMaxMs.
    void note(std::uint64_t stamp_ms, runtime::Time now);
    // The highest stamp so far.
    [[nodiscard]] std::uint64_t last() const { return last_ms_.load(); }
    // At least last().
    [[nodiscard]] std::uint64_t at(runtime::Time now) const;

  private:
    std::atomic<std::uint64_t> last_ms_{0};
    // It shows (origin_ + kSpeed * now) / kOf microseconds: each stamp sets a lower bound of it.
    std::atomic<std::int64_t> origin_{INT64_MIN / 2};
};

}  // namespace hamster::meta
