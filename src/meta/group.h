// The replicated metadata: commands in, answers and snapshots out. Callers reach it through the
// router, which returns the only group today.
//
// Under `dir`: log/ and vote (raft/log.h), store/ or another store (places.h, kv/store.h). The
// store has no log of its own: it is flushed now and then, and what it lacks is applied again from
// the Raft log at the next start.
#pragma once

#include <memory>

#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "kv/store.h"
#include "meta/view.h"
#include "proto/commands.pb.h"
#include "runtime/world.h"

namespace hamster::meta {

class Wire;  // meta/replica.h
class Replica;

class Group {
  public:
    virtual ~Group() = default;
    // Proposes a command and answers once it is committed, applied and durable. Mints request_id
    // when empty; sets the stamp. Who retries mints it himself (mint_request_id of stamp_now())
    // and keeps it. A refusal by the state (NO_SUCH_KEY, PRECONDITION_FAILED, ...) is an Answer,
    // not an Error. Errors: kUnknownOutcome (it may have happened: retry with the same request
    // id), and those that say that this proposal changed nothing: kNoSpace, kTooLarge,
    // kUnavailable (stopping), kIo (an earlier failure poisoned the group; it only reads until it
    // is opened again). Any loop. Where another node leads it is forwarded, and tried again for
    // some seconds while nobody does.
    virtual runtime::Task<Result<proto::Answer>> propose(proto::Command command) = 0;
    // A linearizable view: everything acknowledged before the call is in it. Any loop.
    // kUnavailable when leadership cannot be confirmed.
    virtual runtime::Task<Result<View>> view() = 0;
    // Cluster time, ms since 1970: the stamp the next command would get. Any loop.
    virtual std::uint64_t stamp_now() = 0;
    // Waits for the proposals under way, then flushes the store, so that the next start has
    // nothing to replay. Later proposals answer kUnavailable. On the control loop, once. Views must
    // be gone before the group is destroyed.
    virtual runtime::Task<void> stop() = 0;
};

class Router {
  public:
    explicit Router(Group* group) : group_(group) {}
    [[nodiscard]] Group& group_of(const base::BucketId&) const { return *group_; }
    [[nodiscard]] Group& system() const { return *group_; }  // users, credentials, bucket names

  private:
    Group* group_;
};

struct GroupOptions {
    std::uint64_t flush_after_bytes = 64ULL << 20;  // log bytes between store flushes
    std::uint64_t wal_file_bytes = 64ULL << 20;
    kv::Options store;
    base::ClusterId cluster{};  // metadata of another cluster is refused; zero: not checked
    // This node. Zero: the one that voted first, or a new one; for a lone voter only.
    base::NodeId self{};
    // The directory was made by joining a cluster: nothing there means that nothing has come yet.
    // Without it a group that names no members is that of a lone voter.
    bool is_newcomer = false;
    Wire* wire = nullptr;  // to the other nodes; null: there are none
    runtime::Micros raft_tick{50'000};
};

// Opens (or founds, when `found` is not null and the directory is empty) the group under `dir`:
// recovers the log, replays what the store has not flushed. On the control loop, which the group
// belongs to; `control` and `metrics` outlive it.
// Errors: kNotFound when there is nothing to open and nothing to found, kInvalid when it is another
// cluster's; kCorrupt, kUnsupported. Each says what to do, and comes before anything is applied.
runtime::Task<Result<std::unique_ptr<Replica>>> open_group(runtime::World* control, std::string dir,
                                                           GroupOptions options,
                                                           const proto::ClusterInfo* found,
                                                           base::Metrics* metrics);

}  // namespace hamster::meta
