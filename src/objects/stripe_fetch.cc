#include "objects/stripe_fetch.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Task;

namespace {

// Whether the shard itself is at fault, not the way to it.
bool is_about_the_slice(const Error& error) {
    return error.code == Code::kNotFound || error.code == Code::kCorrupt || error.code == Code::kIo;
}

}  // namespace

base::Buffer cut(base::Buffer slice, SlicePart part) {
    HAMSTER_ASSERT(std::size_t{part.skip} + part.take <= slice.size(), part.skip, part.take);
    const bool is_last = slice.size() < shards::kSliceBytes;
    if (base::planted(base::Bug::kLastSliceShort) && is_last && part.skip > 0) --part.skip;
    if (part.skip > 0) std::memmove(slice.data(), slice.data() + part.skip, part.take);
    slice.resize(part.take);
    return slice;
}

StripeFetch::StripeFetch(ServiceImpl* service, LoopState* loop, StripeRead read)
    : service_(service),
      loop_(loop),
      read_(std::move(read)),
      length_(read_.blob->shape.slice_length(read_.stripe)),
      pieces_(objects::parts_of(read_)),
      parts_(read_.blob->shape.width()),
      scratch_(service->rebuild_budget()) {}

// Those that are up first.
std::vector<base::NodeId> StripeFetch::places_of(std::uint32_t slot) const {
    const base::Slot number{static_cast<std::uint8_t>(slot)};
    const std::vector<base::NodeId> all = service_->places_of(*read_.blob, number);
    if (all.size() < 2) return all;
    std::vector<base::NodeId> places;
    for (const bool wanted : {true, false}) {
        std::ranges::copy_if(all, std::back_inserter(places), [this, wanted](const auto& node) {
            return service_->is_up(node) == wanted;
        });
    }
    return places;
}

bool StripeFetch::is_likely(std::uint32_t slot) const {
    const std::vector<base::NodeId> places = places_of(slot);
    return !places.empty() && service_->is_up(places.front());
}

// Of copies.
std::optional<std::uint32_t> StripeFetch::nearest() const {
    std::optional<std::uint32_t> likely;
    for (std::uint32_t slot = 0; slot < parts_.size(); ++slot) {
        const std::vector<base::NodeId> places = places_of(slot);
        if (places.empty()) continue;
        if (service_->is_self(places.front())) return slot;
        if (!likely && service_->is_up(places.front())) likely = slot;
    }
    return likely;
}

void StripeFetch::start() {
    for (std::uint32_t slot = 0; slot < parts_.size(); ++slot) {
        if (!places_of(slot).empty()) continue;
        parts_[slot].state = State::kFailed;
        parts_[slot].error = Error{Code::kNotFound, "the slot has no shard"};
    }
    if (read_.blob->shape.k() == 1) {
        wanted_.push_back(nearest().value_or(0));
    } else {
        for (const SlicePart& piece : pieces_) wanted_.push_back(piece.slot.value);
    }
    for (const std::uint32_t slot : wanted_) {
        if (parts_[slot].state == State::kUntried && is_likely(slot)) ask(slot);
    }
    watch_ = service_->watch(loop_, this);
}

std::uint32_t StripeFetch::count(State state) const {
    return static_cast<std::uint32_t>(std::ranges::count(parts_, state, &Part::state));
}

bool StripeFetch::is_complete() const {
    const auto is_here = [this](std::uint32_t slot) { return parts_[slot].state == State::kHere; };
    return std::ranges::all_of(wanted_, is_here) || count(State::kHere) >= read_.blob->shape.k();
}

// Whether a wanted slice is not coming as it should.
bool StripeFetch::needs_others() const {
    return std::ranges::any_of(wanted_, [this](std::uint32_t slot) {
        const State state = parts_[slot].state;
        return state != State::kHere && state != State::kAsked;
    });
}

// Low slots first, that is data before parity, and whoever seems to be up before all others.
std::optional<std::uint32_t> StripeFetch::next_untried() const {
    std::optional<std::uint32_t> unlikely;
    for (std::uint32_t slot = 0; slot < parts_.size(); ++slot) {
        if (parts_[slot].state != State::kUntried) continue;
        if (is_likely(slot)) return slot;
        if (!unlikely) unlikely = slot;
    }
    return unlikely;
}

void StripeFetch::ask_others() {
    while (count(State::kHere) + count(State::kAsked) < read_.blob->shape.k()) {
        const auto slot = next_untried();
        if (!slot) return;
        if (count(State::kSlow) > 0) service_->counters().hedged_reads.add();
        ask(*slot);
    }
}

void StripeFetch::ask(std::uint32_t slot) {
    Part& part = parts_[slot];
    HAMSTER_ASSERT(part.state == State::kUntried, slot);
    if (!loop_->gate.is_open()) {
        part.state = State::kFailed;
        part.error = Error{Code::kUnavailable, "the node is stopping"};
        return;
    }
    part.state = State::kAsked;
    part.asked_at = service_->now();
    runtime::spawn(loop_->executor, loop_->gate, "slice", fetch(shared_from_this(), slot));
}

