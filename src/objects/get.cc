// Bodies out: range -> extents -> stripes, each fetched by a StripeFetch, a few of them read ahead.
#include <algorithm>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "objects/service_impl.h"
#include "objects/stripe_fetch.h"

namespace hamster::objects {

using runtime::Task;

namespace {

using Pieces = std::vector<base::Buffer>;

// Blobs looked up between two chances for other requests of the loop.
constexpr std::size_t kLookUpsPerTurn = 256;
// Stripes read ahead of the client, the one in hand not counted: of one slice, and of several.
constexpr std::size_t kSlicesAhead = 3;
constexpr std::size_t kStripesAhead = 2;

// What a reader shares with its read-ahead tasks. Lives until the last of them has finished, so a
// reader can be destroyed at any time without waiting; the pins go with it.
struct ReadState {
    ReadState(ServiceImpl* s, LoopState* l, std::vector<Extent> extents, Lease m)
        : service(s), loop(l), cursor(std::move(extents)), lease(std::move(m)) {}

    struct Pending {
        std::uint64_t number = 0;
        std::optional<Result<Pieces>> outcome;
    };
    ServiceImpl* service;
    LoopState* loop;
    StripeCursor cursor;
    Lease lease;
    std::unique_ptr<const Pins> pins;
    std::unique_ptr<const AwayPins> away;
    std::uint64_t stripe_bytes = 0;  // of the largest stripe, what its data slices take
    std::size_t most_ahead = 0;
    std::deque<Pending> ahead;  // in the order of the body
    std::uint64_t started = 0;
    runtime::Signal arrived;
    bool abandoned = false;  // the reader is gone: results are dropped
};

// Of the one slot of a blob that is all on this node, as everything is on a lone one: no need to
// gather anything.
bool is_all_here(const ServiceImpl& service, const BlobMap& blob) {
    if (blob.shape.width() > 1) return false;
    if (blob.places == nullptr) return true;
    const std::vector<base::NodeId> places = service.places_of(blob, base::Slot{0});
    return !places.empty() && service.is_self(places.front());
}

Task<Result<Pieces>> read_stripe(ServiceImpl* service, LoopState* loop, StripeRead read) {
    if (is_all_here(*service, *read.blob)) {
        const shards::ShardId shard{read.blob->id, base::Slot{0}};
        auto slice = co_await service->shards()->read(shard, read.stripe);
        if (slice && slice->size() == read.blob->shape.slice_length(read.stripe)) {
            Pieces pieces;
            pieces.push_back(cut(std::move(*slice), parts_of(read).front()));
            co_return pieces;
        }
    }  // else it is looked for again, and looked at more closely
    const auto fetch = std::make_shared<StripeFetch>(service, loop, std::move(read));
    auto pieces = co_await fetch->run();
    co_return pieces;
}

Task<void> read_ahead(std::shared_ptr<ReadState> state, std::uint64_t number, StripeRead read) {
    auto outcome = co_await read_stripe(state->service, state->loop, std::move(read));
    if (state->abandoned) co_return;
    for (ReadState::Pending& pending : state->ahead) {
        if (pending.number != number) continue;
        pending.outcome.emplace(std::move(outcome));
        break;
    }
    state->arrived.notify_all();
}

// Starts reads until enough stripes are under way, each only while the node has room for it beside
// the stripe in hand, whose memory was leased when the reader was opened.
void top_up(const std::shared_ptr<ReadState>& state) {
    while (state->ahead.size() < state->most_ahead && state->loop->gate.is_open()) {
        const std::uint64_t wanted = (state->ahead.size() + 2) * state->stripe_bytes;
        if (state->cursor.is_at_end() || !state->lease.widen_to(wanted)) break;
        std::optional<StripeRead> read = state->cursor.next();
        const std::uint64_t number = state->started++;
        state->ahead.push_back({number, std::nullopt});
        runtime::spawn(state->loop->executor, state->loop->gate, "read_ahead",
                       read_ahead(state, number, std::move(*read)));
    }
}

class Reader final : public BodyReader {
  public:
    Reader(std::shared_ptr<ReadState> state, Pieces first)
        : state_(std::move(state)), pieces_(std::move(first)) {}
    ~Reader() override { state_->abandoned = true; }

