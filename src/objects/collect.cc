// The reconciler of one node: what its disk holds against what the metadata names.
//
// Garbage: a blob whose last reference went. Each node looks after what it holds itself. The shards
// go once the blob is older than the grace and no reader has it open: of this node, or of another
// one that said so in the last minute; then a command drops the row. On a full disk the grace is
// shorter: deleting is how a full store is helped, and pins protect the readers there are. What is
// left of it is for the moment between a reader's view and its pins, which for a reader on another
// node come with its first read or its next keep.
//
// Orphans: shards that no row names, left by PUTs that never committed. Nothing may be removed that
// a command under way could still name, be it on its way to another node that leads. Proof:
// - A shard must have been seen here, without a row, at cluster time s, and again at s + grace.
//   Stamps of new blobs (sealed_ms) are read from cluster time before the shard is durable, hence
//   before it is listed: sealed_ms <= s.
// - At s + grace a command is committed, the barrier. What was applied before it is in the view
//   that is taken after it. What comes after it, whenever it was proposed, has its stamp or a later
//   one, and apply refuses new blobs older than kCommitWindowMs.
// - A node's idea of cluster time after a view may be wrong by seconds, and differ from that of the
//   process before it. The grace is longer than the window by an hour.
// No machine's own clock is part of it: one that was years off, and is put right while a body is on
// its way, makes nothing old.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "meta/limits.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Micros;
using runtime::Task;

namespace {

constexpr std::size_t kGarbagePage = 256;          // rows, one command at most
constexpr std::size_t kGarbagePagesPerRound = 64;  // the walk goes on in the next round
constexpr std::uint64_t kFullGraceMs = 5'000;
// With other nodes: twice the time between two keeps. Covers the seconds by which this node's idea
// of cluster time may be ahead, too.
constexpr std::uint64_t kSharedFullGraceMs = 40'000;
// Unnamed shards that are remembered, 12 MB or so; others are once there is room.
constexpr std::size_t kMaxUnnamed = 128 * 1024;
constexpr std::size_t kOrphanPage = 512;  // shards looked at between two pauses
constexpr std::uint64_t kPageGapMs = 5;   // foreground traffic wins
constexpr int kCompactionsPerRound = 4;
constexpr std::uint64_t kStopCheckMs = 200;  // how late stop() may be noticed

bool is_older(std::uint64_t now_ms, std::uint64_t then_ms, std::uint64_t age_ms) {
    return now_ms >= then_ms && now_ms - then_ms >= age_ms;
}

}  // namespace

Task<bool> ServiceImpl::pause(std::uint64_t ms) {
    while (ms > 0 && !stopping_.load()) {
        const std::uint64_t nap = std::min(ms, kStopCheckMs);
        co_await control_->clock.sleep(Micros(static_cast<std::int64_t>(nap * 1000)));
        ms -= nap;
    }
    co_return !stopping_.load();
}

Task<void> ServiceImpl::reconcile_loop() {
    const std::uint64_t rounds_per_scan =
        std::max<std::uint64_t>(1, options_.orphan_scan_interval_ms /
                                       std::max<std::uint64_t>(1, options_.reconcile_interval_ms));
    for (std::uint64_t number = 1;; ++number) {
        const bool go_on = co_await pause(options_.reconcile_interval_ms);
        if (!go_on) co_return;
        co_await round((number - 1) % rounds_per_scan == 0);
    }
}

Task<void> ServiceImpl::reconcile_once() {
    co_await runtime::run_on(control_->executor, round(true));
}

Task<void> ServiceImpl::round(bool scan_orphans) {
    co_await one_round_.acquire(1);
    co_await collect_garbage();
    if (scan_orphans) co_await collect_orphans();
    co_await compact();
    one_round_.release(1);
}

Task<void> ServiceImpl::collect_garbage() {
    for (std::size_t page = 0; page < kGarbagePagesPerRound; ++page) {
        auto next = co_await collect_page(garbage_cursor_);
        if (!next) {  // tried again next round
            LOG_WARN("objects", "garbage collection: {}", next.error().context);
            co_return;
        }
        garbage_cursor_ = *next;
        if (!garbage_cursor_) {  // walked all of it
            counters_.pending_blobs.set(static_cast<std::int64_t>(seen_blobs_));
            counters_.pending_bytes.set(static_cast<std::int64_t>(seen_bytes_));
            seen_blobs_ = 0;
            seen_bytes_ = 0;
            co_return;
        }
        const bool go_on = co_await pause(kPageGapMs);
        if (!go_on) co_return;
    }
}

bool ServiceImpl::is_read(const base::BlobId& blob) const {
    return pins_->is_pinned(blob) || (is_shared() && kept_->is_kept(blob, control_->clock.now()));
}

