#include "objects/incoming.h"

#include <vector>

#include "base/assert.h"
#include "base/log.h"

namespace hamster::objects {

using runtime::Task;

Result<IncomingWrites::WritePtr> IncomingWrites::find_or_open(const Key& key,
                                                              const VerifiedWrite& put) {
    const auto found = writes_.find(key);
    const std::uint32_t stripe = put.write.address.stripe;
    if (stripe > 0) {
        if (found != writes_.end()) return found->second;
        return fail(Code::kConflict, "the shard is not being written, or was given up");
    }
    if (found != writes_.end()) return fail(Code::kConflict, "the shard is being written already");
    if (put.slice.empty()) return fail(Code::kInvalid, "a shard without slices");
    if (writes_.size() >= kMaxWrites) {
        return fail(Code::kUnavailable, "too many shards are being written here");
    }
    auto write = std::make_shared<Write>(store_, key.second, put.write.shard_bytes);
    writes_.emplace(key, write);
    return write;
}

// Slices may overtake each other when a connection breaks.
Task<Result<void>> IncomingWrites::wait_turn(WritePtr write, std::uint32_t stripe) {
    if (stripe > write->next + kMaxAhead) co_return fail(Code::kConflict, "a slice is missing");
    ++write->waiting;
    while (!write->is_over && stripe >= write->next && (write->is_busy || stripe > write->next)) {
        co_await write->changed.wait();
    }
    --write->waiting;
    if (write->is_over) co_return fail(Code::kConflict, "the shard was given up");
    if (stripe < write->next) co_return fail(Code::kConflict, "the slice was written before");
    co_return Result<void>{};
}

void IncomingWrites::end(const Key& key, Write& write) {
    write.is_over = true;
    writes_.erase(key);
    write.changed.notify_all();
}

Task<Result<void>> IncomingWrites::put(base::NodeId from, VerifiedWrite put) {
    const Key key{from, put.write.address.shard};
    CO_TRY_ASSIGN(const WritePtr write, find_or_open(key, put));
    write->touched = control_->clock.now();
    auto turn = co_await wait_turn(write, put.write.address.stripe);
    CO_TRY(turn);
    write->is_busy = true;
    const std::size_t bytes = put.slice.size();
    co_await room_.acquire(bytes);
    base::Buffer slice = base::Buffer::copy_of(base::as_bytes(put.slice));
    put.slice = std::string();
    auto added = co_await write->shard.add(std::move(slice), put.write.is_last);
    room_.release(bytes);
    write->is_busy = false;
    ++write->next;
    write->touched = control_->clock.now();
    if (write->is_over) {  // given up meanwhile
        if (write->shard.is_finished()) {
            std::vector<shards::ShardId> ids{key.second};
            auto removed = co_await store_->remove(std::move(ids));
            CO_TRY(removed);
        }
        co_return fail(Code::kConflict, "the shard was given up");
    }
    if (!added || put.write.is_last) end(key, *write);
    write->changed.notify_all();
    co_return added;
}

bool IncomingWrites::abandon(base::NodeId from, shards::ShardId shard) {
    const auto found = writes_.find({from, shard});
    if (found == writes_.end()) return false;
    const WritePtr write = found->second;
    end(found->first, *write);
    return true;
}

bool IncomingWrites::keep(base::NodeId from, shards::ShardId shard) {
    const auto found = writes_.find({from, shard});
    if (found == writes_.end()) return false;
    found->second->touched = control_->clock.now();
    return true;
}

void IncomingWrites::sweep() {
    const runtime::Time now = control_->clock.now();
    for (auto at = writes_.begin(); at != writes_.end();) {
        const auto [key, write] = *at++;
        const runtime::Micros limit = write->waiting > 0 ? kGap : kIdle;
        if (write->is_busy || now - write->touched < limit) continue;
        LOG_INFO("objects",
                 "the write of blob {} slot {} by node {} was given up: no slice for too long",
                 key.second.blob.hex(), key.second.slot.value, key.first.hex());
        end(key, *write);
    }
}

void IncomingWrites::stop() {
    while (!writes_.empty()) {
        const auto [key, write] = *writes_.begin();
        end(key, *write);
    }
}

}  // namespace hamster::objects
