// Garbage: a blob whose last reference went. One node looks after it, the first of its slots' that
// is up, and stays if there is such a one: others may think that it is they, which does no harm. It
// asks every node that may have a shard to remove what it has, once the blob is older than the
// grace; the row goes when all have. A node removes only what its own metadata says is garbage, and
// nothing that is read: by a reader of its own, or of another node that said so in the last minute.
// Who reads a blob tells it to all of the blob's nodes. Garbage never comes back to life, so
// removing it twice is harmless, and a node that has no shard of it any more says so.
//
// On a full disk the grace is shorter: deleting is how a full store is helped, and pins protect the
// readers there are. What is left of it is for the moment between a reader's view and its pins,
// which on other nodes come with its first read or its next keep.
#include "objects/collector.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "meta/limits.h"
#include "objects/age.h"
#include "objects/duty.h"
#include "objects/exchange.h"

namespace hamster::objects {

using base::BlobId;
using base::NodeId;
using runtime::Task;

namespace {

constexpr std::size_t kGarbagePage = 256;          // rows, one command at most
constexpr std::size_t kGarbagePagesPerRound = 64;  // the walk goes on in the next round
static_assert(kGarbagePage <= kMaxKeptBlobs, "one request to each node");
constexpr std::uint64_t kFullGraceMs = 5'000;
// With other nodes: twice the time between two keeps. Covers the seconds by which this node's idea
// of cluster time may be ahead, too.
constexpr std::uint64_t kSharedFullGraceMs = 40'000;
// Garbage that is remembered as waiting for a node, 12 MB or so. The rest is asked for again.
constexpr std::size_t kMaxWaiting = 128 * 1024;
constexpr int kCompactionsPerRound = 4;

}  // namespace

Collector::Collector(const Site* site, runtime::Semaphore* turns, base::Metrics* m)
    : site_(site),
      turns_(turns),
      counters_{
          m->counter("hamster_garbage_collected_bytes_total",
                     "Bytes of unreferenced blobs removed"),
          m->counter("hamster_garbage_collected_blobs_total", "Unreferenced blobs removed"),
          m->counter("hamster_removals_refused_total",
                     "Blobs that another node wanted removed here, and that stay"),
          m->counter("hamster_orphans_removed_total", "Shards of uncommitted writes removed"),
          m->counter("hamster_orphans_removed_bytes_total", "Bytes of such shards"),
          m->counter("hamster_extra_shards_removed_total",
                     "Shards removed that other nodes have by now"),
          m->counter("hamster_extra_shards_removed_bytes_total", "Bytes of such shards"),
          m->counter("hamster_compactions_total", "Sparse segments rewritten"),
          m->gauge("hamster_garbage_blobs", "Blobs waiting to be collected, by the last full walk"),
          m->gauge("hamster_garbage_bytes", "Bytes waiting to be collected, by the last full walk"),
      } {}

Task<void> Collector::round(bool scan) {
    co_await one_round_.acquire(1);
    co_await keep_time_going();
    co_await collect_garbage();
    if (scan) co_await collect_orphans();
    co_await compact();
    one_round_.release(1);
}

// While all clocks are behind cluster time nothing moves it but commands (meta/stamp_clock.h), and
// nothing would become old in a cluster at rest. This one changes nothing else.
Task<void> Collector::keep_time_going() {
    const std::uint64_t now_ms = site_->router->system().stamp_now();
    if (std::exchange(round_ms_, now_ms) != now_ms) co_return;
    proto::Command command;
    command.mutable_drop_garbage();
    auto proposed = co_await site_->router->system().propose(std::move(command));
    if (!proposed) LOG_INFO("objects", "keeping time: {}", proposed.error().context);
}

Task<void> Collector::collect_garbage() {
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
        const bool go_on = co_await site_->pause(kPageGapMs);
        if (!go_on) co_return;
    }
}

// Collects what is due of one page of garbage; answers where the next page starts.
Task<Result<std::optional<BlobId>>> Collector::collect_page(std::optional<BlobId> after) {
    auto viewed = co_await site_->router->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const auto entries, view.garbage(after, kGarbagePage));
    CO_TRY_ASSIGN(std::vector<Due> due, due_of(view, entries));
    const std::optional<BlobId> next =
        entries.size() < kGarbagePage ? std::nullopt : std::optional(entries.back().blob);
    if (!due.empty()) {
        auto dropped = co_await drop(std::move(due));
        CO_TRY(dropped);
    }
    co_return next;
}

