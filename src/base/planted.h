// Bugs that the simulator plants to prove that its checkers see them. Each place that can go wrong
// on purpose asks planted(Bug) once. Which answer it gets is decided by the link: every binary but
// the simulator takes the one of planted.cc, which is always false and which nothing can switch; so
// the simulator tests the very objects that are shipped.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace hamster::base {

enum class Bug {
    kNone,
    kWalAckBeforeSync,      // the log answers although its group never became durable
    kWalRetrySync,          // a failed write of the log is retried and believed
    kWalTruncateOnDamage,   // damage in the middle of the log is taken for its end
    kWalStaleRecord,        // a recycled log file's old groups count as new ones
    kShardAckBeforeSync,    // a packed record is cached, not durable, when it is answered
    kShardNoAddress,        // a slice is verified without looking at whose it is
    kShardLateBuffer,       // a group is written from memory that was used for something else
    kCollectPinned,         // garbage goes although a reader still needs it
    kCollectParts,          // an upload in progress does not keep its parts
    kOrphanInFlight,        // the orphan scan removes what is about to be committed
    kLastSliceShort,        // off by one in the last slice of a ranged read
    kRetryAsNew,            // a repeated proposal carries a new request id: applied twice
    kDropBeforeFlush,       // the log is dropped before the store is flushed
    kPreconditionTooEarly,  // If-None-Match is judged before the log only
    kCompleteAnyPart,       // Complete takes a part whatever ETag the client named
    kListSkipsAtBorder,     // a page begins one key too late
    kCommitUnverified,      // a body is committed though its checksum is wrong
    kDeleteForgotten,       // a delete is not replayed after a restart
    // Of consensus; found by the tests of raft/core.h.
    kRaftVoteLost,        // a vote is given before it is durable
    kRaftAckBeforeSync,   // a follower answers for entries that are not durable
    kRaftCountUnsynced,   // the leader counts its own entries before they are durable
    kRaftCommitOldTerm,   // entries of an earlier term are committed by counting
    kRaftStaleReads,      // reads are answered without asking whether this node still leads
    kRaftTwoMemberships,  // a membership change begins while another is under way
    kRaftKeepConflict,    // entries that contradict the leader's stay in the log
    kRaftVoteForShorter,  // a vote for a log that lacks what this one has
    kRaftVoteUnrepaired,  // a vote while entries may be missing that this node acknowledged
    // Of bodies that lie on several nodes.
    kAckBelowFloor,       // a body is acknowledged with no shard to spare
    kLayoutFenceIgnored,  // a body is committed as if it lay where the layout says by now
    kSettleUnfetched,     // the node of a slot says that it has all, before it has
    kRepairUnverified,    // damaged slices count as good ones where a shard is rebuilt
    kReadWrongSlot,       // a node answers with another slot's shard, and nobody notices
    kReplaceBeforeSync,   // a repaired shard is cached, not durable, when it takes the old one's
                          // place
};

struct PlantedBug {
    Bug bug;
    std::string_view name;
};
inline constexpr std::array kPlantedBugs = {
    PlantedBug{Bug::kWalAckBeforeSync, "wal-ack-before-sync"},
    PlantedBug{Bug::kWalRetrySync, "wal-retry-sync"},
    PlantedBug{Bug::kWalTruncateOnDamage, "wal-truncate-on-damage"},
    PlantedBug{Bug::kWalStaleRecord, "wal-stale-record"},
    PlantedBug{Bug::kShardAckBeforeSync, "shard-ack-before-sync"},
    PlantedBug{Bug::kShardNoAddress, "shard-no-address"},
    PlantedBug{Bug::kShardLateBuffer, "shard-late-buffer"},
    PlantedBug{Bug::kCollectPinned, "collect-pinned"},
    PlantedBug{Bug::kCollectParts, "collect-parts"},
    PlantedBug{Bug::kOrphanInFlight, "orphan-in-flight"},
    PlantedBug{Bug::kLastSliceShort, "last-slice-short"},
    PlantedBug{Bug::kRetryAsNew, "retry-as-new"},
    PlantedBug{Bug::kDropBeforeFlush, "drop-before-flush"},
    PlantedBug{Bug::kPreconditionTooEarly, "precondition-too-early"},
    PlantedBug{Bug::kCompleteAnyPart, "complete-any-part"},
    PlantedBug{Bug::kListSkipsAtBorder, "list-skips-at-border"},
    PlantedBug{Bug::kCommitUnverified, "commit-unverified"},
    PlantedBug{Bug::kDeleteForgotten, "delete-forgotten"},
};

// Any thread. The simulator's own definition stands in tests/simulation/planted.cc.
bool planted(Bug bug);

}  // namespace hamster::base
