// Where bodies go, as far as the layout says it; and what becomes of those that were stored when it
// changes, or when their command is refused.
#include <bit>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "objects/exchange.h"
#include "objects/service_impl.h"
#include "objects/shape.h"
#include "objects/stored_source.h"

namespace hamster::objects {

using runtime::Task;

namespace {

// Nodes without which this one can be done, that are enough for a small blob.
bool are_enough(const LayoutTable& table, const base::NodeId& self) {
    std::size_t others = 0;
    for (const base::NodeId& node : table.nodes()) {
        if (node != self) ++others;
    }
    return others >= floor_of({1, table.profile().m});
}

BlobPlace place_of(const StoredBody& body, const base::BlobId& blob, const Shape& shape) {
    BlobPlace place{blob, shape, {}};
    for (std::uint32_t slot = 0; slot < shape.width(); ++slot) {
        const base::Slot number{static_cast<std::uint8_t>(slot)};
        if (meta::is_missing(body.blob->geometry(), number)) continue;
        place.shards.push_back({number, body.nodes[slot]});
    }
    return place;
}

}  // namespace

bool ServiceImpl::refuses_bodies() const {
    if (!is_full()) return false;
    const auto table = layout_.table();
    return table == nullptr || options_.self.is_zero() || !are_enough(*table, options_.self);
}

bool ServiceImpl::takes_shards(const base::NodeId& node) const {
    if (is_self(node)) return !is_full();
    return is_up(node) && !shunned_.has(node, now());
}

Error ServiceImpl::why_left_out(const base::NodeId& node) const {
    if (is_self(node) || shunned_.is_full(node, now())) return {Code::kNoSpace, "the disk is full"};
    return {Code::kUnavailable, "the node is down, or stuck"};
}

void ServiceImpl::note_failure(const base::NodeId& node, Code code) {
    if (is_self(node)) return;
    if (code == Code::kTimeout) shunned_.add_stuck(node, now());
    if (code == Code::kUnavailable) shunned_.add_gone(node, now());
    if (code == Code::kNoSpace) shunned_.add_full(node, now());
}

// While one request looks whether the table is still the one, others use what there is.
Task<Result<std::shared_ptr<const LayoutTable>>> ServiceImpl::layout_table() {
    auto table = layout_.table();
    if (!layout_.wants_refresh(now())) co_return table;
    auto read = co_await read_layout();
    layout_.put(read ? *read : nullptr, now());
    co_return read;
}

Task<Result<std::shared_ptr<const LayoutTable>>> ServiceImpl::read_layout() {
    auto viewed = co_await router_->system().view();
    CO_TRY_ASSIGN(meta::View view, viewed);
    CO_TRY_ASSIGN(const proto::Layout layout, view.layout());
    auto table = layout_.table();
    CO_TRY_ASSIGN(const auto leaving, LayoutTable::leaving_of(view));
    const bool is_same =
        table && table->version() == layout.version() && table->leaving() == leaving;
    if (is_same) co_return table;
    auto read = co_await LayoutTable::read(control_, std::move(view));
    co_return read;
}

Task<Result<StoredBody>> ServiceImpl::settle(StoredBody body) {
    HAMSTER_ASSERT(body.blob.has_value());
    const auto blob = base::BlobId::from_bytes(body.blob->blob_id());
    HAMSTER_ASSERT(blob.has_value());
    CO_TRY_ASSIGN(const Shape shape, shape_of(body.blob->geometry()));
    HAMSTER_ASSERT(body.nodes.size() == shape.width(), body.nodes.size());
    layout_.age();
    auto viewed = co_await router_->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const proto::Layout layout, view.layout());
    CO_TRY_ASSIGN(const meta::PartitionPlaces places, view.places(base::partition_of(*blob)));
    if (places.nodes.size() < shape.width()) {
        auto anew = co_await store_anew(std::move(body), *blob, shape);
        co_return anew;
    }
    const PullOrder order{place_of(body, *blob, shape), {}};
    StoredBody moved = body;
    std::vector<std::uint64_t> bits;
    std::vector<Task<bool>> pulls;
    for (std::uint32_t slot = 0; slot < shape.width(); ++slot) {
        if (places.nodes[slot] == body.nodes[slot]) continue;
        moved.nodes[slot] = places.nodes[slot];
        bits.push_back(1ULL << slot);
        pulls.push_back(
            pull_to(places.nodes[slot], {order.blob, base::Slot{static_cast<std::uint8_t>(slot)}}));
    }
    const std::vector<bool> pulled = co_await runtime::when_all(std::move(pulls));
    std::uint64_t missing = body.blob->geometry().missing();
    std::uint64_t fetched = 0;
    for (std::size_t i = 0; i < bits.size(); ++i) {
        if (pulled[i]) fetched |= bits[i];
        missing = pulled[i] ? missing & ~bits[i] : missing | bits[i];
    }
    const auto present = shape.width() - static_cast<std::uint32_t>(std::popcount(missing));
    if (present < floor_of(shape.geometry.profile)) {
        moved.blob->mutable_geometry()->set_missing(~fetched);
        co_await discard(std::move(moved));
        auto anew = co_await store_anew(std::move(body), *blob, shape);
        co_return anew;
    }
    moved.blob->mutable_geometry()->set_missing(missing);
    moved.blob->set_layout_version(layout.version());
    co_return moved;
}

