// What lies on the disks of simulated machines, read as bytes, and how it rots.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/prng.h"
#include "runtime/sim/simulator.h"
#include "shards/store.h"

namespace hamster::simulation {

inline constexpr std::string_view kSegmentsDir = "shards/segments";

// One intact slice on a disk.
struct LyingSlice {
    shards::ShardId shard;
    std::uint32_t stripe = 0;
    std::string path;
    std::uint64_t payload_at = 0;  // byte of the file
    std::uint32_t length = 0;
};

// In the order of files and offsets. Also slices that the store has given up are found, as long as
// their bytes are there.
std::vector<LyingSlice> slices_on(const runtime::sim::Machine& machine);

// One bit of the payload flips.
void rot(runtime::sim::Machine& machine, const LyingSlice& slice, runtime::Prng& random);
// Bits anywhere in the segments flip; how many.
int rot_anywhere(runtime::sim::Machine& machine, int bits, runtime::Prng& random);

}  // namespace hamster::simulation
