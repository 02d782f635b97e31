// The durable Raft log of one group on this node: entries with term, index and a hash chain, on the
// wal, and the vote beside them. Not consensus: it decides nothing. Belongs to one loop.
// Format: docs/formats/raft-log.md.
//
// The wal's record number is the entry's index. The chain (each entry hashes its predecessor's
// chain and its own bytes) makes two logs that agree at one entry agree on everything before it,
// and catches an entry that is valid by itself but in the wrong history.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/metrics.h"
#include "proto/commands.pb.h"
#include "raft/term_map.h"
#include "raft/vote.h"
#include "runtime/world.h"
#include "wal/wal.h"

namespace hamster::raft {

// The end of a log, as far as the next entry depends on it.
struct Tail {
    LogIndex index;
    Term term;
    std::uint64_t chain = 0;
    bool operator==(const Tail&) const = default;
};

// The record of an entry: its protobuf bytes with the chain as the last field. Sets entry.chain.
std::string encode_entry(proto::Entry& entry, std::uint64_t previous_chain);
// Verifies against the entry before it; `previous` is null where that one is not known (the oldest
// entry kept). kCorrupt.
Result<proto::Entry> decode_entry(base::Bytes record, LogIndex index, const Tail* previous);

class Log {
  public:
    // Opens or creates the log in `dir` and verifies all of it. kCorrupt also when the vote file is
    // missing beside entries, or behind them, and when there are no entries although there were,
    // unless the next one would follow `base`: what is known to be committed.
    static runtime::Task<Result<std::unique_ptr<Log>>> open(
        runtime::World* world, std::string dir, wal::Options options, base::Metrics* metrics,
        std::optional<Tail> base = std::nullopt);
    // The same for a node whose entries other voters have as well. A log that does not verify is
    // emptied and begins anew behind `base`, which is what is durably applied; the vote says so
    // first, in a new term (Vote::rejoin). Who applied nothing gives {}. A vote that is lost stays
    // an error: such a node comes back under a new identity only.
    static runtime::Task<Result<std::unique_ptr<Log>>> open_or_rejoin(runtime::World* world,
                                                                      std::string dir,
                                                                      wal::Options options,
                                                                      base::Metrics* metrics,
                                                                      Tail base);
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    // Of the entries kept; first = last + 1 when there are none. first_index() moves by whole
    // files.
    [[nodiscard]] LogIndex first_index() const { return {wal_->first()}; }
    [[nodiscard]] LogIndex last_index() const { return {wal_->next() - 1}; }  // durable
    [[nodiscard]] Term last_term() const { return durable_.term; }
    [[nodiscard]] const Vote& vote() const { return vote_; }

    // A lone voter at its start: the next term, with its own vote, durable when it returns. No
    // append may be under way. After an error the log must be opened again.
    runtime::Task<Result<Term>> begin_term(base::NodeId self);

    // Appends an entry of the current term (one must have begun) and returns where it stands when
    // it is durable. Order of calls is order of indices. kIo: unknown outcome, the log is poisoned.
    // kNoSpace: not appended; entries queued behind it fail too.
    runtime::Task<Result<Tail>> append(proto::Entry::Kind kind, std::string payload);
    // What a core hands out: entries from `truncate_from` on go, then `entries` come, which follow
    // what is left; sets their chains. Durable when it returns. One write at a time. kIo: the
    // outcome is not known, the log must be opened again. kNoSpace: a first part of the entries may
    // have been appended; the same call again appends the rest.
    runtime::Task<Result<void>> write(std::optional<LogIndex> truncate_from,
                                      std::vector<proto::Entry>* entries);
    // Durable when it returns. Terms only grow.
    runtime::Task<Result<void>> save_vote(Vote vote);
    // Empties the log; the next entry follows `base`. No write may be under way.
    runtime::Task<Result<void>> reset(Tail base);
    // The terms of the entries there were when it was opened. Their base is the oldest entry kept,
    // or `base` where that comes right before it. After a reset: its base alone.
    [[nodiscard]] const TermMap& opened_terms() const { return opened_terms_; }
    // [from, to), verified. `visit` returning an error stops.
    runtime::Task<Result<void>> read(LogIndex from, LogIndex to,
                                     std::function<Result<void>(const proto::Entry&)> visit);
    // Whether this log is the one that `index` and `chain` were noted from, as far as the entries
    // kept can tell. kCorrupt when it is another one or too short.
    runtime::Task<Result<void>> check_follows(LogIndex index, std::uint64_t chain);
    // Entries below `index` are no longer needed.
    runtime::Task<Result<void>> drop_before(LogIndex index);
    // Nor those up to `base`, which is an entry of this log and committed: what follows it can
    // still be cut off.
    runtime::Task<Result<void>> drop_up_to(Tail base);
    runtime::Task<void> stop();

  private:
    Log(runtime::World* world, std::string dir, std::unique_ptr<wal::Wal> wal);
    // Sets *is_damaged when an error is about the entries, not the vote.
    static runtime::Task<Result<std::unique_ptr<Log>>> open_and_verify(
        runtime::World* world, std::string dir, wal::Options options, base::Metrics* metrics,
        std::optional<Tail> base, bool* is_damaged);
    runtime::Task<Result<void>> check_vote();
    runtime::Task<Result<void>> recover(std::optional<Tail> base);
    runtime::Task<Result<void>> truncate(LogIndex from);
    runtime::Task<Result<void>> append_encoded(std::string record, Tail mine, Tail before);
    void settle(const Tail& entry, const Tail& before, const Result<void>& outcome);

    runtime::World* world_;
    std::string vote_path_;
    std::unique_ptr<wal::Wal> wal_;
    Vote vote_;
    TermMap opened_terms_;
    std::optional<Tail> base_;   // a committed entry; perhaps the one before the first
    Tail durable_;               // the last entry known to be durable
    Tail tail_;                  // the last entry handed to the wal
    std::size_t in_flight_ = 0;  // appends between the two
    // Set while appends that were queued behind a failed one drain; then tail_ goes back.
    std::optional<Error> failed_;
};

}  // namespace hamster::raft
