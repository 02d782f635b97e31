// Consensus as a pure state machine: what happened goes in, what is to be done comes out. No I/O,
// no clock, no thread; its only randomness is seeded. The driver (raft/driver) performs the
// outputs.
//
// After Ongaro's thesis ("Consensus: Bridging Theory and Practice", 2014): elections 3.4 with
// PreVote 9.6, CheckQuorum and leader stickiness 6.2 and 4.2.3, log replication 3.5 with pipelining
// 10.2.1, commitment 3.6, one membership change at a time 4.1 to 4.2.2 with learners 4.2.1,
// leadership transfer 3.10, read-index 6.4. The leader writes its disk in parallel with replication
// (10.2.1): its own entries count once persisted() says so.
//
// What the driver owes the core:
// - It performs Output::vote before Output::truncate_from, and that before Output::append, and
//   reports with vote_persisted() and persisted() when they are durable. Writes end in the order
//   they were given.
// - It may lose, delay, repeat and reorder messages; it never alters them.
// - After a restart it hands in what was durable, nothing less. A node that lost its vote must not
//   come back under its old id.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "proto/raft.pb.h"
#include "raft/progress.h"
#include "raft/term_map.h"
#include "raft/vote.h"
#include "runtime/prng.h"

namespace hamster::raft {

using base::NodeId;

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

// Who takes part, as sets. Ids in one set only.
struct Members {
    std::set<NodeId> voters;
    std::set<NodeId> learners;
    bool operator==(const Members&) const = default;
    [[nodiscard]] bool is_voter(const NodeId& id) const { return voters.contains(id); }
    [[nodiscard]] bool contains(const NodeId& id) const {
        return voters.contains(id) || learners.contains(id);
    }
};
proto::Membership to_proto(const Members& members);
// kCorrupt when an id is malformed or given twice, or nobody votes.
Result<Members> members_from(const proto::Membership& stored);

struct Options {
    NodeId self;
    std::uint64_t seed = 1;
    int election_ticks = 10;  // an election begins after this to twice this without a leader
    int heartbeat_ticks = 2;
    std::size_t window = 16;  // appends under way to one follower
};

// What was durable when the node went down.
struct Restored {
    Vote vote;
    TermMap log;
    LogIndex applied;  // at least the log's base: known to be committed
    // The membership at the log's base, then those of CONFIGURATION entries behind it. The first
    // one is empty on a node that was not told yet who takes part.
    std::vector<std::pair<LogIndex, Members>> memberships;
};

// Append entries [first, last] behind `message` and send it; fewer when they are many. Empty when
// first > last. Then call sent(). Answer sent() with first - 1 when they could not be read.
struct Send {
    proto::RaftMessage message;
    LogIndex first;
    LogIndex last;
};

// How a read asked for with read() stands.
struct Read {
    std::uint64_t id = 0;
    bool confirmed = false;  // false: ask again, perhaps elsewhere
    LogIndex index;          // confirmed: read once this is applied
};

struct Output {
    std::optional<Vote> vote;               // to be made durable
    std::optional<LogIndex> truncate_from;  // entries from here on go
    std::vector<proto::Entry> append;       // then these come; without chain
    std::uint64_t write = 0;                // of truncate_from and append, for persisted()
    std::vector<proto::RaftMessage> messages;
    std::vector<Send> sends;
    std::vector<NodeId> snapshots;  // these need one: the log no longer reaches back to them
    std::vector<Read> reads;
};

class Core {
  public:
    Core(Options options, Restored restored);

    // One unit of time has passed.
    void tick();
    // At the start: a lone voter need not wait whether somebody leads.
    void campaign_if_alone();
    // Of any node; what cannot be meant for this core is dropped.
    void receive(const proto::RaftMessage& message);
    // An entry of the current term. Where it will stand, if this term's leader does not change
    // before it is committed. nullopt: not leader, or handing over.
    std::optional<Position> propose(proto::Entry::Kind kind, std::string payload);
    // kUnavailable: not leader, or handing over. kConflict: another change is under way, or the
    // leader's term has not committed yet: ask again. kInvalid: more than one voter differs, or
    // nobody would vote.
    Result<Position> propose_membership(const Members& next);
    // A linearizable read; Output::reads has the answer, unless messages are lost. Ids are the
    // caller's, unique per core.
    void read(std::uint64_t id);
    // Hands leadership over once the voter has caught up; given up after an election's time.
    Result<void> transfer(const NodeId& to);
    // A leader becomes a follower of its own term; who waits for it is told nothing.
    void step_down();
    // False: this node waits to be led, and gives up an election it began. Its votes for others are
    // not affected. True at the start.
    void set_may_campaign(bool may);

    // What has been done of earlier outputs.
    void vote_persisted(const Vote& vote);
    void persisted(std::uint64_t write);
    void sent(const NodeId& to, Term term, LogIndex last);
    void snapshot_sent(const NodeId& to, LogIndex index, bool installed);
    // A leader's disk has its log up to `durable` and cannot take the rest. If no other node can
    // know of that, the entries go as if they had never been proposed: answers from where on.
    // nullopt: they stand. What stands is still to be written, as is, in any case, the entry that
    // opened the term.
    std::optional<LogIndex> take_back(LogIndex durable);
    // The log holds nothing up to `index` any more, which was applied.
    void compacted(LogIndex index);
    // The state up to `at` is durable in place of the old one, and the log on the disk is empty
    // behind it; writes given out before are of no account. False: nothing was to be replaced, the
    // log has all of it (needs_install() says so beforehand), and it counts as committed.
    bool install(Position at, const Members& members);
    // Whether install() would replace anything.
    [[nodiscard]] bool needs_install(Position at) const {
        return at.index > commit_ && log_.term_at(at.index) != at.term;
    }

