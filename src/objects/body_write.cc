#include "objects/body_write.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "objects/exchange.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Task;

namespace {

std::uint64_t expected_shard_bytes(const Target& target, std::uint64_t body_bytes) {
    const erasure::Geometry geometry{target.profile, shards::kSliceBytes};
    const bool is_known = body_bytes > 0 && erasure::is_valid(body_bytes, geometry);
    return is_known ? erasure::shard_bytes(body_bytes, geometry) : 0;
}

}  // namespace

BodyWrite::BodyWrite(ServiceImpl* service, LoopState* loop, Target target,
                     std::uint64_t expected_bytes, Lease lease)
    : service_(service),
      loop_(loop),
      target_(std::move(target)),
      shard_bytes_(expected_shard_bytes(target_, expected_bytes)),
      lease_(std::move(lease)),
      lanes_(target_.nodes.size()) {
    if (target_.profile.k > 1 && target_.profile.m > 0) codec_.emplace(target_.profile);
    for (std::size_t slot = 0; slot < lanes_.size(); ++slot) {
        Lane& lane = lanes_[slot];
        if (!target_.has(slot)) {
            lane.failed = service_->why_left_out(target_.nodes[slot]);
        } else if (service_->is_self(target_.nodes[slot])) {
            const base::Slot number{static_cast<std::uint8_t>(slot)};
            lane.shard = std::make_unique<ShardWrite>(
                service_->shards(), shards::ShardId{target_.blob, number}, shard_bytes_);
        } else {
            lane.is_dropped = std::make_shared<std::atomic<bool>>(false);
        }
    }
    HAMSTER_ASSERT(live_lanes() >= floor_of(target_.profile), live_lanes());
}

// Nobody looks after a single lane that is here: there is no choice but to wait for it.
void BodyWrite::start() {
    const bool is_here = lanes_.size() == 1 && lanes_[0].shard != nullptr;
    if (!is_here) watch_ = service_->watch(loop_, this);
}

std::uint32_t BodyWrite::live_lanes() const {
    return static_cast<std::uint32_t>(std::ranges::count_if(lanes_, &Lane::is_live));
}

bool BodyWrite::has_room() {
    const std::uint64_t stripe = target_.profile.width();
    const std::uint64_t wanted = (held_ + stripe) * shards::kSliceBytes;
    if (wanted <= lease_.bytes()) return true;
    return held_ + stripe <= kStripesInFlight * stripe && lease_.widen_to(wanted);
}

Task<Result<void>> BodyWrite::make_room() {
    while (!has_failed_ && !has_room()) {
        is_waiting_ = true;
        co_await changed_.wait();
        is_waiting_ = false;
    }
    if (has_failed_) co_return std::unexpected(too_few());
    co_return Result<void>{};
}

// For another node the slice is copied into the request; this one gets the slice itself.
BodyWrite::Item BodyWrite::item_for(std::size_t slot, base::Buffer* slice, bool is_last) const {
    if (lanes_[slot].shard) return {std::move(*slice), {}, is_last};
    const base::Slot number{static_cast<std::uint8_t>(slot)};
    SliceWrite write{{{target_.blob, number}, next_stripe_}, 0, is_last};
    if (next_stripe_ == 0) write.shard_bytes = shard_bytes_;
    return {{}, encode_write(write, slice->bytes()), is_last};
}

void BodyWrite::add(std::vector<base::Buffer> data, bool is_last) {
    HAMSTER_ASSERT(data.size() == target_.profile.k, data.size());
    if (codec_) data = erasure::with_parity(*codec_, std::move(data));
    const bool are_copies = target_.profile.k == 1;
    for (const bool is_here : {false, true}) {  // this node last: it takes what others copied
        for (std::size_t slot = 0; slot < lanes_.size(); ++slot) {
            const Lane& lane = lanes_[slot];
            if (!lane.is_live() || (lane.shard != nullptr) != is_here) continue;
            base::Buffer& slice = data[are_copies ? 0 : slot];
            push(slot, item_for(slot, &slice, is_last));
            if (!are_copies) slice = base::Buffer();
        }
    }
    ++next_stripe_;
}

