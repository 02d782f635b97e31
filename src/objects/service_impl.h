// The one implementation of Service. put.cc stores, get.cc opens, remote.cc talks to other nodes,
// collect.cc reconciles.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "objects/budget.h"
#include "objects/extent.h"
#include "objects/pins.h"
#include "objects/service.h"
#include "runtime/sync.h"

namespace hamster::objects {

// At most this much of one body is in memory while it streams in: the slice being read, and those
// the shard writer has not yet made durable. Bytes.
inline constexpr std::uint64_t kStreamBytes = 1ULL << 20;
// Bodies up to this size are packed with others under a shared sync. Bytes.
inline constexpr std::uint64_t kSmallBlobBytes = 128 * 1024;
// Slices read ahead of the client, the one in hand not counted.
inline constexpr std::size_t kReadAhead = 3;
// Slices in the making for other nodes, all together; their requests wait a moment, then fail. A
// share of their own: bodies that wait for another node never hold the memory it waits for. Bytes.
inline constexpr std::uint64_t kServedBytes = 32ULL << 20;

struct Counters {
    base::Counter& garbage_bytes;
    base::Counter& garbage_blobs;
    base::Counter& orphans;
    base::Counter& orphan_bytes;
    base::Counter& compactions;
    base::Counter& missing_slices;
    base::Counter& refused_memory;
    base::Counter& remote_slices;
    base::Counter& remote_failures;
    base::Counter& served_slices;
    base::Gauge& pending_blobs;
    base::Gauge& pending_bytes;
};

// Background work that belongs to one loop: read-ahead.
struct LoopState {
    explicit LoopState(runtime::Executor e) : executor(std::move(e)) {}
    runtime::Executor executor;
    runtime::Gate gate;
};

class ServiceImpl final : public Service {
  public:
    ServiceImpl(runtime::World* control, meta::Router* router, shards::Store* shards,
                Options options, base::Metrics* metrics);
    void start();

    runtime::Task<Result<StoredBody>> store(BodySource* source,
                                            std::optional<std::uint64_t> size_hint) override;
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
    runtime::Task<Result<std::string>> serve(RemoteMethod what, std::string payload) override;
    runtime::Task<void> reconcile_once() override;
    runtime::Task<void> stop() override;

    // Waits up to a few seconds for room; kUnavailable then. Any loop.
    runtime::Task<Result<void>> grow(Lease* lease, std::uint64_t bytes);
    // Who holds a blob; zero: this node. kCorrupt when its row does not say it.
    [[nodiscard]] Result<base::NodeId> holder_of(const proto::Blob& blob) const;
    // A whole slice from its holder, which is not this node. Any loop. kNotFound: it says that it
    // has none; kUnavailable; kCorrupt, kIo.
    runtime::Task<Result<base::Buffer>> read_away(SliceRead read);
    shards::Store* shards() { return shards_; }
    Counters& counters() { return counters_; }

  private:
    // put.cc
    base::BlobId mint_blob_id();
    runtime::Task<Result<StoredBody>> store_small(base::Buffer body);
    runtime::Task<Result<StoredBody>> store_stream(BodySource* source, base::Buffer first,
                                                   bool ended, std::uint64_t expected);
    StoredBody describe(const base::BlobId& blob, std::uint64_t size,
                        std::uint64_t sealed_ms) const;
    // get.cc
    LoopState* loop_of(const runtime::Executor& executor);
    // remote.cc
    runtime::Task<Result<std::string>> serve_slice(std::string payload);
    Result<std::string> serve_keep(std::string_view payload);
    runtime::Task<void> keep_loop();  // control loop
    runtime::Task<bool> keep_at(base::NodeId holder);
    // collect.cc: everything below runs on the control loop.
    runtime::Task<void> reconcile_loop();
    runtime::Task<bool> pause(std::uint64_t ms);  // false when stopping
    runtime::Task<void> round(bool scan_orphans);
    runtime::Task<void> collect_garbage();
    [[nodiscard]] bool is_read(const base::BlobId& blob) const;
    runtime::Task<Result<std::optional<base::BlobId>>> collect_page(
        std::optional<base::BlobId> after);
    runtime::Task<Result<void>> drop_blobs(std::vector<base::BlobId> blobs);
    runtime::Task<void> collect_orphans();
    runtime::Task<Result<std::optional<shards::ShardId>>> orphan_page(
        std::optional<shards::ShardId> after);
    bool note_unnamed(const shards::ShardId& shard, std::uint64_t now_ms);
    runtime::Task<void> compact();

    runtime::World* control_;
    meta::Router* router_;
    shards::Store* shards_;
    const Options options_;
    Counters counters_;
    std::shared_ptr<MemoryBudget> budget_;
    std::shared_ptr<MemoryBudget> served_budget_;
    std::shared_ptr<PinTable> pins_;
    std::shared_ptr<AwayTable> away_;
    std::shared_ptr<KeptTable> kept_;
    // Blob ids are a hash of a random seed and a counter: unique without a generator that several
    // loops would have to share.
    std::array<std::byte, 32> seed_{};
    std::atomic<std::uint64_t> minted_{0};
    std::atomic<bool> stopping_{false};
    std::mutex loops_mutex_;  // guards the list only; each state belongs to its loop
    std::deque<LoopState> loops_;
    runtime::Gate gate_;  // control loop
    runtime::Semaphore one_round_{1};
    // What the garbage walk has seen since it last started over.
    std::optional<base::BlobId> garbage_cursor_;
    std::uint64_t seen_blobs_ = 0;
    std::uint64_t seen_bytes_ = 0;
    // Shards that no row named when they were last listed.
    struct Unnamed {
        std::uint64_t since_ms = 0;  // cluster time when that was first seen
        std::uint64_t scan = 0;      // the last one that saw it
    };
    std::map<shards::ShardId, Unnamed> unnamed_;
    std::uint64_t scan_ = 0;
};

}  // namespace hamster::objects
