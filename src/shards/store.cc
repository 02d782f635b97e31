#include "shards/store.h"

#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "shards/reader.h"
#include "shards/recovery.h"
#include "shards/store_impl.h"

namespace hamster::shards {

namespace {

constexpr runtime::Micros kTick = std::chrono::milliseconds(100);
// Freed space waits for company, because each round flushes the index; unless there is much of it
// or the disk is full.
constexpr runtime::Micros kReclaimEvery = std::chrono::seconds(1);
constexpr std::uint64_t kReclaimBytes = 64 << 20;
// Small segments begun since the last index flush: bounds what a restart must scan.
constexpr std::uint32_t kFlushRollovers = 4;
constexpr std::size_t kRemoveChunk = 256;  // shards per index change
// The smallest segments that hold one record of the largest size, and the largest that 32-bit
// offsets and the extents' arithmetic allow.
constexpr std::uint64_t kLeastSegment = kSegmentStart + kMaxSpan + base::kBlock;
constexpr std::uint64_t kMostSegment = 1ULL << 31;

class Handle final : public Writer {
  public:
    Handle(StoreImpl* store, std::shared_ptr<LargeWrite> write, Mode mode)
        : store_(store), write_(std::move(write)), mode_(mode) {}
    // Only tells: the control loop frees what was written.
    ~Handle() override { write_->abandon(); }
    runtime::Task<Result<void>> append(base::Buffer slice) override {
        return store_->append(write_, std::move(slice));
    }
    runtime::Task<Result<void>> finish() override { return store_->finish(write_, mode_); }

