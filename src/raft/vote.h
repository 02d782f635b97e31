// The small file that outlives a restart beside the log: the current term and whom this node voted
// for in it. Losing it could elect two leaders of one term, so a missing or damaged one beside a
// log with entries is an error, never a fresh start. Format: docs/formats/raft-log.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "runtime/world.h"

namespace hamster::raft {

struct Vote {
    base::Term term;         // 0: none began yet
    base::NodeId voted_for;  // zero: nobody
    bool operator==(const Vote&) const = default;
};

std::string encode_vote(const Vote& vote);
Result<Vote> decode_vote(std::string_view content);  // kCorrupt, kUnsupported

// nullopt when the file does not exist.
runtime::Task<Result<std::optional<Vote>>> load_vote(runtime::Disk* disk, std::string path);
// Durable when it returns.
runtime::Task<Result<void>> store_vote(runtime::Disk* disk, std::string path, Vote vote);

}  // namespace hamster::raft
