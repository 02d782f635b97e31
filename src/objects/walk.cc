#include "objects/walk.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/partitions.h"
#include "base/planted.h"

namespace hamster::objects {

using base::BlobId;
using base::Slot;
using runtime::Task;

namespace {

// Blobs and partitions looked at between two pauses.
constexpr std::size_t kPage = 256;
// Slots settled by one command.
constexpr std::size_t kSettled = 256;
// A missing shard is a reason to look for others, this many times as often as without one.
constexpr std::uint64_t kWantedShare = 10;

runtime::Micros millis(std::uint64_t ms) {
    return runtime::Micros(static_cast<std::int64_t>(ms) * 1000);
}

}  // namespace

Walker::Walker(const Site* site, Repairer* repairer, runtime::Semaphore* turns,
               base::Metrics* metrics)
    : site_(site),
      repairer_(repairer),
      turns_(turns),
      settled_(metrics->counter("hamster_slots_settled_total",
                                "Slots of partitions whose shards have all arrived here")),
      lost_(metrics->counter("hamster_missing_slices_total",
                             "Referenced slices found missing or misshapen")),
      beyond_gauge_(metrics->gauge("hamster_shards_beyond_repair",
                                   "Shards of this node that too few others are left of")) {}

void Walker::Tally::add(const Job& job) {
    Backlog& backlog = job.is_moving ? moving : missing;
    backlog += {1, job.blob.shape.shard_bytes()};
}

Task<Result<meta::View>> Walker::view() {
    auto viewed = co_await site_->router->system().view();
    co_return viewed;
}

Task<bool> Walker::round(bool all) {
    co_await one_round_.acquire(1);
    failed_ = 0;
    failure_.reset();
    urgent_at_ = {INT64_MIN / 2};
    co_await urgent();
    auto surveyed = co_await survey(all);
    if (!surveyed) {
        LOG_WARN("objects", "walk of the partitions: {}", surveyed.error().context);
        wants_survey_ = true;
    }
    co_await settle();
    co_await restore_partitions();
    co_await settle();
    if (failed_ > 0) {
        LOG_WARN("objects", "{} shards could not be restored yet: {}", failed_, failure_->context);
    }
    const bool is_done = failed_ == 0 && surveyed && to_settle_.empty();
    one_round_.release(1);
    co_return is_done;
}

// Walks what is due, and notes what each partition lacks here.
Task<Result<void>> Walker::survey(bool all) {
    auto viewed = co_await view();
    CO_TRY_ASSIGN(const meta::View now_view, viewed);
    CO_TRY_ASSIGN(const proto::Layout layout, now_view.layout());
    const bool is_laid_out = layout.version() > 0;
    const std::uint64_t interval_ms = site_->options->full_walk_interval_ms;
    const auto is_due = [&](std::uint64_t ms) { return site_->now() - surveyed_at_ >= millis(ms); };
    all |= is_due(interval_ms) || (wants_survey_ && is_due(interval_ms / kWantedShare));
    if (!all && (!is_laid_out || surveyed_layout_ == layout.version())) co_return Result<void>{};
    if (all) {
        surveyed_at_ = site_->now();
        wants_survey_ = false;
    }
    recheck_beyond_repair(now_view, all);
    if (!is_laid_out) co_return Result<void>{};  // everything lies where it was taken in
    Cursor cursor;
    while (cursor.partition < base::partitions()) {
        co_await turns_->acquire(1);
        auto page_view = co_await view();
        Result<void> done;
        if (page_view) {
            done = survey_some(*page_view, all, &cursor);
        } else {
            done = std::unexpected(page_view.error());
        }
        turns_->release(1);
        CO_TRY(done);
        const bool go_on = co_await site_->pause(kPageGapMs);
        if (!go_on) co_return Result<void>{};
    }
    surveyed_layout_ = layout.version();
    co_return Result<void>{};
}

// One page, over as many partitions as it takes.
Result<void> Walker::survey_some(const meta::View& view, bool all, Cursor* cursor) {
    for (std::size_t room = kPage; room > 0 && cursor->partition < base::partitions();) {
        const std::uint16_t partition = cursor->partition;
        TRY_ASSIGN(const meta::PartitionPlaces places, view.places(partition));
        --room;
        const bool is_known = partitions_[partition].walked == places.version + 1;
        if (!cursor->has_begun && !all && is_known) {
            ++cursor->partition;
            continue;
        }
        if (!cursor->has_begun || cursor->version != places.version) {
            *cursor = {partition, true, places.version, std::nullopt, {}};
        }
        const std::size_t limit = room + 1;
        TRY_ASSIGN(const Page page, read_page(view, partition, cursor->after, limit));
        room -= std::min(room, page.blobs);
        for (const Job& job : page.jobs) cursor->tally.add(job);
        cursor->after = page.last;
        if (!page.is_last) return {};
        end_partition(partition, page, cursor->tally);
        *cursor = {};
        cursor->partition = static_cast<std::uint16_t>(partition + 1);
    }
    return {};
}

// What this node lacks of up to `limit` blobs of a partition.
Result<Walker::Page> Walker::read_page(const meta::View& view, std::uint16_t partition,
                                       std::optional<BlobId> after, std::size_t limit) const {
    Page page;
    TRY_ASSIGN(const meta::PartitionPlaces places, view.places(partition));
    page.version = places.version;
    const auto mine = std::ranges::find(places.nodes, site_->options->self);
    if (mine == places.nodes.end()) {
        page.is_last = true;
        return page;
    }
    page.slot = Slot{static_cast<std::uint8_t>(mine - places.nodes.begin())};
    page.has_sources = std::ranges::any_of(
        places.sources, [&](const auto& source) { return source.slot == *page.slot; });
    TRY_ASSIGN(const auto entries, view.blobs_of(partition, after, limit));
    for (const meta::BlobEntry& entry : entries) {
        TRY_ASSIGN(std::optional<Job> job, job_of(view, entry, places));
        if (job) page.jobs.push_back(std::move(*job));
    }
    page.blobs = entries.size();
    page.is_last = entries.size() < limit;
    page.last = entries.empty() ? after : std::optional(entries.back().id);
    return page;
}

Result<std::optional<Walker::Job>> Walker::job_of(const meta::View& view,
                                                  const meta::BlobEntry& entry,
                                                  const meta::PartitionPlaces& places) const {
    const Options& options = *site_->options;
    const auto duty = duty_of(entry.blob, places, options.self, options.founder);
    if (!duty) return std::nullopt;
    Job job;
    TRY_ASSIGN(job.blob, place_of(entry.id, entry.blob, places, options.founder));
    job.slot = duty->slot;
    TRY_ASSIGN(const bool is_present, repairer_->is_present(job.shard(), job.blob.shape));
    // Of a shard that came back to where it had been before the only other copy is about to go: so
    // this one must verify.
    const bool is_last_copy = duty->is_moving && job.blob.shape.m() == 0;
    if (is_present && !duty->is_to_fill && !is_last_copy) return std::nullopt;
    job.version = places.version;
    job.is_to_fill = duty->is_to_fill;
    job.is_moving = duty->is_moving;
    TRY(forget_strangers(view, &job.blob));
    return job;
}

void Walker::end_partition(std::uint16_t partition, const Page& page, const Tally& lacks) {
    partitions_[partition] = {lacks, lacks.is_empty() ? page.version + 1 : 0};
    const bool has_all = lacks.is_empty() || base::planted(base::Bug::kSettleUnfetched);
    if (!has_all || !page.has_sources) return;
    proto::SettleSlots::Settled& settled = to_settle_.emplace_back();
    settled.set_partition(partition);
    settled.set_slot(page.slot->value);
    settled.set_node(std::string(site_->options->self.view()));
    settled.set_version(page.version);
}

Task<void> Walker::settle() {
    while (!to_settle_.empty() && !site_->is_stopping()) {
        const std::size_t count = std::min(to_settle_.size(), kSettled);
        proto::Command command;
        for (std::size_t i = 0; i < count; ++i) {
            *command.mutable_settle_slots()->add_settled() = to_settle_[i];
        }
        auto proposed = co_await site_->router->system().propose(std::move(command));
        if (!proposed || proposed->status() != proto::Answer::OK) {  // tried again next round
            LOG_WARN("objects", "settling slots: {}",
                     proposed ? proposed->detail() : proposed.error().context);
            co_return;
        }
        settled_.add(count);
        to_settle_.erase(to_settle_.begin(),
                         to_settle_.begin() + static_cast<std::ptrdiff_t>(count));
    }
}

// Lost shards before those that move.
Task<void> Walker::restore_partitions() {
    for (const bool for_missing : {true, false}) {
        for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
            const Tally& lacks = partitions_[partition].lacks;
            const bool is_due = for_missing ? lacks.missing.blobs > 0
                                            : lacks.missing.blobs == 0 && lacks.moving.blobs > 0;
            if (!is_due) continue;
            auto restored = co_await restore_partition(partition);
            if (!restored) {
                LOG_WARN("objects", "partition {}: {}", partition, restored.error().context);
                co_return;
            }
            if (site_->is_stopping()) co_return;
            co_await settle();
            co_await urgent();
        }
    }
}