std::uint64_t Collector::garbage_grace_ms() const {
    const std::uint64_t full_ms = site_->is_shared() ? kSharedFullGraceMs : kFullGraceMs;
    const std::uint64_t grace_ms = site_->options->gc_grace_ms;
    return site_->shards->is_full() ? std::min(grace_ms, full_ms) : grace_ms;
}

// What of it this node is to have removed now.
Result<std::vector<Collector::Due>> Collector::due_of(
    const meta::View& view, const std::vector<meta::View::GarbageEntry>& entries) {
    const std::uint64_t now_ms = site_->router->system().stamp_now();
    const std::uint64_t grace_ms = garbage_grace_ms();
    std::vector<Due> due;
    for (const auto& entry : entries) {
        TRY_ASSIGN(std::vector<NodeId> homes, members_of(view, entry));
        if (!is_collector(homes)) continue;
        const std::uint64_t bytes = entry.garbage.blob().size();
        const bool is_old = is_older(now_ms, entry.garbage.since_ms(), grace_ms);
        const bool is_free =
            !site_->is_read(entry.blob) || base::planted(base::Bug::kCollectPinned);
        const bool is_waiting =
            waiting_.contains(entry.blob) &&
            !std::ranges::all_of(homes, [this](const NodeId& n) { return site_->is_up(n); });
        if (is_old && is_free && !is_waiting) {
            due.push_back({entry.blob, bytes, std::move(homes)});
        } else {
            ++seen_blobs_;
            seen_bytes_ += bytes;
        }
    }
    return due;
}

// The nodes that may have a shard of it. One that is no member any more has nothing of ours. One
// that is leaving and is down may never come back, as when it is replaced because it is lost, and
// the row would keep it among the members: what it has is an orphan if it does come back.
//
// Those that are leaving come last. One may be gone for good, and whoever has not noticed that
// would leave the garbage to it.
Result<std::vector<NodeId>> Collector::members_of(const meta::View& view,
                                                  const meta::View::GarbageEntry& entry) const {
    const proto::Blob& blob = entry.garbage.blob();
    const Options& options = *site_->options;
    TRY_ASSIGN(const auto places, view.places(base::partition_of(entry.blob)));
    TRY_ASSIGN(const proto::Layout layout, view.layout());
    const bool is_at_holder = layout.version() == 0 && !blob.placed();
    const std::vector<NodeId> all = is_at_holder ? std::vector{holder_of(blob, options.founder)}
                                                 : homes_of(blob, places, options.founder);
    std::vector<NodeId> homes;
    std::vector<NodeId> leaving;
    for (const NodeId& node : all) {
        const bool is_here = options.self.is_zero() || node == options.self;
        TRY_ASSIGN(const auto row, view.node(node));
        const bool is_leaving = row && row->leaving();
        const bool is_there = row && (!is_leaving || site_->is_up(node));
        if (is_here || is_there) (is_leaving ? leaving : homes).push_back(node);
    }
    homes.insert(homes.end(), leaving.begin(), leaving.end());
    return homes;
}

bool Collector::is_collector(const std::vector<NodeId>& homes) const {
    for (const NodeId& node : homes) {
        if (site_->is_self(node)) return true;
        if (site_->is_up(node)) return false;
    }
    return false;
}

// First the shards, then the rows: a crash in between leaves rows whose shards are gone, and the
// next round removes nothing and drops them. The other order would leave orphans.
Task<Result<void>> Collector::drop(std::vector<Due> due) {
    std::map<NodeId, std::vector<BlobId>> away;
    for (const Due& garbage : due) {
        for (const NodeId& node : garbage.homes) {
            if (!site_->is_self(node)) away[node].push_back(garbage.blob);
        }
    }
    Left left;
    for (auto& [node, blobs] : away) {
        co_await remove_at(node, std::move(blobs), &left);
    }
    std::vector<BlobId> here;
    for (const Due& garbage : due) {
        if (!left.in_use.contains(garbage.blob)) here.push_back(garbage.blob);
    }
    auto removed = co_await remove_here(std::move(here));
    CO_TRY(removed);
    auto dropped = co_await drop_rows(&due, &left);
    co_return dropped;
}

