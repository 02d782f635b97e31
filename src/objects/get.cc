// Bodies out: range -> extents -> slices, verified by the shard store here or on arrival from their
// holder, a few of them read ahead.
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Task;

namespace {

// Geometry look-ups between two chances for other requests of the loop.
constexpr std::size_t kLookUpsPerTurn = 256;

// What a reader shares with its read-ahead tasks. Lives until the last of them has finished, so a
// reader can be destroyed at any time without waiting; the pins go with it.
struct ReadState {
    ReadState(ServiceImpl* s, LoopState* l, std::vector<Extent> extents, Lease m,
              std::shared_ptr<const Pins> p, std::unique_ptr<const AwayPins> a)
        : service(s),
          loop(l),
          cursor(std::move(extents)),
          lease(std::move(m)),
          pins(std::move(p)),
          away(std::move(a)) {}

    struct Pending {
        std::uint64_t number = 0;
        std::optional<Result<base::Buffer>> outcome;
    };
    ServiceImpl* service;
    LoopState* loop;
    SliceCursor cursor;
    Lease lease;
    std::shared_ptr<const Pins> pins;
    std::unique_ptr<const AwayPins> away;
    std::deque<Pending> ahead;  // in the order of the body
    std::uint64_t started = 0;
    runtime::Signal arrived;
    bool abandoned = false;  // the reader is gone: results are dropped
};

Task<Result<base::Buffer>> read_whole(ServiceImpl* service, SliceRead read) {
    if (read.holder.is_zero()) {
        auto here = co_await service->shards()->read({read.blob, base::Slot{0}}, read.stripe);
        co_return here;
    }
    auto away = co_await service->read_away(read);
    co_return away;
}

std::string where(const SliceRead& read) {
    return read.holder.is_zero() ? "this node" : "node " + read.holder.hex();
}

// One slice, cut to what was asked for.
Task<Result<base::Buffer>> read_slice(ServiceImpl* service, SliceRead read) {
    auto got = co_await read_whole(service, read);
    if (!got) {
        if (got.error().code != Code::kNotFound) co_return std::unexpected(std::move(got).error());
        service->counters().missing_slices.add();
        LOG_ERROR("objects", "slice {} of blob {} is missing on {}", read.stripe, read.blob.hex(),
                  where(read));
        co_return fail(Code::kCorrupt, "a slice of a referenced blob is missing");
    }
    base::Buffer slice = std::move(*got);
    if (slice.size() != read.slice_size) {
        service->counters().missing_slices.add();
        LOG_ERROR("objects", "slice {} of blob {} on {} has {} bytes instead of {}", read.stripe,
                  read.blob.hex(), where(read), slice.size(), read.slice_size);
        co_return fail(Code::kCorrupt, "a slice does not have the length its blob says");
    }
    const bool is_last = read.slice_size < shards::kSliceBytes;
    if (base::planted(base::Bug::kLastSliceShort) && is_last && read.skip > 0) --read.skip;
    if (read.skip > 0) std::memmove(slice.data(), slice.data() + read.skip, read.take);
    slice.resize(read.take);
    co_return slice;
}

Task<void> read_ahead(std::shared_ptr<ReadState> state, std::uint64_t number, SliceRead read) {
    auto outcome = co_await read_slice(state->service, read);
    if (state->abandoned) co_return;
    for (ReadState::Pending& pending : state->ahead) {
        if (pending.number != number) continue;
        pending.outcome.emplace(std::move(outcome));
        break;
    }
    state->arrived.notify_all();
}

// Starts reads until enough slices are under way, each only while the node has room for it beside
// the slice in hand, whose memory was leased when the reader was opened.
void top_up(const std::shared_ptr<ReadState>& state) {
    while (state->ahead.size() < kReadAhead && state->loop->gate.is_open()) {
        const std::uint64_t wanted = (state->ahead.size() + 2) * shards::kSliceBytes;
        if (!state->lease.grow_to(wanted)) break;
        const std::optional<SliceRead> read = state->cursor.next();
        if (!read) break;
        const std::uint64_t number = state->started++;
        state->ahead.push_back({number, std::nullopt});
        runtime::spawn(state->loop->executor, state->loop->gate, "read_ahead",
                       read_ahead(state, number, *read));
    }
}

class Reader final : public BodyReader {
  public:
    Reader(std::shared_ptr<ReadState> state, base::Buffer first)
        : state_(std::move(state)), first_(std::move(first)) {}
    ~Reader() override { state_->abandoned = true; }