Task<Result<void>> Walker::restore_partition(std::uint16_t partition) {
    std::optional<std::uint64_t> version;
    std::optional<BlobId> after;
    Tally lacks;
    while (true) {
        co_await turns_->acquire(1);
        auto viewed = co_await view();
        Result<Page> read =
            viewed ? read_page(*viewed, partition, after, kPage) : std::unexpected(viewed.error());
        turns_->release(1);
        CO_TRY_ASSIGN(Page page, read);
        // It has changed: the next survey begins with it anew.
        if (version && *version != page.version) co_return Result<void>{};
        version = page.version;
        const Tally failed = co_await run(std::move(page.jobs));
        lacks.missing += failed.missing;
        lacks.moving += failed.moving;
        after = page.last;
        if (site_->is_stopping()) co_return Result<void>{};
        if (!page.is_last) continue;
        end_partition(partition, page, lacks);
        co_return Result<void>{};
    }
}

Walker::Report Walker::report() const {
    Report report;
    for (const Partition& partition : partitions_) {
        report.missing += partition.lacks.missing;
        report.moving += partition.lacks.moving;
    }
    const Suspects::Size suspects = suspects_.size();
    report.damaged = {suspects.shards, suspects.bytes};
    report.beyond_repair = beyond_repair_.size();
    report.degraded = degraded_;
    report.settled = settled_.value();
    return report;
}

}  // namespace hamster::objects
