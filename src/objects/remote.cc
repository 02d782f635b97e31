// Between nodes: slices fetched from their holder, slices given to other nodes, and what keeps the
// holder from collecting a blob that is read elsewhere.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "objects/exchange.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Task;

namespace {

// Three of them fit into the time for which a holder remembers.
constexpr std::uint64_t kKeepIntervalMs = 20'000;
static_assert(KeptTable::kKept >= std::chrono::milliseconds(3 * kKeepIntervalMs));

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

Task<Result<base::Buffer>> ServiceImpl::read_away(SliceRead read) {
    if (options_.remote == nullptr) {
        co_return explain(read.holder, {Code::kUnavailable, "this node reaches no others"});
    }
    const SliceAddress address{{read.blob, base::Slot{0}}, read.stripe};
    auto answer =
        co_await options_.remote->call(read.holder, RemoteMethod::kReadSlice, encode_read(address));
    if (!answer) {
        counters_.remote_failures.add();
        co_return explain(read.holder, std::move(answer).error());
    }
    const Result<base::Bytes> slice = verify_slice(address, *answer);
    if (!slice) {
        counters_.remote_failures.add();
        LOG_ERROR("objects", "slice {} of blob {} from node {}: {}", read.stripe, read.blob.hex(),
                  read.holder.hex(), slice.error().context);
        co_return explain(read.holder, slice.error());
    }
    counters_.remote_slices.add();
    co_return base::Buffer::copy_of(*slice);
}

Task<Result<std::string>> ServiceImpl::serve(RemoteMethod what, std::string payload) {
    if (stopping_.load()) co_return fail(Code::kUnavailable, "the node is stopping");
    switch (what) {
        case RemoteMethod::kReadSlice: {
            auto slice = co_await serve_slice(std::move(payload));
            co_return slice;
        }
        case RemoteMethod::kKeep:
            co_return serve_keep(payload);
    }
    co_return fail(Code::kUnsupported, "this node does not know what was asked of it");
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
    CO_TRY_ASSIGN(const base::Buffer slice, read);
    counters_.served_slices.add();
    co_return encode_slice(address, slice.bytes());
}

Result<std::string> ServiceImpl::serve_keep(std::string_view payload) {
    TRY_ASSIGN(const std::vector<base::BlobId> blobs, decode_keep(payload));
    kept_->keep(blobs, control_->clock.now());
    return std::string();
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

}  // namespace hamster::objects
