// Between nodes: slices fetched from other nodes, slices given to them and taken from them, and
// what keeps the holders from collecting a blob that is read elsewhere.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/planted.h"
#include "meta/limits.h"
#include "objects/exchange.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Task;

namespace {

// Three of them fit into the time for which a holder remembers.
constexpr std::uint64_t kKeepIntervalMs = 20'000;
static_assert(KeptTable::kKept >= std::chrono::milliseconds(3 * kKeepIntervalMs));
// How often the other members are asked whether they are there. Whoever chooses where a body goes
// shall know of a node that is down before it fails him. One that has lost its slots may still have
// the only copy of something, or be waited for: it is asked as long as it is a member.
constexpr std::uint64_t kProbeIntervalMs = 1'000;
// Until there is a layout to look at: who has just started believes that every node is up.
constexpr std::uint64_t kFirstProbeMs = 50;

// What became of a read elsewhere, for whoever reads here. What the holder says about the slice
// itself is true here as well; whatever else goes wrong means: not now.
std::unexpected<Error> explain(const base::NodeId& holder, Error error) {
    switch (error.code) {
        case Code::kNotFound:
        case Code::kCorrupt:
        case Code::kIo:
            return fail(std::move(error), "node " + holder.hex());
        default:
            return fail(Code::kUnavailable, "the data is on node " + holder.hex() +
                                                ", which does not give it now: " + error.context);
    }
}

Task<Result<std::string>> refuse(Error error) { co_return std::unexpected(std::move(error)); }

}  // namespace

Result<base::NodeId> ServiceImpl::holder_of(const proto::Blob& blob) const {
    if (options_.self.is_zero()) return base::NodeId{};
    base::NodeId holder = options_.founder;
    if (!blob.holder().empty()) {
        const auto named = base::NodeId::from_bytes(blob.holder());
        if (!named) return fail(Code::kCorrupt, "the row of a blob names no node as its holder");
        holder = *named;
    }
    return holder == options_.self ? base::NodeId{} : holder;
}

Task<Result<std::string>> ServiceImpl::ask(base::NodeId node, RemoteMethod what,
                                           std::string payload, std::size_t weight,
                                           Cancelled cancelled) {
    auto task = ask_here(node, what, std::move(payload), weight, std::move(cancelled));
    return runtime::run_on(control_->executor, std::move(task));
}

// First come, first served: requests of one body reach the other node in the order they were made.
Task<Result<std::string>> ServiceImpl::ask_here(base::NodeId node, RemoteMethod what,
                                                std::string payload, std::size_t weight,
                                                Cancelled cancelled) {
    if (options_.remote == nullptr) {
        co_return fail(Code::kUnavailable, "this node reaches no others");
    }
    runtime::Semaphore& window = windows_.try_emplace({node, what}, kWindowBytes).first->second;
    weight = std::clamp(weight, kLeastRequest, kWindowBytes);
    co_await window.acquire(weight);
    Result<std::string> answer = fail(Code::kUnavailable, "nobody waits for it any more");
    if (!cancelled || !cancelled->load()) {
        answer = co_await options_.remote->call(node, what, std::move(payload));
    }
    window.release(weight);
    co_return answer;
}

Task<Result<base::Buffer>> ServiceImpl::read_away(base::NodeId node, SliceAddress address,
                                                  std::uint32_t length) {
    auto answer =
        co_await ask(node, RemoteMethod::kReadSlice, encode_read(address), length, nullptr);
    if (!answer) {
        counters_.remote_failures.add();
        co_return explain(node, std::move(answer).error());
    }
    Result<base::Bytes> slice = verify_slice(address, *answer);
    if (slice && slice->size() != length) {
        slice = fail(Code::kCorrupt, "a slice does not have the length its blob says");
    }
    if (!slice) {
        counters_.remote_failures.add();
        LOG_ERROR("objects", "blob {} slot {} stripe {} from node {}: {}", address.shard.blob.hex(),
                  address.shard.slot.value, address.stripe, node.hex(), slice.error().context);
        co_return explain(node, slice.error());
    }
    counters_.remote_slices.add();
    co_return base::Buffer::copy_of(*slice);
}

Task<Result<std::string>> ServiceImpl::serve(base::NodeId from, RemoteMethod what,
                                             std::string payload) {
    if (stopping_.load()) return refuse({Code::kUnavailable, "the node is stopping"});
    switch (what) {
        case RemoteMethod::kReadSlice:
            return serve_slice(std::move(payload));
        case RemoteMethod::kKeep:
            return serve_keep(std::move(payload));
        case RemoteMethod::kPutSlice:
            return serve_put(from, std::move(payload));
        case RemoteMethod::kAbandon:
            return serve_abandon(from, std::move(payload));
        case RemoteMethod::kPull:
            return serve_pull(std::move(payload));
        case RemoteMethod::kRemove:
            return serve_remove(std::move(payload));
        case RemoteMethod::kKeepWriting:
            return serve_keep_writing(from, std::move(payload));
    }
    return refuse({Code::kUnsupported, "this node does not know what was asked of it"});
}