// For a body that is wider than the layout has become, or whose places went to nodes too many of
// which are down: it is read where it lies.
Task<Result<StoredBody>> ServiceImpl::store_anew(StoredBody body, base::BlobId blob, Shape shape) {
    const auto places = std::make_shared<meta::PartitionPlaces>();
    places->nodes = body.nodes;
    const auto map = std::make_shared<const BlobMap>(blob, shape, body.blob->geometry(), places);
    std::vector<Extent> extents;
    extents.push_back({blob, 0, body.size, body.size, map});
    auto opened = co_await open_extents(std::move(extents));
    CO_TRY_ASSIGN(std::unique_ptr<BodyReader> reader, opened);
    Result<StoredBody> stored;
    {
        StoredSource source(reader.get(), body.size);
        stored = co_await store(&source, body.size);
    }
    reader.reset();
    CO_TRY(stored);
    HAMSTER_ASSERT(stored->size == body.size, stored->size, body.size);
    LOG_INFO("objects", "blob {} cannot follow the layout and is stored anew", blob.hex());
    co_await discard(std::move(body));
    co_return stored;
}

// Makes a node have a shard that was just written elsewhere.
Task<bool> ServiceImpl::pull_to(base::NodeId node, PullOrder order) {
    Result<void> pulled;
    const base::BlobId blob = order.blob.blob;
    const std::uint32_t slot = order.slot.value;
    if (is_self(node)) {
        pulled = co_await restore_shard(std::move(order.blob), order.slot);
    } else if (options_.remote == nullptr) {
        pulled = fail(Code::kUnavailable, "this node reaches no others");
    } else {
        auto answer = co_await options_.remote->call(node, RemoteMethod::kPull, encode_pull(order));
        if (!answer) pulled = std::unexpected(std::move(answer).error());
    }
    if (!pulled) {
        LOG_WARN("objects", "slot {} of blob {} is not on its new node {} yet: {}", slot,
                 blob.hex(), node.hex(), pulled.error().context);
    }
    co_return pulled.has_value();
}

// The client is not kept waiting for other nodes.
Task<void> ServiceImpl::discard(StoredBody body) {
    if (!body.blob) co_return;
    const auto blob = base::BlobId::from_bytes(body.blob->blob_id());
    HAMSTER_ASSERT(blob.has_value());
    auto executor = co_await runtime::asio::this_coro::executor;
    LoopState* const loop = loop_of(executor);
    for (std::size_t i = 0; i < body.nodes.size(); ++i) {
        const base::Slot slot{static_cast<std::uint8_t>(i)};
        const shards::ShardId shard{*blob, slot};
        if (meta::is_missing(body.blob->geometry(), slot)) continue;
        if (is_self(body.nodes[i])) {
            co_await remove_here(shard);
        } else if (loop->gate.is_open()) {
            runtime::spawn(loop->executor, loop->gate, "discard", abandon_at(body.nodes[i], shard));
        }
    }
}

Task<void> ServiceImpl::abandon_at(base::NodeId node, shards::ShardId shard) {
    if (options_.remote == nullptr) co_return;
    auto answer =
        co_await options_.remote->call(node, RemoteMethod::kAbandon, encode_abandon(shard));
    if (!answer) {  // a write that goes silent is given up there, and an orphan found
        LOG_INFO("objects", "blob {} slot {} is not given up on node {}: {}", shard.blob.hex(),
                 shard.slot.value, node.hex(), answer.error().context);
    }
}

// Not heard, or not known there any more: the next slice meets the same.
Task<void> ServiceImpl::keep_writing_at(base::NodeId node, shards::ShardId shard) {
    if (options_.remote == nullptr) co_return;
    (void)co_await options_.remote->call(node, RemoteMethod::kKeepWriting, encode_abandon(shard));
}

Task<void> ServiceImpl::remove_here(shards::ShardId shard) {
    std::vector<shards::ShardId> ids;
    ids.push_back(shard);
    auto removed = co_await shards_->remove(std::move(ids));
    if (!removed) {  // the orphan scan will find it
        LOG_WARN("objects", "discard of blob {}: {}", shard.blob.hex(), removed.error().context);
    }
}

}  // namespace hamster::objects