    Task<Result<base::Buffer>> next() override {
        if (failed_) co_return std::unexpected(*failed_);
        top_up(state_);
        if (given_ == pieces_.size()) {
            auto read = co_await next_stripe();
            if (!read) failed_ = read.error();
            CO_TRY_ASSIGN(pieces_, read);
            given_ = 0;
        }
        if (pieces_.empty()) co_return base::Buffer();
        co_return std::move(pieces_[given_++]);
    }

  private:
    // Nothing at the end of the body.
    Task<Result<Pieces>> next_stripe() {
        if (state_->ahead.empty()) {
            auto read = co_await read_without_ahead();
            co_return read;
        }
        while (!state_->ahead.front().outcome) {
            co_await state_->arrived.wait();
        }
        Result<Pieces> outcome = std::move(*state_->ahead.front().outcome);
        state_->ahead.pop_front();
        co_return outcome;
    }
    // At the end of the body, or when memory is short.
    Task<Result<Pieces>> read_without_ahead() {
        std::optional<StripeRead> read = state_->cursor.next();
        if (!read) co_return Pieces();
        auto outcome = co_await read_stripe(state_->service, state_->loop, std::move(*read));
        co_return outcome;
    }

    std::shared_ptr<ReadState> state_;
    Pieces pieces_;          // of the stripe in hand
    std::size_t given_ = 0;  // of them
    std::optional<Error> failed_;
};

class EmptyReader final : public BodyReader {
  public:
    Task<Result<base::Buffer>> next() override { co_return base::Buffer(); }
};

std::vector<base::BlobId> blobs_of(const std::vector<Extent>& extents) {
    std::vector<base::BlobId> blobs;
    blobs.reserve(extents.size());
    for (const Extent& extent : extents) blobs.push_back(extent.blob->id);
    return blobs;
}

// Every other node that may be asked for a shard.
std::vector<AwayBlob> away_blobs_of(const ServiceImpl& service,
                                    const std::vector<Extent>& extents) {
    std::vector<AwayBlob> blobs;
    if (!service.is_shared()) return blobs;
    for (const Extent& extent : extents) {
        for (std::uint32_t i = 0; i < extent.blob->shape.width(); ++i) {
            const base::Slot slot{static_cast<std::uint8_t>(i)};
            for (const base::NodeId& node : service.places_of(*extent.blob, slot)) {
                if (!service.is_self(node)) blobs.push_back({node, extent.blob->id});
            }
        }
    }
    return blobs;
}

// What the rows say about the extents of one range.
class LookUp {
  public:
    LookUp(const meta::View* view, bool has_others) : view_(view), has_others_(has_others) {}

    // Refuses a row that contradicts the part.
    Result<void> fill_in(Extent* extent) {
        TRY_ASSIGN(auto found, view_->find_blob(extent->named));
        if (!found || found->blob.size() != extent->blob_size) {
            LOG_ERROR("objects", "blob {} has no usable row", extent->named.hex());
            return fail(Code::kCorrupt, "the blob of a part has no usable row");
        }
        auto blob = std::make_shared<BlobMap>();
        blob->id = found->id;
        TRY_ASSIGN(blob->shape, shape_of(found->blob));
        if (has_others_) {
            TRY_ASSIGN(blob->places, places_of(base::partition_of(found->id)));
        }
        blob->row = std::move(found->blob);
        extent->blob = std::move(blob);
        return {};
    }

  private:
    using PlacesPtr = std::shared_ptr<const meta::PartitionPlaces>;

    Result<PlacesPtr> places_of(std::uint16_t partition) {
        PlacesPtr& known = places_[partition];
        if (known) return known;
        TRY_ASSIGN(auto places, view_->places(partition));
        known = std::make_shared<const meta::PartitionPlaces>(std::move(places));
        return known;
    }

