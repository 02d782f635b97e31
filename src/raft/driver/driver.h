// Runs a core (raft/core.h): its log and vote on the disk, its messages on a transport, its entries
// to a state machine. Belongs to the control loop; all calls are made there.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "raft/core.h"
#include "raft/driver/cluster_clock.h"
#include "raft/log.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::raft {

// Where messages go. They may get lost; none of these calls waits.
class Transport {
  public:
    virtual ~Transport() = default;
    virtual void send(proto::RaftMessage message) = 0;
    // Begins to stream the state to a follower whose entries are gone from the log, and reports
    // with Driver::snapshot_sent(). At most one at a time for each follower.
    virtual void send_snapshot(const NodeId& to) = 0;
};

class StateMachine {
  public:
    virtual ~StateMachine() = default;
    // Committed entries, contiguous, in order, each once. For those in `wanted` a proposer of this
    // node waits: it looks for its answer when it resumes. An error ends this node's part.
    virtual Result<void> apply(const std::vector<proto::Entry>& entries,
                               const std::vector<bool>& wanted) = 0;
    // Puts the snapshot that was received in place of the state, durably and at once: a crash
    // leaves the one or the other. kNoSpace: the state is as it was. Any other error ends this
    // node's part.
    virtual runtime::Task<Result<void>> install() = 0;
};

struct DriverOptions {
    Options core;
    runtime::Micros tick{50'000};
    std::uint64_t cache_bytes = 32ULL << 20;   // of entries, for followers that keep up
    std::uint64_t message_bytes = 1ULL << 20;  // of entries in one append, at least one entry
    std::size_t max_waiting = 4096;            // proposals and reads under way
    // Role, term, leader or members changed. May look, must not call anything that acts; may be
    // empty.
    std::function<void()> on_change;
};

// What the state machine has durably, and the membership then. A newcomer has neither: it waits for
// somebody who knows it.
struct Applied {
    Tail at;
    Members members;
    // A snapshot was installed and nothing flushed since: the log may be older than the state.
    bool is_installed = false;
};

class Driver {
  public:
    // Takes an open log. What it holds behind `applied` is applied as it turns out committed.
    Driver(runtime::World* world, DriverOptions options, std::unique_ptr<Log> log,
           Transport* transport, StateMachine* machine, base::Metrics* metrics);
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    // Reads what the log holds behind `applied` and begins to take part. Once, before all else.
    runtime::Task<Result<void>> start(Applied applied);
    // Later calls answer kUnavailable, waiting ones kUnknownOutcome or kUnavailable.
    runtime::Task<void> stop();

    // Waits until the entry is applied here. kUnavailable: this node does not lead (or is not
    // ready, or has too much under way), nothing was proposed. kUnknownOutcome: it may be committed
    // or not; the term changed, or the disk failed. kNoSpace: a lone voter's disk is full, nothing
    // was proposed.
    runtime::Task<Result<Tail>> propose(std::string command);
    // Waits until all that was acknowledged anywhere before the call is applied here. kUnavailable
    // when that cannot be confirmed within an election's time.
    runtime::Task<Result<void>> read_barrier();
    // As Core's; waits until it is applied here.
    runtime::Task<Result<void>> change_members(Members next);
    Result<void> transfer(const NodeId& to);

    // From the transport.
    void receive(const proto::RaftMessage& message);
    void snapshot_sent(const NodeId& to, LogIndex index, bool installed);

    // A snapshot up to `at` was received whole. False: not needed any more; the sender is told that
    // all is well either way. kUnavailable, kNoSpace: not now; nothing has changed.
    runtime::Task<Result<bool>> install(Tail at, Members members);
    // The state machine is durable up to `at`: the log may lose what is before it.
    runtime::Task<Result<void>> flushed(Tail at);

    // ms since 1970: the median of the voters' clocks while this node leads, otherwise what the
    // leader says. Not monotonic; cluster_clock.h.
    [[nodiscard]] std::uint64_t cluster_time_ms();
    // False: cluster_time_ms() may be no better than this node's own clock. True whenever a leader
    // has committed in its term.
    [[nodiscard]] bool knows_cluster_time();
    // Leads as the only voter, and all that was ever acknowledged is applied: a read needs no
    // barrier.
    [[nodiscard]] bool is_alone() const;