    // Takes what is to be done now.
    Output take();

    [[nodiscard]] Role role() const { return role_; }
    [[nodiscard]] Term term() const { return vote_.term; }
    // Zero: not known.
    [[nodiscard]] const NodeId& leader() const { return leader_; }
    [[nodiscard]] LogIndex commit() const { return commit_; }
    // Committed and durable here: may be applied.
    [[nodiscard]] LogIndex can_apply() const { return std::min(commit_, durable_); }
    [[nodiscard]] const TermMap& log() const { return log_; }
    [[nodiscard]] const Members& members() const { return memberships_.back().second; }
    [[nodiscard]] bool has_pending_membership() const {
        return memberships_.back().first > commit_;
    }
    // Leads, and an entry of its term is committed: commit() is then no older than anybody's.
    [[nodiscard]] bool has_committed_here() const {
        return role_ == Role::kLeader && commit_ >= term_start_;
    }
    // False after the log was lost: entries may be missing that were acknowledged (Vote::rejoin).
    [[nodiscard]] bool has_caught_up() const;
    // How far the followers are; empty unless leading.
    [[nodiscard]] const std::map<NodeId, Progress>& progress() const { return progress_; }

  private:
    // Elections: core_election.cc.
    void become_follower(Term term, const NodeId& leader);
    void campaign(bool pre, bool by_transfer);
    void win_if_elected();
    void become_leader();
    void on_request_vote(const NodeId& from, const proto::RaftMessage& message);
    void on_vote_reply(const NodeId& from, const proto::RaftMessage& message);
    void set_vote(Term term, const NodeId& voted_for);
    void review_only_peer();
    void reset_election_timer();
    [[nodiscard]] bool may_campaign() const;
    [[nodiscard]] bool is_majority(const std::set<NodeId>& ids) const;
    bool step_up_to(const NodeId& from, const proto::RaftMessage& message);
    [[nodiscard]] bool is_bound_to_leader(const proto::RaftMessage& message) const;

    // Following: core_follow.cc.
    void on_append(const NodeId& from, const proto::RaftMessage& message);
    bool accept_entries(const proto::RaftMessage::Append& append);
    void reply_to_append();
    void refuse_append(const NodeId& to, const proto::RaftMessage::Append& append);
    void note_membership(const proto::Entry& entry);
    void drop_from(LogIndex index);

    // Leading: core_lead.cc.
    void tick_leader();
    void check_quorum();
    void on_append_reply(const NodeId& from, const proto::RaftMessage::AppendReply& reply);
    void on_accepted(const NodeId& from, Progress& peer,
                     const proto::RaftMessage::AppendReply& reply);
    void on_refused(Progress& peer, const proto::RaftMessage::AppendReply& reply);
    void advance_commit();
    void send_entries(const NodeId& to, Progress& peer);
    void send_to_all();
    void heartbeat_to_all();
    void follow_members();
    void start_read_round();
    void confirm_reads();
    void refuse_reads();
    void finish_transfer(const NodeId& to, const Progress& peer);
    void on_read_index(const NodeId& from, std::uint64_t id);
    void answer_read(const NodeId& to, std::uint64_t id, bool confirmed, LogIndex index);

    proto::RaftMessage message_to(const NodeId& to) const;
    void send(proto::RaftMessage message);
    void append_own(proto::Entry::Kind kind, std::string payload);
    struct PendingWrite {
        std::uint64_t id = 0;
        LogIndex last;
    };
    struct PendingRead {
        std::uint64_t id = 0;
        NodeId from;
        std::uint64_t round = 0;
        LogIndex index;
    };

    const Options options_;
    runtime::Prng random_;

    Role role_ = Role::kFollower;
    Vote vote_;                  // as it stands
    Vote durable_vote_;          // as the disk has it: nothing is said before they agree
    bool vote_is_given_ = true;  // vote_ was put into an output
    TermMap log_;
    LogIndex durable_;  // the log is durable up to here
    LogIndex commit_;
    std::vector<std::pair<LogIndex, Members>> memberships_;  // the last one is in force
    NodeId leader_;
    int elapsed_ = 0;  // ticks since the leader was heard, or the election began
    int timeout_ = 0;  // ticks, drawn anew each time
    std::set<NodeId> granted_;
    bool is_kept_from_leading_ = false;

    LogIndex received_;  // equal to this term's leader's log up to here
    std::uint64_t round_seen_ = 0;
    bool owes_reply_ = false;  // an append is answered once it is durable

    std::map<NodeId, Progress> progress_;
    LogIndex term_start_;  // the first entry of this leader's term
    std::uint64_t round_ = 0;
    std::vector<PendingRead> new_reads_;  // their round has not begun
    std::deque<PendingRead> reads_;       // by round
    NodeId transfer_to_;
    int transfer_ticks_ = 0;
    int heartbeat_elapsed_ = 0;
    int quorum_elapsed_ = 0;

    std::uint64_t next_write_ = 1;
    std::deque<PendingWrite> writes_;
    std::optional<LogIndex> truncate_from_;
    std::vector<proto::Entry> append_;
    std::vector<proto::RaftMessage> messages_;
    std::vector<Send> sends_;
    std::vector<NodeId> snapshots_;
    std::vector<Read> answers_;
};

}  // namespace hamster::raft
