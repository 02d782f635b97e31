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
    // Not zero: the log was lost once. Until it ends with an entry of at least this term, entries
    // may be missing that this node acknowledged: it neither votes nor campaigns.
    base::Term rejoin{};
    // Not zero: this node and that one are the only voters, and have been since an entry that both
    // have. Whatever this node acknowledged and is committed, that one has too, since neither
    // commits without the other. So this node may vote for it even before it has caught up.
    base::NodeId only_peer{};
    bool operator==(const Vote&) const = default;
};

std::string encode_vote(const Vote& vote);
Result<Vote> decode_vote(std::string_view content);  // kCorrupt, kUnsupported

// What to do about a vote that is lost, for the operator.
inline constexpr std::string_view kLostVoteAdvice =
    "do not restore it from a copy: remove this node from the cluster and let it join again under "
    "a new identity";

// nullopt when the file does not exist.
runtime::Task<Result<std::optional<Vote>>> load_vote(runtime::Disk* disk, std::string path);
// Durable when it returns.
runtime::Task<Result<void>> store_vote(runtime::Disk* disk, std::string path, Vote vote);

}  // namespace hamster::raft
