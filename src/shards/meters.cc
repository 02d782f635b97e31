#include "shards/meters.h"

namespace hamster::shards {

Meters::Meters(base::Metrics* metrics)
    : written_(metrics->counter("hamster_shards_written_bytes_total",
                                "Bytes written durably to segments, padding included")),
      groups_(metrics->counter("hamster_shards_group_writes_total",
                               "Durable writes to the packed lane")),
      grouped_(metrics->counter("hamster_shards_group_records_total",
                                "Records that shared those writes")),
      corrupt_total_(metrics->counter("hamster_shards_corrupt_slices_total",
                                      "Slices that failed verification when read")),
      poisoned_(metrics->counter("hamster_shards_poisoned_segments_total",
                                 "Segments sealed because a write to them failed")),
      sync_(metrics->histogram("hamster_shards_sync_seconds",
                               "Time until a write to a segment was durable")),
      live_gauge_(metrics->gauge("hamster_shards_live_bytes", "Bytes of indexed shards")),
      disk_gauge_(metrics->gauge("hamster_shards_disk_bytes", "Bytes allocated by segments")),
      garbage_gauge_(metrics->gauge("hamster_shards_garbage_bytes",
                                    "Allocated bytes that no shard uses, room to write included")),
      segments_gauge_(metrics->gauge("hamster_shards_segments", "Segment files")),
      shards_gauge_(metrics->gauge("hamster_shards_shards", "Indexed shards")) {}

void Meters::wrote(std::uint64_t bytes, std::uint64_t micros, std::uint64_t records) {
    written_.add(bytes);
    sync_.observe_us(micros);
    if (records == 0) return;
    groups_.add();
    grouped_.add(records);
}

void Meters::corrupt_slice() {
    corrupt_total_.add();
    ++corrupt_;
}

void Meters::publish() {
    const Stats now = stats();
    const auto garbage = static_cast<std::int64_t>(now.disk_bytes - now.live_bytes);
    live_gauge_.set(static_cast<std::int64_t>(now.live_bytes));
    disk_gauge_.set(static_cast<std::int64_t>(now.disk_bytes));
    garbage_gauge_.set(garbage < 0 ? 0 : garbage);
    segments_gauge_.set(static_cast<std::int64_t>(now.segments));
    shards_gauge_.set(static_cast<std::int64_t>(now.shards));
}

Stats Meters::stats() const {
    Stats stats;
    stats.shards = shards_;
    stats.live_bytes = live_;
    stats.disk_bytes = disk_;
    stats.segments = segments_;
    stats.corrupt_slices = corrupt_;
    return stats;
}

}  // namespace hamster::shards
