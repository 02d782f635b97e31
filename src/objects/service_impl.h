// The one implementation of Service. put.cc stores, settle.cc follows the layout, get.cc opens,
// remote.cc talks to other nodes, upkeep.cc to the reconciler.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "erasure/stripe.h"
#include "objects/budget.h"
#include "objects/exchange.h"
#include "objects/extent.h"
#include "objects/incoming.h"
#include "objects/layout_table.h"
#include "objects/pins.h"
#include "objects/placing.h"
#include "objects/service.h"
#include "objects/shunned.h"
#include "objects/watch.h"
#include "runtime/sync.h"

namespace hamster::objects {

// The least share of a body that streams in, a stripe if that is more: the slice being read, and
// those the shard writer has not yet made durable. Bytes.
inline constexpr std::uint64_t kStreamBytes = 1ULL << 20;
// Slices in the making for other nodes, all together; their requests wait a moment, then fail. A
// share of their own: bodies that wait for another node never hold the memory it waits for. Bytes.
inline constexpr std::uint64_t kServedBytes = 32ULL << 20;
// Slices from which others are rebuilt, all together. A share of their own for the same reason: who
// has a part of a stripe never waits for readers that wait for the rest of theirs. Bytes.
inline constexpr std::uint64_t kRebuildBytes = 64ULL << 20;
// What is on its way to one other node, or was asked of it, by requests of one kind: far below what
// a connection queues, so that nothing is refused for lack of room there. Bytes.
inline constexpr std::size_t kWindowBytes = 8UL << 20;
// A request counts for so much at least, so that they do not become too many either.
inline constexpr std::size_t kLeastRequest = 16UL << 10;

struct Counters {
    base::Counter& missing_slices;
    base::Counter& refused_memory;
    base::Counter& remote_slices;
    base::Counter& remote_failures;
    base::Counter& served_slices;
    base::Counter& degraded_writes;
    base::Counter& dropped_holders;
    base::Counter& rebuilt_slices;
    base::Counter& hedged_reads;
};

// Background work that belongs to one loop: read-ahead, and what is on its way to other nodes.
struct LoopState {
    explicit LoopState(runtime::Executor e) : executor(std::move(e)) {}
    runtime::Executor executor;
    runtime::Gate gate;
    std::shared_ptr<WatchList> watched = std::make_shared<WatchList>();
};

class BodyWrite;
class Reconciler;
using Cancelled = std::shared_ptr<const std::atomic<bool>>;

class ServiceImpl final : public Service {
  public:
    ServiceImpl(runtime::World* control, meta::Router* router, shards::Store* shards,
                Options options, base::Metrics* metrics);
    ServiceImpl(const ServiceImpl&) = delete;
    ServiceImpl& operator=(const ServiceImpl&) = delete;
    ~ServiceImpl() override;
    void start();

    runtime::Task<Result<StoredBody>> store(BodySource* source,
                                            std::optional<std::uint64_t> size_hint) override;
    runtime::Task<Result<StoredBody>> settle(StoredBody body) override;
    runtime::Task<void> discard(StoredBody body) override;
    runtime::Task<Result<std::unique_ptr<BodyReader>>> open(meta::View view,
                                                            std::vector<proto::Part> parts,
                                                            ByteRange range) override;
    // Whether other nodes may read what lies here.
    [[nodiscard]] bool is_shared() const {
        return options_.remote != nullptr && options_.remote->has_others();
    }
    meta::Router& router() override { return *router_; }
    [[nodiscard]] bool is_full() const override { return shards_->is_full(); }
    [[nodiscard]] bool refuses_bodies() const override;
    runtime::Task<Result<std::string>> serve(base::NodeId from, RemoteMethod what,
                                             std::string payload) override;
    runtime::Task<void> reconcile_once() override;
    std::uint64_t scrub_now() override;
    [[nodiscard]] ReconcileReport reconcile_report() override;
    runtime::Task<void> stop() override;

    // Waits up to a few seconds for room; kUnavailable then. Any loop.
    runtime::Task<Result<void>> grow(Lease* lease, std::uint64_t bytes);
    // This node, which has no id where there are no others.
    [[nodiscard]] bool is_self(const base::NodeId& node) const {
        return options_.self.is_zero() || node.is_zero() || node == options_.self;
    }
    // Whether a node is likely to give a shard now, and to take one.
    [[nodiscard]] bool is_up(const base::NodeId& node) const {
        return is_self(node) || (options_.remote != nullptr && options_.remote->is_up(node));
    }
    [[nodiscard]] bool takes_shards(const base::NodeId& node) const;
    // Why it does not.
    [[nodiscard]] Error why_left_out(const base::NodeId& node) const;
    // A node failed to take a shard.
    void note_failure(const base::NodeId& node, Code code);
    // Whom to ask for a shard, in order; nobody if it is known to be missing.
    [[nodiscard]] std::vector<base::NodeId> places_of(const BlobMap& blob, base::Slot slot) const;
    // A whole slice of `length` bytes from another node. Any loop. kNotFound: it says that it has
    // none; kUnavailable; kCorrupt, kIo.
    runtime::Task<Result<base::Buffer>> read_away(base::NodeId node, SliceAddress address,
                                                  std::uint32_t length);
    // Remote::call(), within the window of that node and kind. `weight`: bytes sent or asked for.
    // `cancelled` is looked at when its turn comes; may be null. Any loop.
    runtime::Task<Result<std::string>> ask(base::NodeId node, RemoteMethod what,
                                           std::string payload, std::size_t weight,
                                           Cancelled cancelled);
    // Gives up a shard that nothing refers to, on another node and on this one. Best effort.
    runtime::Task<void> abandon_at(base::NodeId node, shards::ShardId shard);
    // Tells the node that the shard is still being written there.
    runtime::Task<void> keep_writing_at(base::NodeId node, shards::ShardId shard);
    runtime::Task<void> remove_here(shards::ShardId shard);
    // `watched` is asked to look at the clock while the Watch lives. On the loop.
    std::unique_ptr<Watch> watch(LoopState* loop, Watched* watched);
    [[nodiscard]] runtime::Time now() const { return control_->clock.now(); }
    [[nodiscard]] std::shared_ptr<MemoryBudget> rebuild_budget() const { return rebuild_budget_; }