Task<void> Collector::remove_at(NodeId node, std::vector<BlobId> blobs, Left* left) {
    Result<std::vector<BlobId>> in_use = fail(Code::kUnavailable, "it is down");
    if (site_->is_up(node)) {
        auto answer = co_await site_->options->remote->call(node, RemoteMethod::kRemove,
                                                            encode_remove(blobs));
        in_use = answer ? decode_in_use(*answer) : std::unexpected(answer.error());
    }
    if (in_use) {
        left->in_use.insert(in_use->begin(), in_use->end());
        co_return;
    }
    LOG_DEBUG("objects", "garbage on node {}: {}", node.hex(), in_use.error().context);
    left->away.insert(blobs.begin(), blobs.end());
}

Task<Result<void>> Collector::remove_here(std::vector<BlobId> blobs) {
    std::vector<shards::ShardId> ids;
    for (const BlobId& blob : blobs) {
        CO_TRY(append_shards(blob, &ids));
    }
    if (ids.empty()) co_return Result<void>{};
    auto removed = co_await site_->shards->remove(std::move(ids));
    co_return removed;
}

// Whatever this node has of the blob, of any slot.
Result<void> Collector::append_shards(const BlobId& blob, std::vector<shards::ShardId>* ids) const {
    const shards::ShardId first{blob, base::Slot{0}};
    TRY_ASSIGN(const auto found, site_->shards->find(first));
    if (found) ids->push_back(first);
    TRY_ASSIGN(const auto others, site_->shards->list(first, meta::kMaxSlots));
    for (const shards::ShardInfo& shard : others) {
        if (shard.id.blob != blob) break;
        ids->push_back(shard.id);
    }
    return {};
}

Task<Result<void>> Collector::drop_rows(const std::vector<Due>* due, const Left* left) {
    proto::Command command;
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    for (const Due& garbage : *due) {
        const bool is_waiting = !left->in_use.contains(garbage.blob) &&
                                left->away.contains(garbage.blob) && waiting_.size() < kMaxWaiting;
        if (is_waiting) {
            waiting_.insert(garbage.blob);
        } else {
            waiting_.erase(garbage.blob);
        }
        if (left->has(garbage.blob)) {
            ++seen_blobs_;
            seen_bytes_ += garbage.bytes;
            continue;
        }
        command.mutable_drop_garbage()->add_blob_ids(std::string(garbage.blob.view()));
        ++count;
        bytes += garbage.bytes;
    }
    if (count == 0) co_return Result<void>{};
    auto proposed = co_await site_->router->system().propose(std::move(command));
    CO_TRY_ASSIGN(const proto::Answer answer, proposed);
    if (answer.status() != proto::Answer::OK) {
        co_return fail(Code::kConflict, "dropping garbage was refused: " + answer.detail());
    }
    counters_.garbage_blobs.add(count);
    counters_.garbage_bytes.add(bytes);
    co_return Result<void>{};
}

// The view is a linearizable one: what it calls garbage has no reference any more and never gets
// one, however old the request is. A blob without a row may be one that is about to be committed.
Task<Result<std::string>> Collector::serve_remove(std::string payload) {
    CO_TRY_ASSIGN(const std::vector<BlobId> blobs, decode_remove(payload));
    auto viewed = co_await site_->router->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    std::vector<BlobId> stay;
    std::vector<shards::ShardId> go;
    for (const BlobId& blob : blobs) {
        CO_TRY_ASSIGN(const bool is_known, view.knows_blob(blob));
        CO_TRY_ASSIGN(const auto live, view.blob(blob));
        const bool is_garbage = is_known && !live;
        const std::size_t had = go.size();
        CO_TRY(append_shards(blob, &go));
        if (go.size() == had) continue;  // nothing here
        if (is_garbage && !site_->is_read(blob)) continue;
        go.resize(had);
        stay.push_back(blob);
        if (!is_garbage) {
            LOG_WARN("objects", "asked to remove blob {}, which is no garbage", blob.hex());
        }
    }
    counters_.refused.add(stay.size());
    auto removed = co_await site_->shards->remove(std::move(go));
    CO_TRY(removed);
    co_return encode_in_use(stay);
}

Task<void> Collector::compact() {
    for (int i = 0; i < kCompactionsPerRound && !site_->is_stopping(); ++i) {
        auto compacted = co_await site_->shards->compact_one();
        if (!compacted) {
            LOG_WARN("objects", "compaction: {}", compacted.error().context);
            co_return;
        }
        if (!*compacted) co_return;
        counters_.compactions.add();
        const bool go_on = co_await site_->pause(kPageGapMs);
        if (!go_on) co_return;
    }
}

}  // namespace hamster::objects
