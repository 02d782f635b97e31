// Segments: the append-only files that shards are packed in, and the table of the open ones.
// A Segment's identity and file may be used from any loop; its bookkeeping belongs to the control
// loop. Readers hold a SegmentRef, so a file deleted under them stays readable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/world.h"
#include "shards/meters.h"
#include "shards/record.h"

namespace hamster::shards {

struct Segment {
    Segment(std::uint32_t id_in, Lane lane_in, std::uint64_t epoch_in,
            std::shared_ptr<runtime::File> file_in)
        : id(id_in), lane(lane_in), epoch(epoch_in), file(std::move(file_in)) {}

    const std::uint32_t id;
    const Lane lane;
    const std::uint64_t epoch;
    const std::shared_ptr<runtime::File> file;

    // Control loop only, from here on.
    std::uint64_t end = kSegmentStart;  // records lie below; small lane: scanned and indexed
    std::uint64_t disk = 0;             // bytes allocated
    std::uint64_t live = 0;             // bytes of records the index points at
    std::uint64_t records = 0;          // of them, homes of shards
    std::uint64_t last_sequence = 0;
    std::uint32_t pins = 0;  // unfinished writers with an extent here
    bool sealed = false;     // gives no more room; large: reserved extents are still filled
    bool poisoned = false;   // a write failed: never written again
    bool dying = false;      // dead, and on its way to recycling or deletion
    bool stuck = false;      // compaction met damage it must not pass over
};
using SegmentRef = std::shared_ptr<Segment>;

// Open segments by id. find() from any loop; the rest on the control loop. Guarded by a mutex that
// is held for a pointer copy; the map itself is never changed once readers can see it.
class SegmentTable {
  public:
    using Map = std::map<std::uint32_t, SegmentRef>;
    explicit SegmentTable(Meters* meters) : meters_(meters) {}

    [[nodiscard]] SegmentRef find(std::uint32_t id) const;
    [[nodiscard]] std::shared_ptr<const Map> all() const;
    // Adds it, or takes the place of the one with its id (a recycled file).
    void put(const SegmentRef& segment);
    void erase(std::uint32_t id);
    // Sets segment->disk and the sum over all.
    void set_disk(Segment* segment, std::uint64_t bytes);

  private:
    void swap_in(std::shared_ptr<const Map> map);
    Meters* meters_;
    mutable std::mutex mutex_;
    std::shared_ptr<const Map> map_ = std::make_shared<const Map>();
};

// File names under `dir`.
std::string segment_path(const std::string& dir, std::uint32_t id, Lane lane);
struct SegmentName {
    std::uint32_t id = 0;
    Lane lane = Lane::kSmall;
};
std::optional<SegmentName> parse_segment_name(std::string_view name);
// A file still being made; recovery removes it.
inline constexpr std::string_view kNewSuffix = ".new";
// Made before the first segment: a directory without it is not the one the segments are in.
inline constexpr std::string_view kMarkFile = "segments.here";

// The directory of the segments. A failed sync of it may have dropped the names that others made
// and not synced yet, and their next sync would succeed all the same: so a name counts as durable
// only if no sync failed between its making and the end of its own. Control loop.
class Directory {
  public:
    Directory(runtime::World* world, std::string path) : world_(world), path_(std::move(path)) {}
    [[nodiscard]] const std::string& path() const { return path_; }
    runtime::Task<Result<void>> sync();
    [[nodiscard]] std::uint64_t failures() const { return failures_; }

  private:
    runtime::World* world_;
    std::string path_;
    std::uint64_t failures_ = 0;
};

// Both coroutines below return a segment whose header is durable. A failure leaves no file behind
// (or one that recovery removes).
// `prewrite`: bytes to allocate and zero (small lane), 0 for none.
runtime::Task<Result<SegmentRef>> create_segment(runtime::World* world, Directory* dir,
                                                 SegmentName name, std::uint64_t prewrite,
                                                 std::uint64_t sequence);
// Puts a dead small segment to use again under a new epoch.
runtime::Task<Result<SegmentRef>> recycle_segment(runtime::World* world, SegmentRef old,
                                                  std::uint64_t sequence);
// The intact copy of a file's own header; of two different ones the younger. nullopt: both are
// damaged. kUnsupported, kIo.
runtime::Task<Result<std::optional<Header>>> read_segment_header(runtime::File* file);

}  // namespace hamster::shards