    Task<Result<base::Buffer>> next() override {
        if (failed_) co_return std::unexpected(*failed_);
        if (!first_.empty()) {
            top_up(state_);
            co_return std::exchange(first_, base::Buffer());
        }
        top_up(state_);
        if (state_->ahead.empty()) {
            auto read = co_await read_without_ahead();
            if (!read) failed_ = read.error();
            co_return read;
        }
        while (!state_->ahead.front().outcome) {
            co_await state_->arrived.wait();
        }
        Result<base::Buffer> outcome = std::move(*state_->ahead.front().outcome);
        state_->ahead.pop_front();
        if (!outcome) failed_ = outcome.error();
        co_return outcome;
    }

  private:
    // At the end of the body, or when memory is short.
    Task<Result<base::Buffer>> read_without_ahead() {
        const std::optional<SliceRead> read = state_->cursor.next();
        if (!read) co_return base::Buffer();
        auto outcome = co_await read_slice(state_->service, *read);
        co_return outcome;
    }

    std::shared_ptr<ReadState> state_;
    base::Buffer first_;
    std::optional<Error> failed_;
};

class EmptyReader final : public BodyReader {
  public:
    Task<Result<base::Buffer>> next() override { co_return base::Buffer(); }
};

std::vector<base::BlobId> blobs_of(const std::vector<Extent>& extents) {
    std::vector<base::BlobId> blobs;
    blobs.reserve(extents.size());
    for (const Extent& extent : extents) blobs.push_back(extent.blob);
    return blobs;
}

std::vector<AwayBlob> away_blobs_of(const std::vector<Extent>& extents) {
    std::vector<AwayBlob> blobs;
    for (const Extent& extent : extents) {
        if (!extent.holder.is_zero()) blobs.push_back({extent.holder, extent.blob});
    }
    return blobs;
}

// Fills in what the blob's row says about one extent, and refuses a row that contradicts the part.
Result<void> look_up(const ServiceImpl& service, const meta::View& view, Extent* extent) {
    TRY_ASSIGN(const std::optional<proto::Blob> blob, view.blob(extent->blob));
    if (!blob || blob->slice_bytes() == 0 || blob->size() != extent->blob_size) {
        LOG_ERROR("objects", "blob {} has no usable row", extent->blob.hex());
        return fail(Code::kCorrupt, "the blob of a part has no usable row");
    }
    extent->slice_bytes = blob->slice_bytes();
    TRY_ASSIGN(extent->holder, service.holder_of(*blob));
    return {};
}

}  // namespace

Task<Result<std::unique_ptr<BodyReader>>> ServiceImpl::open(meta::View view,
                                                            std::vector<proto::Part> parts,
                                                            ByteRange range) {
    if (stopping_.load()) co_return fail(Code::kUnavailable, "the node is stopping");
    if (range.length == 0) co_return std::make_unique<EmptyReader>();
    CO_TRY_ASSIGN(std::vector<Extent> extents, map_range(parts, range));
    // Pinned before anything is read; the collector's grace covers the moment since the view.
    auto pins = std::make_shared<const Pins>(pins_, blobs_of(extents));
    for (std::size_t i = 0; i < extents.size(); ++i) {
        CO_TRY(look_up(*this, view, &extents[i]));
        if ((i + 1) % kLookUpsPerTurn == 0) co_await control_->clock.sleep(runtime::Micros(0));
    }
    auto away = std::make_unique<const AwayPins>(away_, away_blobs_of(extents));
    SliceCursor cursor(extents);
    const std::optional<SliceRead> first_read = cursor.next();
    HAMSTER_ASSERT(first_read.has_value());
    Lease lease(budget_);
    const bool is_one_slice = first_read->take == range.length;
    auto room = co_await grow(&lease, is_one_slice ? first_read->slice_size : shards::kSliceBytes);
    CO_TRY(room);
    auto first = co_await read_slice(this, *first_read);
    CO_TRY_ASSIGN(base::Buffer bytes, first);
    auto executor = co_await runtime::asio::this_coro::executor;
    auto state = std::make_shared<ReadState>(this, loop_of(executor), std::move(extents),
                                             std::move(lease), std::move(pins), std::move(away));
    (void)state->cursor.next();  // in hand already
    co_return std::make_unique<Reader>(std::move(state), std::move(bytes));
}

LoopState* ServiceImpl::loop_of(const runtime::Executor& executor) {
    const std::lock_guard lock(loops_mutex_);
    for (LoopState& loop : loops_) {
        if (loop.executor == executor) return &loop;
    }
    return &loops_.emplace_back(executor);  // a deque: addresses stay
}

}  // namespace hamster::objects