    const meta::View* view_;
    const bool has_others_;
    std::map<std::uint16_t, PlacesPtr> places_;
};

// Memory of the data slices that a read touches, whole.
std::uint64_t memory_of(const StripeRead& read) {
    return parts_of(read).size() * std::uint64_t{read.blob->shape.slice_length(read.stripe)};
}

std::uint64_t largest_stripe(const std::vector<Extent>& extents) {
    std::uint64_t largest = 0;
    for (const Extent& extent : extents) {
        const Shape& shape = extent.blob->shape;
        largest = std::max(largest, shape.k() * std::uint64_t{shape.slice_length(0)});
    }
    return largest;
}

}  // namespace

std::vector<base::NodeId> ServiceImpl::places_of(const BlobMap& blob, base::Slot slot) const {
    if (blob.places) return meta::places_of(blob.row, *blob.places, slot, options_.founder);
    if (meta::is_missing(blob.row, slot)) return {};
    return {options_.self};
}

Task<Result<std::unique_ptr<BodyReader>>> ServiceImpl::open(meta::View view,
                                                            std::vector<proto::Part> parts,
                                                            ByteRange range) {
    if (stopping_.load()) co_return fail(Code::kUnavailable, "the node is stopping");
    if (range.length == 0) co_return std::make_unique<EmptyReader>();
    CO_TRY_ASSIGN(std::vector<Extent> extents, map_range(parts, range));
    LookUp look_up(&view, is_shared());
    for (std::size_t i = 0; i < extents.size(); ++i) {
        CO_TRY(look_up.fill_in(&extents[i]));
        if ((i + 1) % kLookUpsPerTurn == 0) co_await control_->clock.sleep(runtime::Micros(0));
    }
    auto opened = co_await open_extents(std::move(extents));
    co_return opened;
}

// Of blobs that have been looked up, at least one.
Task<Result<std::unique_ptr<BodyReader>>> ServiceImpl::open_extents(std::vector<Extent> extents) {
    const auto wanted = [](std::uint64_t sum, const Extent& extent) { return sum + extent.length; };
    const std::uint64_t length =
        std::accumulate(extents.begin(), extents.end(), std::uint64_t{0}, wanted);
    auto executor = co_await runtime::asio::this_coro::executor;
    auto state = std::make_shared<ReadState>(this, loop_of(executor), extents, Lease(budget_));
    // Pinned before anything is read; the collector's grace covers the time since the view.
    state->pins = std::make_unique<const Pins>(pins_, blobs_of(extents));
    std::vector<AwayBlob> away = away_blobs_of(*this, extents);
    if (!away.empty()) state->away = std::make_unique<const AwayPins>(away_, std::move(away));
    state->stripe_bytes = largest_stripe(extents);
    state->most_ahead = state->stripe_bytes <= shards::kSliceBytes ? kSlicesAhead : kStripesAhead;
    std::optional<StripeRead> read = state->cursor.next();
    HAMSTER_ASSERT(read.has_value());
    const bool is_all = read->take == length;
    auto room = co_await grow(&state->lease, is_all ? memory_of(*read) : state->stripe_bytes);
    CO_TRY(room);
    auto first = co_await read_stripe(this, state->loop, std::move(*read));
    CO_TRY_ASSIGN(Pieces pieces, first);
    co_return std::make_unique<Reader>(std::move(state), std::move(pieces));
}

std::unique_ptr<Watch> ServiceImpl::watch(LoopState* loop, Watched* watched) {
    auto watch = std::make_unique<Watch>(loop->watched, watched);
    if (!loop->watched->has_ticker && loop->gate.is_open()) {
        loop->watched->has_ticker = true;
        runtime::spawn(loop->executor, loop->gate, "ticker", tick(loop));
    }
    return watch;
}

Task<void> ServiceImpl::tick(LoopState* loop) {
    const std::shared_ptr<WatchList> list = loop->watched;
    while (!list->empty()) {
        co_await control_->clock.sleep(kTick);
        list->tick(now());
    }
    list->has_ticker = false;
}

LoopState* ServiceImpl::loop_of(const runtime::Executor& executor) {
    const std::lock_guard lock(loops_mutex_);
    for (LoopState& loop : loops_) {
        if (loop.executor == executor) return &loop;
    }
    return &loops_.emplace_back(executor);  // a deque: addresses stay
}

}  // namespace hamster::objects
