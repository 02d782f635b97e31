#include "objects/reconciler.h"

#include <algorithm>
#include <utility>

namespace hamster::objects {

using runtime::Micros;
using runtime::Task;

namespace {

// The rate is that of one to two spans of this length, if the report is asked for that often.
constexpr Micros kRateSpan = std::chrono::seconds(5);
// After a round that left something undone the next one waits this many times as long as it took,
// but no longer than the most.
constexpr std::uint64_t kRetryFactor = 2;
constexpr std::uint64_t kMostRetryMs = 60'000;

std::uint64_t millis_since(const Site& site, runtime::Time begun) {
    return static_cast<std::uint64_t>((site.now() - begun).count()) / 1000;
}

}  // namespace

Reconciler::Reconciler(Site site, base::Metrics* m)
    : site_(site),
      repairer_(&site_, m),
      walker_(&site_, &repairer_, &turns_, m),
      collector_(&site_, &turns_, m),
      scrubber_(
          &site_, [this](const shards::ShardId& shard) { walker_.note_suspect(shard); }, m),
      reencoder_(&site_, m),
      missing_gauge_(m->gauge("hamster_repair_missing_shards",
                              "Shards that are lost or were never written here, as far as found")),
      moving_gauge_(m->gauge("hamster_repair_moving_shards",
                             "Shards that are to be copied from other nodes")),
      damaged_gauge_(m->gauge("hamster_repair_damaged_shards",
                              "Shards found damaged that repair has not looked at yet")),
      backlog_bytes_gauge_(m->gauge("hamster_repair_backlog_bytes", "Bytes of all of these")),
      rate_gauge_(m->gauge("hamster_repair_bytes_per_second",
                           "Bytes of shards that were restored here, of late")),
      left_gauge_(m->gauge("hamster_repair_seconds_left",
                           "What the backlog takes at that rate; 0: there is none, or no rate")),
      degraded_gauge_(m->gauge("hamster_degraded_blobs",
                               "Blobs of the cluster that lack a shard, by the last full look")) {}

void Reconciler::start(runtime::Gate* gate) {
    const runtime::Executor& executor = site_.control->executor;
    runtime::spawn(executor, *gate, "repair", repair_loop());
    runtime::spawn(executor, *gate, "collect", collect_loop());
    runtime::spawn(executor, *gate, "scrub", scrubber_.run());
    runtime::spawn(executor, *gate, "reencode", reencode_loop());
}

Task<void> Reconciler::repair_loop() {
    const std::uint64_t interval_ms = site_.options->reconcile_interval_ms;
    std::uint64_t wait_ms = interval_ms;
    while (true) {
        const bool go_on = co_await site_.pause(wait_ms);
        if (!go_on) co_return;
        const runtime::Time begun = site_.now();
        const bool is_done = co_await walker_.round(false);
        const std::uint64_t retry_ms =
            std::min(kRetryFactor * millis_since(site_, begun), kMostRetryMs);
        wait_ms = is_done ? interval_ms : std::max(interval_ms, retry_ms);
        (void)report();  // publishes the gauges
    }
}

Task<void> Reconciler::collect_loop() {
    const std::uint64_t interval_ms =
        std::max<std::uint64_t>(1, site_.options->reconcile_interval_ms);
    const std::uint64_t rounds_per_scan =
        std::max<std::uint64_t>(1, site_.options->orphan_scan_interval_ms / interval_ms);
    for (std::uint64_t number = 0;; ++number) {
        const bool go_on = co_await site_.pause(interval_ms);
        if (!go_on) co_return;
        co_await collector_.round(number % rounds_per_scan == 0);
    }
}

Task<void> Reconciler::reencode_loop() {
    while (true) {
        const bool go_on = co_await site_.pause(site_.options->reconcile_interval_ms);
        if (!go_on) co_return;
        co_await reencoder_.round();
    }
}

Task<void> Reconciler::round() {
    (void)co_await walker_.round(true);
    co_await collector_.round(true);
    co_await reencoder_.round();
    (void)report();
}

Task<Result<void>> Reconciler::pull(BlobPlace blob, base::Slot slot) {
    if (slot.value >= blob.shape.width()) co_return fail(Code::kInvalid, "no such slot");
    const shards::ShardId shard{blob.blob, slot};
    const bool is_whole = co_await repairer_.is_whole(shard, blob.shape, Repairer::Pace::kUrgent);
    if (is_whole) co_return Result<void>{};
    auto restored = co_await repairer_.restore(std::move(blob), slot, Repairer::Pace::kUrgent);
    co_return restored;
}

Task<Result<std::string>> Reconciler::serve_pull(std::string payload) {
    CO_TRY_ASSIGN(PullOrder order, decode_pull(payload));
    auto pulled = co_await pull(std::move(order.blob), order.slot);
    CO_TRY(pulled);
    co_return std::string();
}

// Shards restored in the last seconds, bytes.
std::uint64_t Reconciler::bytes_per_s() {
    const Mark now{site_.now(), repairer_.restored().bytes};
    if (now.at - newer_.at >= kRateSpan) older_ = std::exchange(newer_, now);
    const auto span_ms = static_cast<std::uint64_t>((now.at - older_.at).count()) / 1000;
    return (now.bytes - older_.bytes) * 1000 / std::max<std::uint64_t>(1, span_ms);
}

ReconcileReport Reconciler::report() {
    const Walker::Report walk = walker_.report();
    const Scrubber::Report scrub = scrubber_.report();
    const Reencoder::Report reencoded = reencoder_.report();
    const Repairer::Totals restored = repairer_.restored();
    ReconcileReport report;
    report.missing = walk.missing;
    report.moving = walk.moving;
    report.damaged = walk.damaged;
    report.degraded_blobs = walk.degraded;
    report.beyond_repair = walk.beyond_repair;
    report.restored_blobs = restored.blobs;
    report.restored_bytes = restored.bytes;
    report.bytes_per_s = bytes_per_s();
    const std::uint64_t backlog = report.backlog_bytes();
    if (report.bytes_per_s > 0) report.left_s = backlog / report.bytes_per_s;
    report.settled_slots = walk.settled;
    report.scrubbed_bytes = scrub.bytes;
    report.scrub_passes = scrub.passes;
    report.scrub_percent = scrub.percent;
    report.scrub_damaged = scrub.damaged;
    report.reencoded_blobs = reencoded.blobs;
    report.reencoded_bytes = reencoded.bytes;
    missing_gauge_.set(static_cast<std::int64_t>(report.missing.blobs));
    moving_gauge_.set(static_cast<std::int64_t>(report.moving.blobs));
    damaged_gauge_.set(static_cast<std::int64_t>(report.damaged.blobs));
    backlog_bytes_gauge_.set(static_cast<std::int64_t>(backlog));
    rate_gauge_.set(static_cast<std::int64_t>(report.bytes_per_s));
    left_gauge_.set(static_cast<std::int64_t>(report.left_s));
    degraded_gauge_.set(static_cast<std::int64_t>(report.degraded_blobs));
    return report;
}

}  // namespace hamster::objects