Task<Result<base::Buffer>> StripeFetch::fetch_from(base::NodeId node, std::uint32_t slot) {
    const shards::ShardId shard{read_.blob->id, base::Slot{static_cast<std::uint8_t>(slot)}};
    if (!service_->is_self(node)) {
        auto away = co_await service_->read_away(node, {shard, read_.stripe}, length_);
        co_return away;
    }
    auto here = co_await service_->shards()->read(shard, read_.stripe);
    if (here && here->size() != length_) {
        here = fail(Code::kCorrupt, "a slice does not have the length its blob says");
    }
    if (!here) service_->note_suspect(shard);
    co_return here;
}

Task<void> StripeFetch::fetch(std::shared_ptr<StripeFetch> self, std::uint32_t slot) {
    Result<base::Buffer> slice = fail(Code::kNotFound, "the slot has no shard");
    const std::vector<base::NodeId> places = self->places_of(slot);
    for (const base::NodeId& node : places) {
        auto got = co_await self->fetch_from(node, slot);
        if (self->is_over_) co_return;
        // That it may be somewhere is worth more than that it is not here.
        const bool is_news = got || is_about_the_slice(slice.error());
        if (is_news) slice = std::move(got);
        if (slice) break;
    }
    Part& part = self->parts_[slot];
    if (slice) {
        part.state = State::kHere;
        part.slice = std::move(*slice);
    } else {
        part.state = State::kFailed;
        part.error = std::move(slice).error();
    }
    self->changed_.notify_all();
}

void StripeFetch::on_tick(runtime::Time now) {
    for (Part& part : parts_) {
        if (part.state != State::kAsked || now - part.asked_at < kHedgeAfter) continue;
        part.state = State::kSlow;
        changed_.notify_all();
    }
}

Task<Result<void>> StripeFetch::gather() {
    start();
    while (!is_complete()) {
        Result<void> room;
        if (needs_others()) {
            const std::uint64_t bytes = read_.blob->shape.k() * std::uint64_t{length_};
            room = co_await service_->grow(&scratch_, bytes);
            if (room && !is_complete()) ask_others();
            if (is_complete()) break;  // a slice of this node may have come at once
        }
        if (count(State::kAsked) + count(State::kSlow) == 0) {
            CO_TRY(room);
            co_return std::unexpected(failure());
        }
        co_await changed_.wait();
    }
    co_return Result<void>{};
}

// Nothing can take the place of an only slice: no task of its own for it, and nobody looks at the
// clock.
Task<Result<void>> StripeFetch::fetch_only() {
    wanted_.push_back(0);
    co_await fetch(shared_from_this(), 0);
    if (parts_[0].state != State::kHere) co_return std::unexpected(failure());
    co_return Result<void>{};
}

Error StripeFetch::failure() const {
    std::string why;
    Code code = Code::kCorrupt;
    for (const Part& part : parts_) {
        if (!part.error) continue;
        if (!is_about_the_slice(*part.error)) code = Code::kUnavailable;
        if (part.error->context != why) why += (why.empty() ? "" : "; ") + part.error->context;
    }
    if (parts_.size() == 1 && parts_[0].error->code == Code::kIo) code = Code::kIo;
    if (code == Code::kCorrupt) {
        service_->counters().missing_slices.add();
        LOG_ERROR("objects", "stripe {} of blob {} cannot be read: {}", read_.stripe,
                  read_.blob->id.hex(), why);
    }
    return {code, "too few slices of a stripe can be read: " + why};
}

// Wanted slices that are there stay as they are.
Result<void> StripeFetch::rebuild() {
    const erasure::Profile profile = read_.blob->shape.geometry.profile;
    std::vector<base::Buffer> slices(parts_.size());
    erasure::Slots wanted;
    for (const std::uint32_t slot : wanted_) {
        wanted.add(slot);
        if (parts_[slot].state != State::kHere) service_->counters().rebuilt_slices.add();
    }
    for (std::uint32_t slot = 0; slot < parts_.size(); ++slot) {
        if (parts_[slot].state == State::kHere) slices[slot] = std::move(parts_[slot].slice);
    }
    TRY(erasure::rebuild(erasure::Codec(profile), wanted, length_, &slices));
    for (const std::uint32_t slot : wanted_) parts_[slot].slice = std::move(slices[slot]);
    return {};
}

std::vector<base::Buffer> StripeFetch::take_pieces() {
    std::vector<base::Buffer> out;
    out.reserve(pieces_.size());
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
        out.push_back(cut(std::move(parts_[wanted_[i]].slice), pieces_[i]));
    }
    return out;
}

Task<Result<std::vector<base::Buffer>>> StripeFetch::run() {
    auto gathered = parts_.size() == 1 ? fetch_only() : gather();
    auto done = co_await std::move(gathered);
    is_over_ = true;
    watch_.reset();
    CO_TRY(done);
    const auto is_here = [this](std::uint32_t slot) { return parts_[slot].state == State::kHere; };
    if (read_.blob->shape.k() == 1) {  // any copy will do
        const auto copy = std::ranges::find(parts_, State::kHere, &Part::state);
        wanted_.front() = static_cast<std::uint32_t>(copy - parts_.begin());
    } else if (!std::ranges::all_of(wanted_, is_here)) {
        CO_TRY(rebuild());
    }
    co_return take_pieces();
}

}  // namespace hamster::objects