Task<Result<std::string>> ServiceImpl::serve_slice(std::string payload) {
    CO_TRY_ASSIGN(const SliceAddress address, decode_read(payload));
    std::vector<base::BlobId> blobs;
    blobs.push_back(address.shard.blob);
    kept_->keep(blobs, control_->clock.now());
    Lease lease(served_budget_);
    auto room = co_await grow(&lease, 2ULL * shards::kSliceBytes);  // as read, and as answered
    CO_TRY(room);
    auto read = co_await shards_->read(address.shard, address.stripe);
    for (std::uint8_t i = 0; i < meta::kMaxSlots && !read; ++i) {
        if (!base::planted(base::Bug::kReadWrongSlot)) break;
        const shards::ShardId other{address.shard.blob, base::Slot{i}};
        read = co_await shards_->read(other, address.stripe);
    }
    if (!read) note_suspect(address.shard);
    CO_TRY_ASSIGN(const base::Buffer slice, read);
    counters_.served_slices.add();
    co_return encode_slice(address, slice.bytes());
}

Task<Result<std::string>> ServiceImpl::serve_keep(std::string payload) {
    CO_TRY_ASSIGN(const std::vector<base::BlobId> blobs, decode_keep(payload));
    kept_->keep(blobs, control_->clock.now());
    co_return std::string();
}

Task<Result<std::string>> ServiceImpl::serve_put(base::NodeId from, std::string payload) {
    CO_TRY_ASSIGN(VerifiedWrite put, decode_write(payload));
    payload = std::string();
    auto taken = co_await runtime::run_on(control_->executor, incoming_.put(from, std::move(put)));
    CO_TRY(taken);
    co_return std::string();
}

Task<Result<std::string>> ServiceImpl::serve_abandon(base::NodeId from, std::string payload) {
    CO_TRY_ASSIGN(const shards::ShardId shard, decode_abandon(payload));
    auto abandoned = co_await runtime::run_on(control_->executor, abandon_here(from, shard));
    CO_TRY(abandoned);
    co_return std::string();
}

Task<Result<std::string>> ServiceImpl::serve_keep_writing(base::NodeId from, std::string payload) {
    CO_TRY_ASSIGN(const shards::ShardId shard, decode_abandon(payload));
    const bool is_there = co_await runtime::run_on(control_->executor, keep_here(from, shard));
    if (!is_there) co_return fail(Code::kConflict, "the shard is not being written");
    co_return std::string();
}

Task<bool> ServiceImpl::keep_here(base::NodeId from, shards::ShardId shard) {
    co_return incoming_.keep(from, shard);
}

// A shard that is whole goes only if no metadata names it: whoever asks may be confused.
Task<Result<void>> ServiceImpl::abandon_here(base::NodeId from, shards::ShardId shard) {
    if (incoming_.abandon(from, shard)) co_return Result<void>{};
    CO_TRY_ASSIGN(const auto found, shards_->find(shard));
    if (!found) co_return Result<void>{};
    auto viewed = co_await router_->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const bool is_known, view.knows_blob(shard.blob));
    if (is_known) co_return fail(Code::kConflict, "the blob was committed");
    std::vector<shards::ShardId> ids;
    ids.push_back(shard);
    auto removed = co_await shards_->remove(std::move(ids));
    co_return removed;
}

// All holders at once: one that is out of reach does not hold the others up.
Task<void> ServiceImpl::keep_loop() {
    while (true) {
        const bool go_on = co_await pause(kKeepIntervalMs);
        if (!go_on) co_return;
        std::vector<Task<bool>> calls;
        for (auto holder = away_->next_holder(std::nullopt); holder;
             holder = away_->next_holder(holder)) {
            calls.push_back(keep_at(*holder));
        }
        co_await runtime::when_all(std::move(calls));
    }
}

// Tells a holder what is being read here of what it has. False when it did not hear all of it; the
// next round repeats it.
Task<bool> ServiceImpl::keep_at(base::NodeId holder) {
    std::optional<base::BlobId> after;
    while (!stopping_.load()) {
        const auto blobs = away_->blobs_of(holder, after, kMaxKeptBlobs);
        if (blobs.empty()) co_return true;
        auto kept = co_await options_.remote->call(holder, RemoteMethod::kKeep, encode_keep(blobs));
        if (!kept) {
            LOG_WARN("objects", "node {} does not hear what is read here: {}", holder.hex(),
                     kept.error().context);
            co_return false;
        }
        after = blobs.back();
    }
    co_return false;
}

// What is heard of a node is remembered by whoever carries the request: Remote::is_up(). One that
// does not answer is not waited for.
Task<void> ServiceImpl::probe_loop() {
    for (bool has_begun = false;;) {
        const bool go_on = co_await pause(has_begun ? kProbeIntervalMs : kFirstProbeMs);
        if (!go_on) co_return;
        incoming_.sweep();
        if (!is_shared()) continue;
        auto read = co_await layout_table();
        const auto table = read ? *read : layout_.table();
        // Before there is a layout nobody chooses nodes; a probe that failed would only put off the
        // next dial, which a read may need.
        if (!table || table->version() == 0) continue;
        has_begun = true;
        for (const base::NodeId& node : options_.remote->others()) {
            if (!gate_.is_open() || !probed_.insert(node).second) continue;
            runtime::spawn(control_->executor, gate_, "probe", probe(node));
        }
    }
}

Task<void> ServiceImpl::probe(base::NodeId node) {
    auto answer = co_await options_.remote->call(node, RemoteMethod::kKeep, encode_keep({}));
    (void)answer;
    probed_.erase(node);
}

}  // namespace hamster::objects
