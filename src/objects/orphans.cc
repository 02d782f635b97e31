// Orphans: shards that no row names, left by writes that never committed. Nothing may be removed
// that a command under way could still name, be it on its way to another node that leads. Proof:
// - A shard must have been seen here, without a row, at cluster time s, and again at s + grace.
//   Stamps of new blobs (sealed_ms) are read from cluster time before the shard is durable, hence
//   before it is listed: sealed_ms <= s. That holds for a shard that was pulled here later, too.
// - At s + grace a command is committed, the barrier. What was applied before it is in the view
//   that is taken after it. What comes after it, whenever it was proposed, has its stamp or a later
//   one, and apply refuses new blobs older than kCommitWindowMs.
// - A node's idea of cluster time after a view may be wrong by seconds, and differ from that of the
//   process before it. The grace is longer than the window by an hour.
// No machine's own clock is part of it: one that was years off, and is put right while a body is on
// its way, makes nothing old.
//
// Extra shards: of a live blob, on a node that is neither the slot's nor a source of it. They go
// after the grace of garbage, which readers with an older view have, by a view that was taken after
// a barrier. The slot may come back to this node: its walk, and the removal, take turns.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "meta/limits.h"
#include "objects/age.h"
#include "objects/collector.h"
#include "objects/duty.h"

namespace hamster::objects {

using runtime::Task;
using shards::ShardId;

namespace {

// Shards that are remembered, 12 MB or so; others are once there is room.
constexpr std::size_t kMaxUnneeded = 128 * 1024;
constexpr std::size_t kOrphanPage = 512;  // shards looked at between two pauses

}  // namespace

Task<void> Collector::collect_orphans() {
    std::optional<ShardId> after;
    ++scan_;
    while (true) {
        auto next = co_await orphan_page(after);
        if (!next) {
            LOG_WARN("objects", "orphan scan: {}", next.error().context);
            co_return;
        }
        after = *next;
        if (!after) break;
        const bool go_on = co_await site_->pause(kPageGapMs);
        if (!go_on) co_return;
    }
    std::erase_if(unneeded_, [this](const auto& entry) { return entry.second.scan != scan_; });
}

Result<Collector::Fate> Collector::fate_of(const meta::View& view, const ShardId& shard) const {
    TRY_ASSIGN(const auto blob, view.blob(shard.blob));
    if (!blob) {
        TRY_ASSIGN(const bool is_garbage, view.knows_blob(shard.blob));
        return is_garbage ? Fate::kStays : Fate::kOrphan;
    }
    TRY_ASSIGN(const proto::Layout layout, view.layout());
    if (layout.version() == 0) return Fate::kStays;  // it lies where it was taken in
    TRY_ASSIGN(const auto places, view.places(base::partition_of(shard.blob)));
    const Options& options = *site_->options;
    const bool is_needed = options.self.is_zero() ||
                           is_needed_at(options.self, shard.slot, *blob, places, options.founder);
    return is_needed ? Fate::kStays : Fate::kExtra;
}

// Notes a shard that is not needed; true when it has not been for the grace.
bool Collector::note_unneeded(const ShardId& shard, Fate fate, std::uint64_t now_ms) {
    const Options& options = *site_->options;
    const std::uint64_t orphan_grace_ms = base::planted(base::Bug::kOrphanInFlight) ? 0
                                          : options.orphan_grace_ms == 0 ? meta::kOrphanGraceMs
                                                                         : options.orphan_grace_ms;
    const std::uint64_t grace_ms = fate == Fate::kOrphan ? orphan_grace_ms : options.gc_grace_ms;
    auto found = unneeded_.find(shard);
    if (found == unneeded_.end()) {
        if (unneeded_.size() >= kMaxUnneeded) return false;
        found = unneeded_.emplace(shard, Unneeded{fate, now_ms, scan_}).first;
    }
    if (found->second.fate != fate) found->second = {fate, now_ms, scan_};
    found->second.scan = scan_;
    return is_older(now_ms, found->second.since_ms, grace_ms);
}

Task<Result<std::optional<ShardId>>> Collector::orphan_page(std::optional<ShardId> after) {
    CO_TRY_ASSIGN(const auto listed, site_->shards->list(after, kOrphanPage));
    const std::optional<ShardId> next =
        listed.size() < kOrphanPage ? std::nullopt : std::optional(listed.back().id);
    auto viewed = co_await site_->router->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(auto suspects, suspects_of(view, listed));
    if (suspects.empty()) co_return next;
    // The barrier of the proof above; it changes nothing.
    proto::Command barrier;
    barrier.mutable_drop_garbage();
    auto passed = co_await site_->router->system().propose(std::move(barrier));
    CO_TRY(passed);
    co_await turns_->acquire(1);
    auto removed = co_await remove_unneeded(std::move(suspects));
    turns_->release(1);
    CO_TRY(removed);
    co_return next;
}

// Those that have not been needed for long enough.
Result<std::vector<shards::ShardInfo>> Collector::suspects_of(
    const meta::View& view, const std::vector<shards::ShardInfo>& listed) {
    const std::uint64_t now_ms = site_->router->system().stamp_now();
    std::vector<shards::ShardInfo> suspects;
    for (const shards::ShardInfo& shard : listed) {
        TRY_ASSIGN(const Fate fate, fate_of(view, shard.id));
        if (fate != Fate::kStays && note_unneeded(shard.id, fate, now_ms)) {
            suspects.push_back(shard);
        }
    }
    return suspects;
}

// After the barrier, in turn.
Task<Result<void>> Collector::remove_unneeded(std::vector<shards::ShardInfo> suspects) {
    auto viewed = co_await site_->router->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(std::vector<ShardId> ids, still_unneeded(view, suspects));
    auto removed = co_await site_->shards->remove(std::move(ids));
    co_return removed;
}

Result<std::vector<ShardId>> Collector::still_unneeded(
    const meta::View& view, const std::vector<shards::ShardInfo>& suspects) {
    std::vector<ShardId> ids;
    std::uint64_t orphans = 0;
    std::uint64_t extra = 0;
    for (const shards::ShardInfo& shard : suspects) {
        const Fate noted = unneeded_.at(shard.id).fate;
        TRY_ASSIGN(const Fate fate, fate_of(view, shard.id));
        const bool is_planted = base::planted(base::Bug::kOrphanInFlight);
        if (fate != noted && !is_planted) continue;
        if (fate == Fate::kExtra && site_->is_read(shard.id.blob)) continue;
        ids.push_back(shard.id);
        const bool is_orphan = noted == Fate::kOrphan;
        (is_orphan ? counters_.orphans : counters_.extra).add();
        (is_orphan ? counters_.orphan_bytes : counters_.extra_bytes).add(shard.bytes);
        ++(is_orphan ? orphans : extra);
    }
    if (orphans > 0) LOG_INFO("objects", "removed {} orphaned shards", orphans);
    if (extra > 0) LOG_INFO("objects", "removed {} shards that lie elsewhere by now", extra);
    return ids;
}

}  // namespace hamster::objects
