#include <algorithm>

#include "node/node.h"

namespace hamster::node {

namespace {
constexpr std::uint64_t kMiB = 1ULL << 20;
}  // namespace

// A segment is at most 1/32 of the disk, so that preparing one never eats what is left; the reserve
// keeps metadata, deletes and compaction going when bodies have filled the rest.
void fit_to_disk(Options* options, std::uint64_t total_bytes) {
    options->shards.segment_bytes =
        base::round_up(std::clamp(total_bytes / 32, 16 * kMiB, 256 * kMiB), kMiB);
    options->shards.small_segment_bytes =
        base::round_up(std::clamp(total_bytes / 64, 8 * kMiB, 64 * kMiB), kMiB);
    options->shards.reserve_bytes =
        base::round_up(std::clamp(total_bytes / 20, 64 * kMiB, 1024 * kMiB), kMiB);
    options->meta.wal_file_bytes =
        base::round_up(std::clamp(total_bytes / 64, 16 * kMiB, 64 * kMiB), kMiB);
    options->meta.flush_after_bytes = options->meta.wal_file_bytes;
}

}  // namespace hamster::node