  private:
    StoreImpl* store_;
    std::shared_ptr<LargeWrite> write_;
    const Mode mode_;
};

}  // namespace

runtime::Task<Result<std::unique_ptr<Store>>> Store::open(runtime::World* control, std::string dir,
                                                          Options options, base::Metrics* metrics) {
    HAMSTER_ASSERT(metrics != nullptr);
    const auto fit = [](std::uint64_t bytes) {
        return std::clamp(base::round_up(bytes, base::kBlock), kLeastSegment, kMostSegment);
    };
    options.segment_bytes = fit(options.segment_bytes);
    options.small_segment_bytes = fit(options.small_segment_bytes);
    auto store = std::make_unique<StoreImpl>(control, std::move(dir), options, metrics);
    auto started = co_await store->start();
    CO_TRY(started);
    co_return std::unique_ptr<Store>(std::move(store));
}

runtime::Task<Result<void>> StoreImpl::start() {
    Recovery recovery(&core_, &reclaimer_);
    auto recovered = co_await recovery.run();
    CO_TRY(recovered);
    core_.space.refresh();
    small_.start();
    runtime::spawn(core_.world->executor, core_.gate, "shards housekeeping", housekeeping());
    co_return Result<void>();
}

template <class T>
runtime::Task<Result<T>> StoreImpl::enter(runtime::Task<Result<T>> task) {
    if (core_.stopping) co_return fail(Code::kUnavailable, "the shard store is stopping");
    core_.gate.enter();
    auto result = co_await std::move(task);
    core_.gate.leave();
    co_return result;
}

template <class T>
runtime::Task<Result<T>> StoreImpl::on_control(runtime::Task<Result<T>> task) {
    auto inside = enter<T>(std::move(task));
    return runtime::run_on(core_.world->executor, std::move(inside));
}

runtime::Task<Result<void>> StoreImpl::put(ShardId id, base::Buffer slice, Mode mode) {
    if (slice.size() > kSliceBytes) co_return fail(Code::kInvalid, "slice size");
    const std::uint64_t hash = hash_payload(slice.bytes());  // on the caller's loop
    auto done = co_await on_control(put_here(id, std::move(slice), hash, mode));
    co_return done;
}

runtime::Task<Result<std::unique_ptr<Writer>>> StoreImpl::create(ShardId id,
                                                                 std::uint64_t expected_bytes,
                                                                 Mode mode) {
    auto writer = co_await on_control(create_here(id, expected_bytes, mode));
    co_return writer;
}

runtime::Task<Result<void>> StoreImpl::append(std::shared_ptr<LargeWrite> write,
                                              base::Buffer slice) {
    const std::uint64_t hash = hash_payload(slice.bytes());
    if (base::planted(base::Bug::kShardLateBuffer)) slice.data()[slice.size() / 2] = std::byte{0};
    auto done = co_await on_control(append_here(std::move(write), std::move(slice), hash));
    co_return done;
}

runtime::Task<Result<void>> StoreImpl::finish(std::shared_ptr<LargeWrite> write, Mode mode) {
    auto done = co_await on_control(finish_here(std::move(write), mode));
    co_return done;
}

runtime::Task<Result<void>> StoreImpl::remove(std::vector<ShardId> ids) {
    auto done = co_await on_control(remove_here(std::move(ids)));
    co_return done;
}

runtime::Task<Result<bool>> StoreImpl::compact_one() {
    auto done = co_await on_control(compactor_.run());
    co_return done;
}

runtime::Task<Result<base::Buffer>> StoreImpl::read(ShardId id, std::uint32_t stripe) {
    return read_slice(&core_, id, stripe);
}

runtime::Task<Result<void>> StoreImpl::verify_home(ShardId id) {
    auto read = co_await read_home(&core_, id);
    CO_TRY(read);
    co_return Result<void>();
}

Result<std::optional<ShardInfo>> StoreImpl::find(ShardId id) const {
    TRY_ASSIGN(const std::optional<Row> row, core_.index->get(id));
    if (!row) return std::optional<ShardInfo>();
    return row->info(id);
}

Result<std::vector<ShardInfo>> StoreImpl::list(std::optional<ShardId> after,
                                               std::size_t limit) const {
    return core_.index->list(after, limit);
}

Result<void> StoreImpl::check_space(std::size_t bytes) {
    core_.space.refresh(bytes);
    if (!core_.space.is_full()) return {};
    chores_.notify_all();
    return fail(Code::kNoSpace, "the disk is full");
}

runtime::Task<Result<void>> StoreImpl::put_here(ShardId id, base::Buffer slice, std::uint64_t hash,
                                                Mode mode) {
    CO_TRY(check_space(slice.size()));
    auto record = std::make_shared<Append>();
    record->id = id;
    record->payload = std::move(slice);
    record->payload_hash = hash;
    record->sealed_ms = core_.world->clock.unix_ms();
    record->mode = mode;
    auto done = co_await small_.append(std::move(record));
    if (has_chores()) chores_.notify_all();
    CO_TRY(done);
    co_return Result<void>();
}

runtime::Task<Result<std::unique_ptr<Writer>>> StoreImpl::create_here(ShardId id,
                                                                      std::uint64_t expected_bytes,
                                                                      Mode mode) {
    CO_TRY(check_space(0));
    CO_TRY_ASSIGN(const std::optional<Row> row, core_.index->get(id));
    if (row && mode == Mode::kNew)
        co_return fail(Code::kAlreadyExists, "this shard is stored already");
    auto write = std::make_shared<LargeWrite>(&core_, &large_, &reclaimer_, id, expected_bytes, 0);
    writes_.push_back(write);
    chores_.notify_all();
    co_return std::make_unique<Handle>(this, std::move(write), mode);
}

runtime::Task<Result<void>> StoreImpl::append_here(std::shared_ptr<LargeWrite> write,
                                                   base::Buffer slice, std::uint64_t hash) {
    CO_TRY(check_space(slice.size()));
    auto done = co_await write->add(std::move(slice), hash);
    co_return done;
}

runtime::Task<Result<void>> StoreImpl::finish_here(std::shared_ptr<LargeWrite> write, Mode mode) {
    auto drained = co_await write->drain();
    CO_TRY(drained);  // the handle's end gives up what was written
    if (write->geometry().bytes == 0) co_return fail(Code::kInvalid, "a shard without slices");
    if (!write->geometry().is_sound()) co_return fail(Code::kTooLarge, "too many extents");
    auto seal = make_seal(write->id(), write->geometry(), core_.world->clock.unix_ms());
    seal->mode = mode;
    auto done = co_await small_.append(std::move(seal));
    if (has_chores()) chores_.notify_all();
    // A seal whose write failed may be on the disk all the same and be found by recovery. It would
    // take the place of a shard whose other slices are good, so what it seals must not be punched:
    // it stays as garbage of its segment.
    if (!done && mode == Mode::kNew) co_return std::unexpected(done.error());
    write->unpin();
    std::erase(writes_, write);
    CO_TRY(done);
    HAMSTER_ASSERT(*done);
    co_return Result<void>();
}

runtime::Task<Result<void>> StoreImpl::remove_here(std::vector<ShardId> ids) {
    std::ranges::sort(ids);
    const auto doubles = std::ranges::unique(ids);
    ids.erase(doubles.begin(), doubles.end());
    for (std::size_t at = 0; at < ids.size(); at += kRemoveChunk) {
        const std::size_t n = std::min(kRemoveChunk, ids.size() - at);
        CO_TRY(remove_chunk(std::span(ids).subspan(at, n)));
        // Let others have the loop.
        co_await runtime::asio::post(core_.world->executor, runtime::asio::use_awaitable);
    }
    if (has_chores()) chores_.notify_all();
    co_return Result<void>();
}

Result<void> StoreImpl::remove_chunk(std::span<const ShardId> ids) {
    Change change = core_.change();
    bool any = false;
    for (const ShardId& id : ids) {
        TRY_ASSIGN(const std::optional<Row> row, change.lookup(id));
        if (!row) continue;
        change.erase(id, *row);
        any = true;
    }
    if (!any) return {};
    TRY_ASSIGN(auto freed, change.commit());
    reclaimer_.add(std::move(freed));
    reclaimer_.note_death();
    return {};
}

bool StoreImpl::has_chores() const {
    return reclaimer_.has_work() || !writes_.empty() || core_.space.is_full() ||
           small_.rollovers() >= kFlushRollovers;
}

runtime::Task<void> StoreImpl::housekeeping() {
    while (!core_.stopping) {
        if (!has_chores()) {
            co_await chores_.wait();
            continue;
        }
        co_await core_.world->clock.sleep(kTick);
        if (core_.stopping) break;
        co_await do_chores();
    }
}

runtime::Task<void> StoreImpl::do_chores() {
    sweep_abandoned();
    const bool was_full = core_.space.is_full();
    core_.space.refresh();
    const runtime::Time now = core_.world->clock.now();
    const bool due = was_full || now - reclaimed_ >= kReclaimEvery ||
                     reclaimer_.pending_bytes() >= kReclaimBytes;
    if (reclaimer_.has_work() && due) {
        co_await reclaimer_.run();
        reclaimed_ = core_.world->clock.now();
        core_.space.refresh();
    }
    if (was_full && !core_.space.is_full()) small_.retry_prepare();
    if (small_.rollovers() >= kFlushRollovers) {
        // A failure is logged; a restart scans more.
        auto flushed = co_await reclaimer_.flush();
        (void)flushed;
        (void)small_.take_rollovers();
    }
}

void StoreImpl::sweep_abandoned() {
    std::erase_if(writes_, [](const std::shared_ptr<LargeWrite>& write) {
        if (!write->is_abandoned() || !write->is_idle()) return false;
        write->give_up();
        return true;
    });
}

runtime::Task<void> StoreImpl::stop() {
    HAMSTER_ASSERT(!core_.stopping);
    core_.stopping = true;
    chores_.notify_all();
    small_.stop();
    // Writers that wait for the budget may wait for slices that are not written any more.
    core_.write_budget.release(1ULL << 40);
    co_await core_.gate.close();
    auto flushed = co_await reclaimer_.flush();
    (void)flushed;  // logged; the next start scans more
    writes_.clear();
}

}  // namespace hamster::shards
