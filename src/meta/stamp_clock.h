// The stamps that commands got, and the least that the next one gets. They never go back. While the
// clocks of the cluster are behind the highest stamp, as after one that ran ahead was set right,
// the next one goes on from there, a little slower than time, until they catch up: ages are
// measured in cluster time, and would stand still for as long as the clock was wrong.
//
// Who leads stamps by it. For everybody else cluster time is then the highest stamp and moves with
// commands only (objects/collector.h sees to some), so that all nodes agree on it. Any thread.
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

    // A stamp that was given, ms since 1970; more than kMaxMs counts as that.
    void note(std::uint64_t stamp_ms, runtime::Time now);
    // The highest stamp so far.
    [[nodiscard]] std::uint64_t last() const { return last_ms_.load(); }
    // For a stamp given now: at least last().
    [[nodiscard]] std::uint64_t at(runtime::Time now) const;

  private:
    std::atomic<std::uint64_t> last_ms_{0};
    // It shows (origin_ + kSpeed * now) / kOf microseconds: each stamp sets a lower bound of it.
    std::atomic<std::int64_t> origin_{INT64_MIN / 2};
};

}  // namespace hamster::meta