void BodyWrite::add_end() {
    HAMSTER_ASSERT(next_stripe_ > 0);
    for (std::size_t slot = 0; slot < lanes_.size(); ++slot) {
        base::Buffer nothing;
        if (lanes_[slot].is_live()) push(slot, item_for(slot, &nothing, true));
    }
}

void BodyWrite::push(std::size_t slot, Item item) {
    Lane& lane = lanes_[slot];
    if (lane.is_idle()) lane.moved_at = service_->now();
    lane.queue.push_back(std::move(item));
    lane.is_begun = true;
    ++held_;
    // The last slice of an only lane is sent by the task that waits for it anyway: finish().
    const bool is_alone = lanes_.size() == 1 && lane.queue.back().is_last;
    if (!is_alone || lane.workers > 0) pump(slot);
}

void BodyWrite::pump(std::size_t slot) {
    Lane& lane = lanes_[slot];
    const std::size_t most = lane.shard || !lane.is_open ? 1 : kLaneWindow;
    while (lane.workers < most && !lane.queue.empty()) {
        if (!loop_->gate.is_open()) {
            drop(slot, {Code::kUnavailable, "the node is stopping"});
            return;
        }
        ++lane.workers;
        runtime::spawn(loop_->executor, loop_->gate, "body lane", work(shared_from_this(), slot));
    }
}

// Sends what the lane has, one after the other. `self` keeps the lane alive.
Task<void> BodyWrite::work(std::shared_ptr<BodyWrite> self, std::size_t slot) {
    Lane& lane = self->lanes_[slot];
    while (!lane.queue.empty()) {
        Item item = std::move(lane.queue.front());
        lane.queue.erase(lane.queue.begin());
        const bool is_last = item.is_last;
        ++lane.in_flight;
        auto sent = co_await self->send(slot, std::move(item));
        --lane.in_flight;
        --self->held_;
        lane.moved_at = self->service_->now();
        if (!sent) {
            self->drop(slot, std::move(sent).error());
        } else if (is_last && lane.is_live()) {
            lane.is_done = true;
        } else if (!std::exchange(lane.is_open, true)) {
            self->pump(slot);
        }
        self->changed_.notify_all();
    }
    --lane.workers;
}

Task<Result<void>> BodyWrite::send(std::size_t slot, Item item) {
    Lane& lane = lanes_[slot];
    if (lane.shard) {
        auto added = co_await lane.shard->add(std::move(item.slice), item.is_last);
        co_return added;
    }
    const std::size_t weight = item.payload.size();
    auto answer = co_await service_->ask(target_.nodes[slot], RemoteMethod::kPutSlice,
                                         std::move(item.payload), weight, lane.is_dropped);
    CO_TRY(answer);
    co_return Result<void>{};
}

void BodyWrite::drop(std::size_t slot, Error error) {
    Lane& lane = lanes_[slot];
    if (!lane.is_live()) return;
    service_->counters().dropped_holders.add();
    LOG_WARN("objects", "blob {} goes on without slot {} on node {}: {}", target_.blob.hex(), slot,
             target_.nodes[slot].hex(), error.context);
    service_->note_failure(target_.nodes[slot], error.code);
    lane.failed = std::move(error);
    if (lane.is_dropped) *lane.is_dropped = true;
    held_ -= lane.queue.size();
    lane.queue.clear();
    if (lane.shard && lane.in_flight == 0) lane.shard->abandon();
    const std::uint32_t floor =
        base::planted(base::Bug::kAckBelowFloor) ? target_.profile.k : floor_of(target_.profile);
    has_failed_ = has_failed_ || live_lanes() < floor;
    changed_.notify_all();
}

Error BodyWrite::too_few() const {
    if (lanes_.size() == 1 && lanes_[0].shard) return *lanes_[0].failed;
    const bool are_full = std::ranges::all_of(lanes_, [](const Lane& lane) {
        return !lane.failed || lane.failed->code == Code::kNoSpace;
    });
    if (are_full) return {Code::kNoSpace, "the disks of too many nodes are full"};
    std::string why = "too few nodes take the body";
    for (std::size_t slot = 0; slot < lanes_.size(); ++slot) {
        if (!lanes_[slot].failed) continue;
        why += "; node " + target_.nodes[slot].hex() + ": " + lanes_[slot].failed->context;
    }
    return {Code::kUnavailable, std::move(why)};
}

