// What the store counts. Written by the control loop (corrupt slices by any), read by any.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/metrics.h"
#include "shards/store.h"

namespace hamster::shards {

class Meters {
  public:
    explicit Meters(base::Metrics* metrics);

    // Of one durable write of `records` records.
    void wrote(std::uint64_t bytes, std::uint64_t micros, std::uint64_t records);
    void corrupt_slice();
    void poisoned_segment() { poisoned_.add(); }

    void add_shards(std::int64_t n) { shards_ += static_cast<std::uint64_t>(n); }
    void add_live(std::int64_t n) { live_ += static_cast<std::uint64_t>(n); }
    void add_disk(std::int64_t n) { disk_ += static_cast<std::uint64_t>(n); }
    void add_segments(std::int64_t n) { segments_ += static_cast<std::uint64_t>(n); }
    // Copies the sums above to the gauges.
    void publish();
    [[nodiscard]] Stats stats() const;

  private:
    base::Counter& written_;
    base::Counter& groups_;
    base::Counter& grouped_;
    base::Counter& corrupt_total_;
    base::Counter& poisoned_;
    base::Histogram& sync_;
    base::Gauge& live_gauge_;
    base::Gauge& disk_gauge_;
    base::Gauge& garbage_gauge_;
    base::Gauge& segments_gauge_;
    base::Gauge& shards_gauge_;
    std::atomic<std::uint64_t> shards_{0};
    std::atomic<std::uint64_t> live_{0};
    std::atomic<std::uint64_t> disk_{0};
    std::atomic<std::uint64_t> segments_{0};
    std::atomic<std::uint64_t> corrupt_{0};
};

}  // namespace hamster::shards