    // A write waits for space: a snapshot would be refused, and need not be sent.
    [[nodiscard]] bool waits_for_space() const { return disk_is_full_; }

    [[nodiscard]] const Core& core() const { return *core_; }
    [[nodiscard]] LogIndex applied() const { return applied_; }
    // The state machine cannot go on: this node takes no part until the next start.
    void give_up(const Error& error) { fail_with(error); }
    // Why this node takes no part any more.
    [[nodiscard]] const std::optional<Error>& failure() const { return failed_; }

  private:
    // What on_change tells of.
    struct Standing {
        Role role = Role::kFollower;
        Term term;
        NodeId leader;
        Members members;
        bool operator==(const Standing&) const = default;
    };
    struct Write {
        std::optional<Vote> vote;
        std::optional<LogIndex> truncate_from;
        std::vector<proto::Entry> append;
        std::uint64_t id = 0;
    };
    // Somebody who waits; lives in his frame.
    struct Waiter {
        Term term;  // proposals: of the entry
        std::optional<Result<void>> outcome;
        runtime::Event done;
    };
    struct ReadWaiter {
        std::optional<LogIndex> index;  // once confirmed
        std::uint64_t ticks = 0;        // since it was asked
        std::optional<Result<void>> outcome;
        runtime::Event done;
    };

    runtime::Task<Result<void>> replace(Tail at, Members members);
    runtime::Task<Result<void>> empty_log(Tail at);
    runtime::Task<void> tick_loop();
    runtime::Task<void> write_loop();
    runtime::Task<Result<void>> perform(Write* write);
    bool give_way(Write* write);
    void take_back(LogIndex from, Write* write);
    runtime::Task<Result<Tail>> wait_for(Position at);
    // What an entry takes in memory and in a message, about.
    static std::uint64_t cost_of(const proto::Entry& entry) {
        return entry.payload().size() + sizeof(proto::Entry);
    }

    // Takes what the core wants done and does what needs no waiting.
    void pump();
    void enqueue(Output& output);
    void post(proto::RaftMessage message);
    void announce();
    void note_clock(const proto::RaftMessage& message);
    [[nodiscard]] ClusterClock::Asked clock_now();
    void cache(const std::vector<proto::Entry>& entries);
    void note_chains(const std::vector<proto::Entry>& written);
    void uncache_from(LogIndex index);
    void trim_cache();
    void send_from_cache(Send send);
    runtime::Task<void> send_from_disk(Send send);
    [[nodiscard]] bool is_cached(LogIndex index) const;
    void finish_send(Send send, LogIndex last);
    void apply_committed();
    void answer_applied(const std::vector<proto::Entry>& entries);
    void answer_reads();
    void note_read(const Read& read);
    void expire_reads();
    // Those that stand at `from` or behind it.
    void give_up_proposals(const Error& error, LogIndex from = {});
    void fail_with(const Error& error);

    runtime::World* world_;
    DriverOptions options_;
    std::unique_ptr<Log> log_;
    Transport* transport_;
    StateMachine* machine_;
    base::Counter& elections_;
    base::Gauge& is_leader_;

    std::unique_ptr<Core> core_;
    LogIndex applied_;
    Term led_term_;                   // proposals under way are of this term
    std::deque<proto::Entry> cache_;  // contiguous, ending with the core's last entry
    std::uint64_t cache_bytes_ = 0;
    std::deque<Write> writes_;
    runtime::Signal write_queued_;
    std::map<LogIndex, Waiter*> proposals_;
    std::map<std::uint64_t, ReadWaiter*> reads_;
    std::uint64_t next_read_ = 1;
    std::optional<Error> failed_;
    bool stopping_ = false;
    bool writing_ = false;
    bool disk_is_full_ = false;  // a write waits for space
    Standing announced_;
    ClusterClock clock_;
    bool installing_ = false;  // deaf and dumb meanwhile
    runtime::Signal writes_done_;
    runtime::Gate gate_;
};

}  // namespace hamster::raft
