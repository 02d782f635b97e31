// Everything about one run that is drawn from its seed before it starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/node.h"

namespace hamster::simulation {

enum class Fault {
    kCrashAtIo,  // power is cut at a random I/O boundary, also of a recovery
    kCrashNow,
    kCleanRestart,
    kDiskErrors,  // for a while reads, writes and syncs fail; a failed sync drops its data
    kSlowDisk,
    kFullDisk,      // for a while
    kClockJump,     // either way, seconds to years
    kNetworkReset,  // for a while
    kBitRot,        // of a segment: that body may be lost, and nothing else
};

std::string_view name_of(Fault fault);

struct Plan {
    std::uint64_t seed = 0;
    int workers = 1;
    int operations = 10;  // of each worker
    int faults = 0;       // how many are injected
    std::vector<Fault> kinds;
    bool crash_in_init = false;
    bool crash_in_recovery = false;
    bool log_rot = false;  // damage in the middle of the log: the node refuses to start
    bool two_part_uploads = false;
    std::uint64_t max_bytes = 0;  // of a body
    bool delete_all = false;      // at the end, so that nothing may be left
    bool power_cut_last = false;  // one more, after everything has been verified
    std::vector<std::string> keys;
    node::Options options;

    [[nodiscard]] bool has(Fault fault) const;
    [[nodiscard]] std::string text() const;
};

Plan draw_plan(std::uint64_t seed);

}  // namespace hamster::simulation
