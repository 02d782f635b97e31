// Bodies in. Small ones are one slice under a shared sync; longer ones stream slice by slice: while
// the shard writer makes slices durable, the next one is read from the client.
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/log.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Task;

namespace {

// Reads until the buffer is full or the body has ended and been verified; true in that case.
Task<Result<bool>> fill(BodySource* source, base::Buffer* buffer) {
    while (buffer->size() < buffer->capacity()) {
        const base::MutableBytes room = buffer->spare();
        auto got = co_await source->read(room);
        CO_TRY_ASSIGN(const std::size_t n, got);
        HAMSTER_ASSERT(n <= room.size(), n, room.size());
        if (n == 0) co_return true;
        buffer->resize(buffer->size() + n);
    }
    co_return false;
}

// Room for the announced length and one block more, so that a small body and its end fit.
std::size_t first_capacity(std::optional<std::uint64_t> size_hint) {
    if (!size_hint || *size_hint > kSmallBlobBytes) return shards::kSliceBytes;
    return base::round_up(*size_hint + 1, base::kBlock);
}

base::Buffer enlarged(const base::Buffer& small) {
    base::Buffer large(shards::kSliceBytes);
    large.append(small.bytes());
    return large;
}

}  // namespace

base::BlobId ServiceImpl::mint_blob_id() {
    const std::uint64_t number = minted_.fetch_add(1, std::memory_order_relaxed);
    std::array<std::byte, 8> counter{};
    base::store_le64(counter.data(), number);
    const base::Hash128 hash = base::xxh3_128(seed_, counter);
    base::BlobId id;
    base::store_le64(id.raw.data(), hash.low);
    base::store_le64(id.raw.data() + 8, hash.high);
    return id;
}

StoredBody ServiceImpl::describe(const base::BlobId& blob, std::uint64_t size,
                                 std::uint64_t sealed_ms) const {
    HAMSTER_ASSERT(size > 0);
    proto::NewBlob named;
    named.set_blob_id(std::string(blob.view()));
    named.mutable_geometry()->set_size(size);
    named.mutable_geometry()->set_k(1);
    named.mutable_geometry()->set_m(0);
    named.mutable_geometry()->set_slice_bytes(shards::kSliceBytes);
    if (!options_.self.is_zero()) {
        named.mutable_geometry()->set_holder(std::string(options_.self.view()));
    }
    named.set_sealed_ms(sealed_ms);
    return {size, std::move(named)};
}

Task<Result<StoredBody>> ServiceImpl::store(BodySource* source,
                                            std::optional<std::uint64_t> size_hint) {
    if (stopping_.load()) co_return fail(Code::kUnavailable, "the node is stopping");
    // Refused before the body is read: the client keeps its bandwidth, the disk its reserve.
    if (is_full() && size_hint != 0U) co_return fail(Code::kNoSpace, "the disk is full");
    Lease lease(budget_);
    const std::size_t capacity = first_capacity(size_hint);
    // A long body takes its whole share at once: nobody holds a part of it and waits for the rest.
    const bool is_long = size_hint && *size_hint > shards::kSliceBytes;
    auto room = co_await grow(&lease, is_long ? kStreamBytes : capacity);
    CO_TRY(room);
    base::Buffer body(capacity);
    auto filled = co_await fill(source, &body);
    CO_TRY_ASSIGN(bool ended, filled);
    if (!ended && capacity < shards::kSliceBytes) {  // longer than announced
        auto more = co_await grow(&lease, shards::kSliceBytes);
        CO_TRY(more);
        body = enlarged(body);
        auto refilled = co_await fill(source, &body);
        CO_TRY_ASSIGN(ended, refilled);
    }
    if (ended && body.empty()) co_return StoredBody{};
    if (ended && body.size() <= kSmallBlobBytes) {
        auto small = co_await store_small(std::move(body));
        co_return small;
    }
    if (!ended) {
        auto more = co_await grow(&lease, kStreamBytes);
        CO_TRY(more);
    }
    auto stored = co_await store_stream(source, std::move(body), ended, size_hint.value_or(0));
    co_return stored;
}

// `sealed_ms` is cluster time, read before the blob is durable: apply measures its age against
// cluster time, which may be ahead of this machine's clock.
Task<Result<StoredBody>> ServiceImpl::store_small(base::Buffer body) {
    const base::BlobId blob = mint_blob_id();
    const std::uint64_t size = body.size();
    const std::uint64_t sealed_ms = router_->system().stamp_now();
    auto put = co_await shards_->put({blob, base::Slot{0}}, std::move(body));
    CO_TRY(put);
    co_return describe(blob, size, sealed_ms);
}

// A writer that is dropped without finish() abandons its shard: that is how every error path here
// leaves nothing behind.
Task<Result<StoredBody>> ServiceImpl::store_stream(BodySource* source, base::Buffer first,
                                                   bool ended, std::uint64_t expected) {
    const base::BlobId blob = mint_blob_id();
    auto created = co_await shards_->create({blob, base::Slot{0}}, expected);
    CO_TRY_ASSIGN(const std::unique_ptr<shards::Writer> writer, created);
    std::uint64_t size = 0;
    base::Buffer slice = std::move(first);
    while (!slice.empty()) {
        size += slice.size();
        auto appended = co_await writer->append(std::move(slice));
        CO_TRY(appended);
        slice = base::Buffer();
        if (ended) break;
        slice = base::Buffer(shards::kSliceBytes);
        auto filled = co_await fill(source, &slice);
        CO_TRY_ASSIGN(ended, filled);
    }
    const std::uint64_t sealed_ms = router_->system().stamp_now();
    auto finished = co_await writer->finish();
    CO_TRY(finished);
    co_return describe(blob, size, sealed_ms);
}

Task<void> ServiceImpl::discard(StoredBody body) {
    if (!body.blob) co_return;
    const auto blob = base::BlobId::from_bytes(body.blob->blob_id());
    HAMSTER_ASSERT(blob.has_value());
    std::vector<shards::ShardId> ids;
    ids.push_back({*blob, base::Slot{0}});
    auto removed = co_await shards_->remove(std::move(ids));
    if (!removed) {  // the orphan scan will find it
        LOG_WARN("objects", "discard of blob {}: {}", blob->hex(), removed.error().context);
    }
}

}  // namespace hamster::objects
