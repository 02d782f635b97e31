// The shards themselves: those that blobs say they lack, suspects, and the restoring of one.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "objects/walk.h"

namespace hamster::objects {

using runtime::Task;
using shards::ShardId;

namespace {

// Shards restored at once; what they may hold in memory is the repairer's.
constexpr std::size_t kAtOnce = 16;
constexpr std::size_t kDegradedPage = 256;          // rows
constexpr std::size_t kDegradedPagesPerRound = 16;  // the walk goes on in the next round
constexpr std::size_t kMaxBeyondRepair = 64 * 1024;
constexpr std::size_t kRecheckedAtOnce = 256;

}  // namespace

void Walker::note_suspect(const ShardId& shard) {
    const auto found = site_->shards->find(shard);
    suspects_.note(shard, found && *found ? (*found)->bytes : 0);
}

// What comes before partitions, also between two of them.
Task<void> Walker::urgent() {
    const runtime::Micros interval(
        static_cast<std::int64_t>(site_->options->reconcile_interval_ms) * 1000);
    if (site_->now() - urgent_at_ < interval) co_return;
    urgent_at_ = site_->now();
    auto filled = co_await fill_degraded();
    if (!filled) LOG_WARN("objects", "degraded blobs: {}", filled.error().context);
    co_await forget_deleted();
    auto looked = co_await look_into_suspects();
    if (!looked) LOG_WARN("objects", "damaged shards: {}", looked.error().context);
}

// An alarm ends soon after what it is about: some of the shards beyond repair each time, in turn.
Task<void> Walker::forget_deleted() {
    if (beyond_repair_.empty()) co_return;
    co_await turns_->acquire(1);
    auto viewed = co_await view();
    for (std::size_t i = 0; viewed && i < kRecheckedAtOnce && !beyond_repair_.empty(); ++i) {
        auto next = rechecked_ ? beyond_repair_.upper_bound(*rechecked_) : beyond_repair_.begin();
        if (next == beyond_repair_.end()) {
            rechecked_.reset();
            break;
        }
        rechecked_ = *next;
        const auto job = expected(*viewed, *next);
        if (job && !*job) beyond_repair_.erase(next);
    }
    turns_->release(1);
    beyond_gauge_.set(static_cast<std::int64_t>(beyond_repair_.size()));
}

Task<Result<void>> Walker::fill_degraded() {
    for (std::size_t i = 0; i < kDegradedPagesPerRound && !site_->is_stopping(); ++i) {
        co_await turns_->acquire(1);
        auto viewed = co_await view();
        Result<std::vector<meta::BlobEntry>> blobs =
            viewed ? viewed->degraded(degraded_after_, kDegradedPage)
                   : std::unexpected(viewed.error());
        Result<Jobs> jobs = blobs ? fillings_of(*viewed, *blobs) : std::unexpected(blobs.error());
        turns_->release(1);
        CO_TRY(jobs);
        (void)co_await run(std::move(*jobs));
        degraded_seen_ += blobs->size();
        if (blobs->size() < kDegradedPage) {
            degraded_after_.reset();
            degraded_ = std::exchange(degraded_seen_, 0);
            co_return Result<void>{};
        }
        degraded_after_ = blobs->back().id;
    }
    co_return Result<void>{};
}

Result<Walker::Jobs> Walker::fillings_of(const meta::View& view,
                                         std::span<const meta::BlobEntry> blobs) const {
    Jobs jobs;
    for (const meta::BlobEntry& entry : blobs) {
        TRY_ASSIGN(const auto places, view.places(base::partition_of(entry.id)));
        TRY_ASSIGN(std::optional<Job> job, job_of(view, entry, places));
        if (job && job->is_to_fill) jobs.push_back(std::move(*job));
    }
    return jobs;
}

Task<Result<void>> Walker::look_into_suspects() {
    std::optional<ShardId> after;
    while (!site_->is_stopping()) {
        auto viewed = co_await view();
        CO_TRY_ASSIGN(const meta::View now_view, viewed);
        Jobs jobs;
        while (jobs.size() < kAtOnce) {
            const auto shard = suspects_.next(after);
            if (!shard) break;
            after = shard;
            CO_TRY_ASSIGN(std::optional<Job> job, expected(now_view, *shard));
            if (job && !job->is_to_fill) {
                jobs.push_back(std::move(*job));
            } else {
                suspects_.erase(*shard);
            }
        }
        if (jobs.empty()) co_return Result<void>{};
        std::vector<Task<bool>> tasks;
        tasks.reserve(jobs.size());
        for (const Job& job : jobs) tasks.push_back(examine(&job));
        (void)co_await runtime::when_all(std::move(tasks));
    }
    co_return Result<void>{};
}

Result<std::optional<Walker::Job>> Walker::expected(const meta::View& view,
                                                    const ShardId& shard) const {
    TRY_ASSIGN(auto blob, view.blob(shard.blob));
    if (!blob) return std::nullopt;
    TRY_ASSIGN(const auto places, view.places(base::partition_of(shard.blob)));
    const Options& options = *site_->options;
    TRY_ASSIGN(const proto::Layout layout, view.layout());
    const auto duty = layout.version() > 0
                          ? duty_of(*blob, places, options.self, options.founder)
                          : first_duty_of(*blob, places, options.self, options.founder);
    if (!duty || duty->slot != shard.slot) return std::nullopt;
    Job job;
    TRY_ASSIGN(job.blob, place_of(shard.blob, *blob, places, options.founder));
    TRY(forget_strangers(view, &job.blob));
    job.slot = shard.slot;
    job.version = places.version;
    job.is_to_fill = duty->is_to_fill;
    job.is_moving = duty->is_moving;
    return job;
}

// Who is no member never comes back: what only such nodes had is lost, and is to be called so.
Result<void> Walker::forget_strangers(const meta::View& view, BlobPlace* blob) const {
    std::vector<BlobPlace::Shard> there;
    for (const BlobPlace::Shard& shard : blob->shards) {
        bool is_there = site_->is_self(shard.node);
        if (!is_there) {
            TRY_ASSIGN(const auto row, view.node(shard.node));
            is_there = row.has_value();
        }
        if (is_there) there.push_back(shard);
    }
    blob->shards = std::move(there);
    return {};
}

// True: the shard is in order. What could not be decided stays a suspect.
Task<bool> Walker::examine(const Job* job) {
    const Result<bool> is_present = repairer_->is_present(job->shard(), job->blob.shape);
    const bool is_lost =
        is_present && !*is_present && !job->is_moving && !beyond_repair_.contains(job->shard());
    if (is_lost) {
        lost_.add();
        wants_survey_ = true;  // there may be more
    }
    const Restored restored = co_await restore(job);
    const bool is_open = restored == Restored::kNotYet && !beyond_repair_.contains(job->shard());
    if (!is_open) suspects_.erase(job->shard());
    co_return restored == Restored::kWhole;
}

Task<Walker::Tally> Walker::run(Jobs jobs) {
    Tally failed;
    for (std::size_t at = 0; at < jobs.size(); at += kAtOnce) {
        const std::size_t end = std::min(jobs.size(), at + kAtOnce);
        std::vector<Task<Restored>> tasks;
        for (std::size_t i = at; i < end; ++i) tasks.push_back(restore(&jobs[i]));
        const auto done = co_await runtime::when_all(std::move(tasks));
        std::vector<const Job*> to_fill;
        for (std::size_t i = at; i < end; ++i) {
            const Restored restored = done[i - at];
            if (restored == Restored::kNotYet) failed.add(jobs[i]);
            if (restored == Restored::kWhole && jobs[i].is_to_fill) to_fill.push_back(&jobs[i]);
        }
        co_await fill(std::move(to_fill));
    }
    co_return failed;
}

// What the metadata or the walk does not trust may be in order all the same: then it is enough that
// all of it verifies.
Task<Walker::Restored> Walker::restore(const Job* job) {
    if (site_->is_stopping()) co_return Restored::kNotYet;
    constexpr auto kPace = Repairer::Pace::kBackground;
    const bool is_whole = co_await repairer_->is_whole(job->shard(), job->blob.shape, kPace);
    if (is_whole) co_return Restored::kWhole;
    auto restored = co_await repairer_->restore(job->blob, job->slot, kPace);
    if (!restored) {
        bool is_expected = true;
        if (restored.error().code == Code::kCorrupt) {
            is_expected = co_await is_still_expected(job->shard());
        }
        if (!is_expected) co_return Restored::kNotWanted;
        note_failure(*job, restored.error());
        co_return Restored::kNotYet;
    }
    if (beyond_repair_.erase(job->shard()) > 0) {
        beyond_gauge_.set(static_cast<std::int64_t>(beyond_repair_.size()));
    }
    co_return Restored::kWhole;
}

// Blobs are deleted, and move away, while a page of jobs is worked through. Unknown: still
// expected.
Task<bool> Walker::is_still_expected(ShardId shard) {
    auto viewed = co_await view();
    if (!viewed) co_return true;
    const auto job = expected(*viewed, shard);
    co_return !job || job->has_value();
}

void Walker::note_failure(const Job& job, const Error& error) {
    ++failed_;
    if (!failure_) {
        failure_ = Error{error.code, fmt::format("blob {} slot {}: {}", job.blob.blob.hex(),
                                                 job.slot.value, error.context)};
    }
    if (error.code != Code::kCorrupt || beyond_repair_.size() >= kMaxBeyondRepair) return;
    if (!beyond_repair_.insert(job.shard()).second) return;
    beyond_gauge_.set(static_cast<std::int64_t>(beyond_repair_.size()));
    LOG_ERROR("objects", "blob {} slot {} cannot be repaired: {}", job.blob.blob.hex(),
              job.slot.value, error.context);
}

Task<void> Walker::fill(std::vector<const Job*> jobs) {
    if (jobs.empty()) co_return;
    proto::Command command;
    for (const Job* job : jobs) {
        auto* filled = command.mutable_fill_slots()->add_filled();
        filled->set_blob_id(std::string(job->blob.blob.view()));
        filled->set_slot(job->slot.value);
        filled->set_node(std::string(site_->options->self.view()));
        filled->set_version(job->version);
    }
    auto proposed = co_await site_->router->system().propose(std::move(command));
    if (!proposed || proposed->status() != proto::Answer::OK) {  // the next round says it again
        LOG_WARN("objects", "filling slots: {}",
                 proposed ? proposed->detail() : proposed.error().context);
    }
}

// Those that were deleted or moved away are no alarm any more. `again`: the others get another try.
void Walker::recheck_beyond_repair(const meta::View& view, bool again) {
    std::erase_if(beyond_repair_, [&](const ShardId& shard) {
        const auto job = expected(view, shard);
        if (again && job && *job && !(*job)->is_to_fill) note_suspect(shard);
        return job && !*job;
    });
    beyond_gauge_.set(static_cast<std::int64_t>(beyond_repair_.size()));
}

}  // namespace hamster::objects
