// Bodies in. Small ones are one slice, copied to the nodes of their slots; longer ones stream
// stripe by stripe: while the nodes make slices durable, the next stripe is read from the client.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/log.h"
#include "objects/body_write.h"
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

// The same until the stripe has `most` bytes.
Task<Result<bool>> fill_stripe(BodySource* source, erasure::StripeBuilder* stripe,
                               std::uint64_t most) {
    while (stripe->size() < most) {
        base::MutableBytes room = stripe->spare();
        room = room.first(std::min<std::uint64_t>(room.size(), most - stripe->size()));
        auto got = co_await source->read(room);
        CO_TRY_ASSIGN(const std::size_t n, got);
        HAMSTER_ASSERT(n <= room.size(), n, room.size());
        if (n == 0) co_return true;
        stripe->filled(n);
    }
    co_return false;
}

// Room for the announced length and one block more, so that a small body and its end fit.
std::size_t first_capacity(std::optional<std::uint64_t> size_hint) {
    return base::round_up(size_hint.value_or(kSmallBlobBytes) + 1, base::kBlock);
}

void copy_into(erasure::StripeBuilder* stripe, base::Bytes bytes) {
    while (!bytes.empty()) {
        const base::MutableBytes room = stripe->spare();
        const std::size_t n = std::min(room.size(), bytes.size());
        HAMSTER_ASSERT(n > 0);
        std::ranges::copy(bytes.first(n), room.begin());
        stripe->filled(n);
        bytes = bytes.subspan(n);
    }
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

StoredBody ServiceImpl::describe(const Target& target, std::uint64_t size, std::uint64_t missing,
                                 std::uint64_t sealed_ms) {
    HAMSTER_ASSERT(size > 0);
    if (missing != 0) counters_.degraded_writes.add();
    proto::NewBlob named;
    named.set_blob_id(std::string(target.blob.view()));
    named.set_sealed_ms(sealed_ms);
    named.set_layout_version(target.layout_version);
    proto::Blob& blob = *named.mutable_geometry();
    blob.set_size(size);
    blob.set_k(target.profile.k);
    blob.set_m(target.profile.m);
    blob.set_slice_bytes(shards::kSliceBytes);
    blob.set_missing(missing);
    // Before there is a layout a body lies on the node that took it in (see choose_target).
    blob.set_placed(target.layout_version > 0 || options_.self.is_zero());
    if (!blob.placed()) {
        HAMSTER_ASSERT(target.profile == erasure::Profile{} && is_self(target.nodes.front()));
        blob.set_holder(std::string(options_.self.view()));
    }
    return {size, std::move(named), target.nodes};
}

// Nodes that took nothing a moment ago are tried again when there is no choice.
Task<Result<Target>> ServiceImpl::choose_target(bool is_small) {
    auto read = co_await layout_table();
    CO_TRY_ASSIGN(const auto table, read);
    if (table->version() == 0 && !options_.self.is_zero()) {
        // Nobody has laid out the cluster yet: what this node takes in must not depend on another.
        if (is_full()) co_return fail(Code::kNoSpace, "the disk is full");
        co_return Target{mint_blob_id(), erasure::Profile{}, 0, {options_.self}, 0};
    }
    const auto draw = [this] { return mint_blob_id(); };
    const Chooser first{draw, [this](base::NodeId node) { return takes_shards(node); }};
    auto target = choose(*table, is_small, first);
    if (target) co_return std::move(*target);
    const Chooser second{
        draw, [this](base::NodeId node) { return is_self(node) ? !is_full() : is_up(node); }};
    target = choose(*table, is_small, second);
    if (target) co_return std::move(*target);
    if (is_full()) co_return fail(Code::kNoSpace, "the disk is full");
    co_return fail(Code::kUnavailable, "too few nodes are up to store a body");
}

// Refused as far as possible before the body is read: the client keeps its bandwidth, the disks
// their reserve.
Task<Result<StoredBody>> ServiceImpl::store(BodySource* source,
                                            std::optional<std::uint64_t> size_hint) {
    if (stopping_.load()) co_return fail(Code::kUnavailable, "the node is stopping");
    if (size_hint && *size_hint > kSmallBlobBytes) {
        auto stored = co_await store_stream(source, base::Buffer(), *size_hint);
        co_return stored;
    }
    std::optional<Target> target;
    if (size_hint != 0U) {
        auto chosen = co_await choose_target(true);
        CO_TRY_ASSIGN(target, chosen);
    }
    Lease lease(budget_);
    const std::size_t capacity = first_capacity(size_hint);
    auto room = co_await grow(&lease, capacity);
    CO_TRY(room);
    base::Buffer body(capacity);
    auto filled = co_await fill(source, &body);
    CO_TRY_ASSIGN(const bool ended, filled);
    if (ended && body.empty()) co_return StoredBody{};
    if (ended && body.size() <= kSmallBlobBytes) {
        auto small = co_await store_small(std::move(body), std::move(target), std::move(lease));
        co_return small;
    }
    // Longer than announced. Its head keeps its share meanwhile: it is small beside a stripe's.
    auto stored = co_await store_stream(source, std::move(body), 0);
    co_return stored;
}

// The body stays in memory meanwhile: a node that has just died is found out by the first body that
// is meant for it, and that one then goes to others.
Task<Result<StoredBody>> ServiceImpl::store_small(base::Buffer body, std::optional<Target> target,
                                                  Lease lease) {
    if (!target) {
        auto chosen = co_await choose_target(true);
        CO_TRY_ASSIGN(target, chosen);
    }
    if (target->nodes.size() == 1 && is_self(target->nodes.front())) {
        auto stored = co_await send_small(std::move(body), std::move(*target), std::move(lease));
        co_return stored;
    }
    base::Buffer kept = base::Buffer::copy_of(body.bytes());
    auto stored = co_await send_copies(std::move(body), std::move(*target));
    if (stored || stopping_.load()) co_return stored;
    const Code code = stored.error().code;
    if (code != Code::kUnavailable && code != Code::kNoSpace) co_return stored;
    auto other = co_await choose_target(true);
    CO_TRY(other);
    LOG_INFO("objects", "a small body goes to other nodes: {}", stored.error().context);
    auto again = co_await send_copies(std::move(kept), std::move(*other));
    co_return again;
}

Task<Result<StoredBody>> ServiceImpl::send_copies(base::Buffer body, Target target) {
    Lease lease(budget_);
    auto room = co_await grow(&lease, body.size() * (1 + target.nodes.size()));
    CO_TRY(room);
    auto stored = co_await send_small(std::move(body), std::move(target), std::move(lease));
    co_return stored;
}

// `sealed_ms` is cluster time, read before the blob is durable: apply measures its age against
// cluster time, which may be ahead of this machine's clock.
Task<Result<StoredBody>> ServiceImpl::send_small(base::Buffer body, Target target, Lease lease) {
    const std::uint64_t size = body.size();
    auto executor = co_await runtime::asio::this_coro::executor;
    const auto write = std::make_shared<BodyWrite>(this, loop_of(executor), std::move(target), size,
                                                   std::move(lease));
    write->start();
    const std::uint64_t sealed_ms = router_->system().stamp_now();
    std::vector<base::Buffer> data;
    data.push_back(std::move(body));
    write->add(std::move(data), true);
    auto finished = co_await write->finish();
    if (!finished) write->give_up();
    CO_TRY_ASSIGN(const std::uint64_t missing, finished);
    co_return describe(write->target(), size, missing, sealed_ms);
}

Task<Result<StoredBody>> ServiceImpl::store_stream(BodySource* source, base::Buffer head,
                                                   std::uint64_t expected) {
    auto chosen = co_await choose_target(false);
    CO_TRY_ASSIGN(Target target, chosen);
    // Its whole share at once: nobody holds a part of it and waits for the rest.
    Lease lease(budget_);
    const std::uint64_t stripe_share = target.profile.width() * std::uint64_t{shards::kSliceBytes};
    auto room = co_await grow(&lease, std::max(kStreamBytes, stripe_share));
    CO_TRY(room);
    erasure::StripeBuilder stripe({target.profile, shards::kSliceBytes});
    copy_into(&stripe, head.bytes());
    head = base::Buffer();
    auto filled = co_await fill_stripe(source, &stripe, shards::kSliceBytes);
    CO_TRY_ASSIGN(const bool ended, filled);
    if (ended && stripe.size() == 0) co_return StoredBody{};
    if (ended && stripe.size() <= kSmallBlobBytes) {  // shorter than announced
        const std::uint64_t size = stripe.size();
        const std::vector<base::Buffer> slices = stripe.take();
        base::Buffer body = erasure::join(slices, target.profile.k, size);
        auto small = co_await store_small(std::move(body), std::nullopt, std::move(lease));
        co_return small;
    }
    auto executor = co_await runtime::asio::this_coro::executor;
    const auto write = std::make_shared<BodyWrite>(this, loop_of(executor), std::move(target),
                                                   expected, std::move(lease));
    write->start();
    auto streamed = co_await stream(source, &stripe, write.get(), expected);
    if (!streamed) write->give_up();
    co_return streamed;
}

// `stripe` has the beginning of the body.
Task<Result<StoredBody>> ServiceImpl::stream(BodySource* source, erasure::StripeBuilder* stripe,
                                             BodyWrite* write, std::uint64_t expected) {
    const std::uint64_t stripe_bytes =
        write->target().profile.k * std::uint64_t{shards::kSliceBytes};
    std::uint64_t size = 0;
    std::uint64_t sealed_ms = 0;
    for (bool ended = false; !ended;) {
        auto room = co_await write->make_room();
        CO_TRY(room);
        auto filled = co_await fill_stripe(source, stripe, stripe_bytes);
        CO_TRY_ASSIGN(ended, filled);
        const bool has_bytes = stripe->size() > 0;
        size += stripe->size();
        std::vector<base::Buffer> data;
        if (has_bytes) data = stripe->take();
        if (!ended && size == expected) {  // no more is announced: the last slice shall say so
            auto peeked = co_await fill_stripe(source, stripe, 1);
            CO_TRY_ASSIGN(ended, peeked);
        }
        if (ended) sealed_ms = router_->system().stamp_now();
        if (has_bytes) {
            write->add(std::move(data), ended);
        } else {
            write->add_end();
        }
    }
    auto finished = co_await write->finish();
    CO_TRY_ASSIGN(const std::uint64_t missing, finished);
    co_return describe(write->target(), size, missing, sealed_ms);
}

}  // namespace hamster::objects
