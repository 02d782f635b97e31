// The one implementation of Replica. replica.cc proposes and reads, replica_apply.cc applies and
// flushes, replica_open.cc opens, replica_snapshot.cc sends and receives snapshots. Everything but
// stamp_now() and the store's snapshots belongs to the control loop.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/metrics.h"
#include "meta/places.h"
#include "meta/replica.h"
#include "meta/snapshot.h"
#include "meta/staging.h"
#include "meta/stamp_clock.h"
#include "runtime/sync.h"

namespace hamster::meta {

class ReplicaImpl final : public Replica, public raft::Transport, public raft::StateMachine {
  public:
    ReplicaImpl(runtime::World* control, std::string dir, GroupOptions options,
                base::Metrics* metrics, Place place, std::unique_ptr<kv::Store> store);

    // Takes part with `log`, whose node is options.self. Once, before all else.
    runtime::Task<Result<void>> start(std::unique_ptr<raft::Log> log, raft::Applied applied,
                                      base::Metrics* metrics);
    // A lone voter: waits until everything in its log is applied.
    runtime::Task<Result<void>> lead_alone();
    runtime::Task<Result<void>> found(proto::ClusterInfo info);
    [[nodiscard]] const base::NodeId& self() const { return options_.self; }
    // Gives up a group that could not be opened.
    runtime::Task<void> give_up();

    runtime::Task<Result<proto::Answer>> propose(proto::Command command) override;
    runtime::Task<Result<View>> view() override;
    std::uint64_t stamp_now() override;
    runtime::Task<void> stop() override;

    void receive(const proto::RaftMessage& message) override;
    runtime::Task<Result<std::string>> serve(base::NodeId from, Ask what,
                                             std::string payload) override;
    View here() override { return View(snapshot()); }
    [[nodiscard]] std::uint64_t last_stamp() const override { return stamps_.last(); }
    void watch(std::function<void()> changed) override { changed_ = std::move(changed); }
    void watch_identities(std::function<void()> changed) override {
        identities_changed_ = std::move(changed);
    }
    void end_waiting() override { is_ending_ = true; }
    [[nodiscard]] const raft::Driver& driver() const override { return *driver_; }
    runtime::Task<Result<void>> change_members(raft::Members next) override;
    Result<void> transfer(base::NodeId to) override { return driver_->transfer(to); }

  private:
    // raft::Transport
    void send(proto::RaftMessage message) override;
    void send_snapshot(const base::NodeId& to) override;
    // raft::StateMachine
    Result<void> apply(const std::vector<proto::Entry>& entries,
                       const std::vector<bool>& wanted) override;
    runtime::Task<Result<void>> install() override;

    runtime::Task<Result<proto::Answer>> propose_counted(proto::Command command);
    runtime::Task<Result<proto::Answer>> propose_until_known(proto::Command command);
    runtime::Task<Result<proto::Answer>> attempt(const proto::Command* command);
    runtime::Task<Result<proto::Answer>> propose_as_leader(proto::Command command);
    runtime::Task<Result<proto::Answer>> propose_elsewhere(base::NodeId leader, std::string bytes);
    // A proposal that another node has; waits for the answer, or for another leader.
    struct Forwarded {
        base::NodeId leader;
        std::optional<Result<std::string>> reply;
        runtime::Event done;
    };
    runtime::Task<void> forward(std::shared_ptr<Forwarded> forwarded, std::string bytes);
    void on_standing();
    using Rows = std::shared_ptr<const kv::Snapshot>;
    runtime::Task<Result<Rows>> confirmed_rows();
    [[nodiscard]] std::optional<Error> obstacle() const;
    std::uint64_t next_stamp();
    void note_clock();

    Result<proto::Answer> apply_entry(Staging& staging, const proto::Entry& entry);
    void note_applied(const proto::Entry& entry);
    void maybe_flush();
    runtime::Task<void> flush();
    std::shared_ptr<kv::Store> store() const;
    std::shared_ptr<const kv::Snapshot> snapshot() const;
    void fail_store(const Error& error);

    runtime::Task<void> stream_snapshot(base::NodeId to);
    runtime::Task<Result<raft::LogIndex>> stream_parts(base::NodeId to);
    runtime::Task<Result<proto::SnapshotReply>> send_part(base::NodeId to,
                                                          proto::SnapshotPart part);
    runtime::Task<Result<std::string>> receive_part(proto::SnapshotPart part);
    runtime::Task<Result<bool>> prepare_incoming(const proto::SnapshotPart* part);
    runtime::Task<Result<void>> finish_incoming();
    runtime::Task<void> drop_incoming();
    runtime::Task<void> tidy_stores();

    runtime::World* control_;
    const std::string dir_;
    GroupOptions options_;
    Place place_;
    mutable std::mutex store_mutex_;  // guards the pointer alone
    std::shared_ptr<kv::Store> store_;
    std::unique_ptr<raft::Driver> driver_;
    base::Counter& commits_;
    base::Histogram& commit_seconds_;
    base::Gauge& queue_;
    base::Gauge& log_bytes_;

    std::atomic<bool> is_alone_{false};  // a read needs nobody's confirmation
    StampClock stamps_;
    std::atomic<std::int64_t> clock_ahead_ms_{0};  // of cluster time, against Clock::now()
    // By age: they are woken in this order.
    std::map<std::uint64_t, std::shared_ptr<Forwarded>> forwarded_;
    std::uint64_t next_forwarded_ = 0;
    base::NodeId led_by_;
    std::map<std::uint64_t, proto::Answer> answers_;  // by index: of proposals that wait
    raft::Tail applied_;
    std::uint64_t replayed_to_ = 0;  // the last entry in the log when it was opened
    runtime::Semaphore slots_;
    std::uint64_t unflushed_bytes_ = 0;  // of the log, since the last flush began
    bool flushing_ = false;
    bool store_failed_ = false;  // what the store holds is in doubt: it is not flushed any more
    std::function<void()> changed_;
    bool is_changed_ = false;
    std::function<void()> identities_changed_;
    bool are_identities_changed_ = false;
    bool is_ending_ = false;

    std::map<base::NodeId, OutgoingSnapshot> outgoing_;  // kept so that a transfer can go on
    std::unique_ptr<IncomingSnapshot> incoming_;
    std::weak_ptr<kv::Store> replaced_;  // by a snapshot; readers may still have it
    bool receiving_ = false;
    runtime::Gate gate_;
};

}  // namespace hamster::meta