// Collects what is due of one page of garbage; answers where the next page starts.
Task<Result<std::optional<base::BlobId>>> ServiceImpl::collect_page(
    std::optional<base::BlobId> after) {
    meta::Group& group = router_->system();
    auto viewed = co_await group.view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const auto entries, view.garbage(after, kGarbagePage));
    const std::uint64_t now_ms = group.stamp_now();
    const std::uint64_t full_ms = is_shared() ? kSharedFullGraceMs : kFullGraceMs;
    const std::uint64_t grace_ms =
        is_full() ? std::min(options_.gc_grace_ms, full_ms) : options_.gc_grace_ms;
    std::vector<base::BlobId> due;
    std::uint64_t due_bytes = 0;
    for (const auto& entry : entries) {
        const Result<base::NodeId> holder = holder_of(entry.garbage.blob());
        if (!holder || !holder->is_zero()) continue;  // another node's
        const std::uint64_t bytes = entry.garbage.blob().size();
        if (is_older(now_ms, entry.garbage.since_ms(), grace_ms) &&
            (!is_read(entry.blob) || base::planted(base::Bug::kCollectPinned))) {
            due.push_back(entry.blob);
            due_bytes += bytes;
        } else {
            ++seen_blobs_;
            seen_bytes_ += bytes;
        }
    }
    const std::optional<base::BlobId> next =
        entries.size() < kGarbagePage ? std::nullopt : std::optional(entries.back().blob);
    if (!due.empty()) {
        const std::size_t count = due.size();
        auto dropped = co_await drop_blobs(std::move(due));
        CO_TRY(dropped);
        counters_.garbage_blobs.add(count);
        counters_.garbage_bytes.add(due_bytes);
    }
    co_return next;
}

// First the shards, then the row: a crash in between leaves a row whose shards are gone, and the
// next round removes nothing and drops it. The other order would leave orphans.
Task<Result<void>> ServiceImpl::drop_blobs(std::vector<base::BlobId> blobs) {
    std::vector<shards::ShardId> ids;
    proto::Command command;
    for (const base::BlobId& blob : blobs) {
        ids.push_back({blob, base::Slot{0}});
        command.mutable_drop_garbage()->add_blob_ids(std::string(blob.view()));
    }
    auto removed = co_await shards_->remove(std::move(ids));
    CO_TRY(removed);
    auto proposed = co_await router_->system().propose(std::move(command));
    CO_TRY_ASSIGN(const proto::Answer answer, proposed);
    if (answer.status() != proto::Answer::OK) {
        co_return fail(Code::kConflict, "dropping garbage was refused: " + answer.detail());
    }
    co_return Result<void>{};
}

Task<void> ServiceImpl::collect_orphans() {
    std::optional<shards::ShardId> after;
    ++scan_;
    while (true) {
        auto next = co_await orphan_page(after);
        if (!next) {
            LOG_WARN("objects", "orphan scan: {}", next.error().context);
            co_return;
        }
        after = *next;
        if (!after) break;
        const bool go_on = co_await pause(kPageGapMs);
        if (!go_on) co_return;
    }
    std::erase_if(unnamed_, [this](const auto& entry) { return entry.second.scan != scan_; });
}

// Notes a shard without a row; true when it has been without one for the grace.
bool ServiceImpl::note_unnamed(const shards::ShardId& shard, std::uint64_t now_ms) {
    const std::uint64_t grace_ms = base::planted(base::Bug::kOrphanInFlight) ? 0
                                   : options_.orphan_grace_ms == 0           ? meta::kOrphanGraceMs
                                                                   : options_.orphan_grace_ms;
    auto found = unnamed_.find(shard);
    if (found == unnamed_.end()) {
        if (unnamed_.size() >= kMaxUnnamed) return false;
        found = unnamed_.emplace(shard, Unnamed{now_ms, scan_}).first;
    }
    found->second.scan = scan_;
    return is_older(now_ms, found->second.since_ms, grace_ms);
}

Task<Result<std::optional<shards::ShardId>>> ServiceImpl::orphan_page(
    std::optional<shards::ShardId> after) {
    meta::Group& group = router_->system();
    CO_TRY_ASSIGN(const std::vector<shards::ShardInfo> listed, shards_->list(after, kOrphanPage));
    const std::optional<shards::ShardId> next =
        listed.size() < kOrphanPage ? std::nullopt : std::optional(listed.back().id);
    auto viewed = co_await group.view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    const std::uint64_t now_ms = group.stamp_now();
    std::vector<shards::ShardInfo> suspects;
    for (const shards::ShardInfo& shard : listed) {
        CO_TRY_ASSIGN(const bool known, view.knows_blob(shard.id.blob));
        if (!known && note_unnamed(shard.id, now_ms)) suspects.push_back(shard);
    }
    if (suspects.empty()) co_return next;
    // The barrier of the proof above; it changes nothing.
    proto::Command barrier;
    barrier.mutable_drop_garbage();
    auto passed = co_await group.propose(std::move(barrier));
    CO_TRY(passed);
    auto viewed_again = co_await group.view();
    CO_TRY_ASSIGN(const meta::View after_barrier, viewed_again);
    std::vector<shards::ShardId> orphans;
    std::uint64_t bytes = 0;
    for (const shards::ShardInfo& shard : suspects) {
        CO_TRY_ASSIGN(const bool known, after_barrier.knows_blob(shard.id.blob));
        if (known && !base::planted(base::Bug::kOrphanInFlight)) continue;
        orphans.push_back(shard.id);
        bytes += shard.bytes;
    }
    const std::size_t count = orphans.size();
    auto removed = co_await shards_->remove(std::move(orphans));
    CO_TRY(removed);
    counters_.orphans.add(count);
    counters_.orphan_bytes.add(bytes);
    if (count > 0) LOG_INFO("objects", "removed {} orphaned shards, {} bytes", count, bytes);
    co_return next;
}

Task<void> ServiceImpl::compact() {
    for (int i = 0; i < kCompactionsPerRound && !stopping_.load(); ++i) {
        auto compacted = co_await shards_->compact_one();
        if (!compacted) {
            LOG_WARN("objects", "compaction: {}", compacted.error().context);
            co_return;
        }
        if (!*compacted) co_return;
        counters_.compactions.add();
        const bool go_on = co_await pause(kPageGapMs);
        if (!go_on) co_return;
    }
}

}  // namespace hamster::objects
