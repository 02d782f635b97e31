#include "objects/scrub.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "proto/objects.pb.h"

namespace hamster::objects {

using runtime::Task;
using shards::ShardId;

namespace {

constexpr std::size_t kPage = 256;  // shards listed at a time
// A pass begins so many times a period at most, however little there is to read.
constexpr std::uint64_t kPassesPerPeriod = 7;
constexpr std::uint64_t kLookEveryMs = 200;  // whether a pass is asked for
constexpr runtime::Micros kSaveEvery = std::chrono::minutes(10);
constexpr std::size_t kMaxFileBytes = 4096;

}  // namespace

Scrubber::Scrubber(const Site* site, std::function<void(const ShardId&)> on_damage,
                   base::Metrics* metrics)
    : site_(site),
      on_damage_(std::move(on_damage)),
      pacer_(site, false),
      bytes_(metrics->counter("hamster_scrubbed_bytes_total", "Bytes of shards read by the scrub")),
      damaged_(metrics->counter("hamster_scrub_damaged_shards_total",
                                "Shards that the scrub found damaged")),
      percent_(metrics->gauge("hamster_scrub_percent", "How far the scrub is in this pass")) {}

Task<void> Scrubber::run() {
    const bool begins = co_await site_->pause(site_->options->reconcile_interval_ms);
    if (!begins) co_return;
    co_await load();
    while (true) {
        const runtime::Time begun = site_->now();
        const bool is_done = co_await pass();
        if (!is_done) break;
        const bool go_on = co_await wait_for_next(begun);
        if (!go_on) break;
    }
    co_await save();
}

std::uint64_t Scrubber::begin_now() {
    is_asked_ = true;
    return passes_ + 1;
}

// So that a small store is not read all the time. False: the node stops.
Task<bool> Scrubber::wait_for_next(runtime::Time begun) {
    const std::uint64_t least_ms = site_->options->scrub_period_ms / kPassesPerPeriod;
    const runtime::Time next =
        begun +
        runtime::Micros(static_cast<std::int64_t>(std::max<std::uint64_t>(1, least_ms)) * 1000);
    bool go_on = true;
    do {
        go_on = co_await site_->pause(kLookEveryMs);
    } while (go_on && !is_asked_ && site_->now() < next);
    co_return go_on;
}

// False: the node stops.
Task<bool> Scrubber::pass() {
    bool is_at_end = false;
    while (!is_at_end || is_asked_) {
        if (is_asked_) {
            after_.reset();
            is_asked_ = false;
            is_hurried_ = true;
        }
        is_at_end = co_await page();
        if (site_->is_stopping()) co_return false;
        if (site_->now() - saved_at_ >= kSaveEvery) co_await save();
    }
    ++passes_;
    is_hurried_ = false;
    after_.reset();
    percent_.set(100);
    co_await save();
    co_return true;
}

// True at the end of the shards.
Task<bool> Scrubber::page() {
    const auto listed = site_->shards->list(after_, kPage);
    if (!listed) {
        LOG_WARN("objects", "scrub: {}", listed.error().context);
        co_return true;  // the next pass tries again
    }
    for (const shards::ShardInfo& shard : *listed) {
        co_await scrub(shard);
        if (site_->is_stopping()) co_return false;
        after_ = shard.id;
    }
    // Ids are random: how far it is in their range tells how far it is in the bytes.
    if (after_) percent_.set(std::to_integer<int>(after_->blob.raw[0]) * 100 / 256);
    co_return listed->size() < kPage;
}

Task<void> Scrubber::scrub(shards::ShardInfo shard) {
    const bool is_good = co_await verify(shard);
    if (is_good || site_->is_stopping()) co_return;
    const auto found = site_->shards->find(shard.id);
    if (found && !*found) co_return;  // removed meanwhile
    damaged_.add();
    on_damage_(shard.id);
}

Task<bool> Scrubber::verify(shards::ShardInfo shard) {
    auto home = co_await site_->shards->verify_home(shard.id);
    if (!home) co_return false;
    for (std::uint32_t i = 0; i < shard.slices && !site_->is_stopping(); ++i) {
        auto read = co_await site_->shards->read(shard.id, i);
        if (!read) co_return false;
        bytes_.add(read->size());
        co_await pacer_.take(std::max<std::uint64_t>(kLeastRead, read->size()), bytes_per_s());
    }
    co_return true;
}

// So that all of it is read in the period.
std::uint64_t Scrubber::bytes_per_s() const {
    const shards::Stats stats = site_->shards->stats();
    const std::uint64_t all = stats.live_bytes + stats.shards * kLeastRead;
    const std::uint64_t period_s =
        std::max<std::uint64_t>(1, site_->options->scrub_period_ms / 1000);
    const std::uint64_t hurried = is_hurried_ ? site_->options->repair_bytes_per_s : 1;
    return std::max({all / period_s, site_->options->scrub_least_bytes_per_s, hurried});
}

Task<void> Scrubber::load() {
    saved_at_ = site_->now();
    auto read =
        co_await runtime::read_file(&site_->control->disk, std::string(kScrubFile), kMaxFileBytes);
    proto::ScrubPosition position;
    if (!read || !position.ParseFromString(*read)) co_return;  // from the beginning
    const auto blob = base::BlobId::from_bytes(position.blob_id());
    if (!blob || position.slot() > UINT8_MAX) co_return;
    after_ = ShardId{*blob, base::Slot{static_cast<std::uint8_t>(position.slot())}};
}

Task<void> Scrubber::save() {
    saved_at_ = site_->now();
    proto::ScrubPosition position;
    if (after_) {
        position.set_blob_id(std::string(after_->blob.view()));
        position.set_slot(after_->slot.value);
    }
    auto written = co_await runtime::write_file(&site_->control->disk, std::string(kScrubFile),
                                                position.SerializeAsString());
    if (!written) LOG_DEBUG("objects", "scrub position: {}", written.error().context);
}

Scrubber::Report Scrubber::report() const {
    return {bytes_.value(), passes_, static_cast<std::uint32_t>(percent_.value()),
            damaged_.value()};
}

}  // namespace hamster::objects