    // upkeep.cc
    // Makes this node have the shard: copied whole from a place of the same slot, or rebuilt from
    // any k others. Any loop.
    runtime::Task<Result<void>> restore_shard(BlobPlace blob, base::Slot slot);
    // A shard was found damaged, or missing where it was looked for. Any loop.
    void note_suspect(const shards::ShardId& shard);

    shards::Store* shards() { return shards_; }
    Counters& counters() { return counters_; }

  private:
    // Who holds a blob that is not placed; zero: this node. kCorrupt when its row does not say it.
    [[nodiscard]] Result<base::NodeId> holder_of(const proto::Blob& blob) const;
    // put.cc
    base::BlobId mint_blob_id();
    runtime::Task<Result<Target>> choose_target(bool is_small);
    runtime::Task<Result<StoredBody>> store_small(base::Buffer body, std::optional<Target> target,
                                                  Lease lease);
    runtime::Task<Result<StoredBody>> send_copies(base::Buffer body, Target target);
    runtime::Task<Result<StoredBody>> send_small(base::Buffer body, Target target, Lease lease);
    runtime::Task<Result<StoredBody>> store_stream(BodySource* source, base::Buffer head,
                                                   std::uint64_t expected);
    runtime::Task<Result<StoredBody>> stream(BodySource* source, erasure::StripeBuilder* stripe,
                                             BodyWrite* write, std::uint64_t expected);
    StoredBody describe(const Target& target, std::uint64_t size, std::uint64_t missing,
                        std::uint64_t sealed_ms);
    // settle.cc
    runtime::Task<Result<std::shared_ptr<const LayoutTable>>> layout_table();
    runtime::Task<Result<std::shared_ptr<const LayoutTable>>> read_layout();
    runtime::Task<bool> pull_to(base::NodeId node, PullOrder order);
    runtime::Task<Result<StoredBody>> store_anew(StoredBody body, base::BlobId blob, Shape shape);
    // get.cc
    runtime::Task<Result<std::unique_ptr<BodyReader>>> open_extents(std::vector<Extent> extents);
    LoopState* loop_of(const runtime::Executor& executor);
    runtime::Task<void> tick(LoopState* loop);
    // remote.cc
    runtime::Task<Result<std::string>> ask_here(base::NodeId node, RemoteMethod what,
                                                std::string payload, std::size_t weight,
                                                Cancelled cancelled);  // control loop
    runtime::Task<Result<std::string>> serve_slice(std::string payload);
    runtime::Task<Result<std::string>> serve_keep(std::string payload);
    runtime::Task<Result<std::string>> serve_put(base::NodeId from, std::string payload);
    runtime::Task<Result<std::string>> serve_abandon(base::NodeId from, std::string payload);
    runtime::Task<Result<std::string>> serve_keep_writing(base::NodeId from, std::string payload);
    runtime::Task<bool> keep_here(base::NodeId from, shards::ShardId shard);
    runtime::Task<Result<void>> abandon_here(base::NodeId from,
                                             shards::ShardId shard);  // control loop
    runtime::Task<void> keep_loop();                                  // control loop
    runtime::Task<bool> keep_at(base::NodeId holder);
    runtime::Task<void> probe_loop();  // control loop
    runtime::Task<void> probe(base::NodeId node);
    // upkeep.cc
    runtime::Task<Result<std::string>> serve_pull(std::string payload);
    runtime::Task<Result<std::string>> serve_remove(std::string payload);
    runtime::Task<bool> pause(std::uint64_t ms);  // control loop; false when stopping

    runtime::World* control_;
    meta::Router* router_;
    shards::Store* shards_;
    const Options options_;
    Counters counters_;
    std::shared_ptr<MemoryBudget> budget_;
    std::shared_ptr<MemoryBudget> served_budget_;
    std::shared_ptr<MemoryBudget> rebuild_budget_;
    std::shared_ptr<PinTable> pins_;
    std::shared_ptr<AwayTable> away_;
    std::shared_ptr<KeptTable> kept_;
    LayoutCache layout_;
    ShunnedNodes shunned_;
    IncomingWrites incoming_;        // control loop
    std::set<base::NodeId> probed_;  // now; control loop
    std::map<std::pair<base::NodeId, RemoteMethod>, runtime::Semaphore> windows_;  // control loop
    // Blob ids are a hash of a random seed and a counter: unique without a generator that several
    // loops would have to share.
    std::array<std::byte, 32> seed_{};
    std::atomic<std::uint64_t> minted_{0};
    std::atomic<bool> stopping_{false};
    std::mutex loops_mutex_;  // guards the list only; each state belongs to its loop
    std::deque<LoopState> loops_;
    runtime::Gate gate_;  // control loop
    std::unique_ptr<Reconciler> reconciler_;
};

}  // namespace hamster::objects