Task<Result<std::uint64_t>> BodyWrite::finish() {
    if (lanes_.size() == 1 && lanes_[0].workers == 0 && !lanes_[0].queue.empty()) {
        ++lanes_[0].workers;
        co_await work(shared_from_this(), 0);
    }
    const auto is_settled = [](const Lane& lane) { return lane.failed || lane.is_done; };
    while (!has_failed_ && !std::ranges::all_of(lanes_, is_settled)) {
        is_waiting_ = true;
        co_await changed_.wait();
        is_waiting_ = false;
    }
    watch_.reset();
    if (has_failed_) co_return std::unexpected(too_few());
    std::uint64_t missing = 0;
    for (std::size_t slot = 0; slot < lanes_.size(); ++slot) {
        if (lanes_[slot].failed) missing |= 1ULL << slot;
    }
    co_return missing;
}

// Enough others are where this lane should be, and the body waits for nothing else.
void BodyWrite::on_tick(runtime::Time now) {
    keep_writes(now);
    if (!is_waiting_) return;
    const auto is_ahead = [](const Lane& lane) { return lane.is_live() && lane.is_idle(); };
    if (std::ranges::count_if(lanes_, is_ahead) < floor_of(target_.profile)) return;
    for (std::size_t slot = 0; slot < lanes_.size(); ++slot) {
        const Lane& lane = lanes_[slot];
        if (!lane.is_live() || lane.is_idle() || now - lane.moved_at < kStall) continue;
        drop(slot, {Code::kTimeout, "it takes nothing, and the others have to wait"});
    }
}

// Slices leave when a whole stripe is there, and clients may be slow.
void BodyWrite::keep_writes(runtime::Time now) {
    for (std::size_t slot = 0; slot < lanes_.size(); ++slot) {
        Lane& lane = lanes_[slot];
        const bool is_elsewhere = lane.is_live() && lane.shard == nullptr;
        if (!is_elsewhere || !lane.is_open || lane.is_done || !lane.is_idle()) continue;
        if (now - std::max(lane.moved_at, lane.kept_at) < kKeepWriteInterval) continue;
        if (!loop_->gate.is_open()) return;
        lane.kept_at = now;
        runtime::spawn(loop_->executor, loop_->gate, "body keep",
                       keep_write(shared_from_this(), slot));
    }
}

Task<void> BodyWrite::keep_write(std::shared_ptr<BodyWrite> self, std::size_t slot) {
    const base::Slot number{static_cast<std::uint8_t>(slot)};
    co_await self->service_->keep_writing_at(self->target_.nodes[slot],
                                             {self->target_.blob, number});
}

void BodyWrite::give_up() {
    watch_.reset();
    has_failed_ = true;
    for (std::size_t slot = 0; slot < lanes_.size(); ++slot) {
        Lane& lane = lanes_[slot];
        if (!lane.failed) lane.failed = Error{Code::kConflict, "the body was given up"};
        if (lane.is_dropped) *lane.is_dropped = true;
        held_ -= lane.queue.size();
        lane.queue.clear();
        if (!lane.is_begun || !loop_->gate.is_open()) continue;
        runtime::spawn(loop_->executor, loop_->gate, "body abandon",
                       abandon(shared_from_this(), slot));
    }
}

// What cannot be said now is found by the node itself: a write that goes silent, or an orphan.
Task<void> BodyWrite::abandon(std::shared_ptr<BodyWrite> self, std::size_t slot) {
    Lane& lane = self->lanes_[slot];
    while (lane.in_flight > 0) {
        co_await self->changed_.wait();
    }
    const base::Slot number{static_cast<std::uint8_t>(slot)};
    const shards::ShardId shard{self->target_.blob, number};
    if (!lane.shard) {
        co_await self->service_->abandon_at(self->target_.nodes[slot], shard);
    } else if (lane.shard->is_finished()) {
        co_await self->service_->remove_here(shard);
    } else {
        lane.shard->abandon();
    }
}

}  // namespace hamster::objects
