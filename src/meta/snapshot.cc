#include "meta/snapshot.h"

#include <utility>

#include "base/assert.h"
#include "meta/apply.h"
#include "meta/keyspace.h"

namespace hamster::meta {

using proto::SnapshotPart;
using proto::SnapshotReply;
using runtime::Task;

namespace {

template <class Message>
Result<std::optional<Message>> load(const kv::Snapshot& rows, std::string_view name) {
    TRY_ASSIGN(const auto bytes, rows.get(system_row(name)));
    if (!bytes) return std::nullopt;
    Message message;
    if (!message.ParseFromString(*bytes)) {
        return fail(Code::kCorrupt, fmt::format("the row {} of the metadata is damaged", name));
    }
    return message;
}

Result<SnapshotPart> fill(const OutgoingSnapshot& from, std::uint64_t rows_before,
                          const std::string& after) {
    SnapshotPart part;
    part.set_index(from.at.index.value);
    part.set_term(from.at.term.value);
    part.set_chain(from.at.chain);
    *part.mutable_members() = from.members;
    part.set_rows_before(rows_before);
    const auto iterator = from.rows->iterate();
    iterator->seek(rows_before == 0 ? after : after + '\0');
    std::size_t bytes = 0;
    for (; iterator->valid() && bytes < kSnapshotPartBytes; iterator->next()) {
        SnapshotPart::Row& row = *part.add_rows();
        row.set_key(std::string(iterator->key()));
        row.set_value(std::string(iterator->value()));
        bytes += iterator->key().size() + iterator->value().size();
    }
    TRY(iterator->status());
    part.set_is_last(!iterator->valid());
    return part;
}

Result<void> store_rows(kv::Store& store, const SnapshotPart& part) {
    const auto batch = store.batch();
    for (const SnapshotPart::Row& row : part.rows()) batch->put(row.key(), row.value());
    return store.write(*batch);
}

}  // namespace

Result<OutgoingSnapshot> take_snapshot(std::shared_ptr<const kv::Snapshot> rows) {
    TRY_ASSIGN(const auto applied, load<proto::Applied>(*rows, "applied"));
    TRY_ASSIGN(auto members, load<proto::Membership>(*rows, "membership"));
    if (!applied || !members) return fail(Code::kUnavailable, "there is no membership yet");
    const raft::Tail at{{applied->index()}, {applied->term()}, applied->chain()};
    return OutgoingSnapshot{std::move(rows), at, std::move(*members)};
}

Task<Result<SnapshotPart>> read_part(runtime::World* world, OutgoingSnapshot from,
                                     std::uint64_t rows_before, std::string after) {
    auto part = co_await runtime::run_blocking(
        &world->pool, [from, rows_before, after] { return fill(from, rows_before, after); });
    co_return part;
}

Task<Result<std::unique_ptr<IncomingSnapshot>>> IncomingSnapshot::begin(runtime::World* world,
                                                                        std::string dir,
                                                                        kv::Options options,
                                                                        SnapshotPart first) {
    auto incoming = std::unique_ptr<IncomingSnapshot>(new IncomingSnapshot(world));
    incoming->at_ = {{first.index()}, {first.term()}, first.chain()};
    auto members = raft::members_from(first.members());
    if (!members || first.index() == 0) {
        co_return fail(Code::kInvalid, "a snapshot without an index or members");
    }
    incoming->members_ = std::move(*members);
    auto name = co_await free_store_name(&world->disk, dir);
    CO_TRY_ASSIGN(incoming->name_, name);
    auto store = co_await kv::open(world, dir + "/" + incoming->name_, options);
    CO_TRY_ASSIGN(incoming->store_, store);
    co_return incoming;
}

SnapshotReply IncomingSnapshot::reply() const {
    SnapshotReply reply;
    reply.set_rows(rows_);
    reply.set_after(last_);
    return reply;
}

Task<Result<SnapshotReply>> IncomingSnapshot::take(SnapshotPart part) {
    HAMSTER_ASSERT(store_ != nullptr);
    const bool follows = part.rows_before() == rows_ && !is_complete_;
    if (!follows || part.rows().empty()) co_return reply();
    for (const SnapshotPart::Row& row : part.rows()) {
        if (row.key() <= last_) co_return fail(Code::kInvalid, "a snapshot's rows out of order");
        last_ = row.key();
    }
    rows_ += static_cast<std::uint64_t>(part.rows_size());
    is_complete_ = part.is_last();
    auto stored = co_await runtime::run_blocking(
        &world_->pool,
        [store = store_, part = std::move(part)] { return store_rows(*store, part); });
    CO_TRY(stored);
    co_return reply();
}

Task<Result<void>> IncomingSnapshot::finish() {
    HAMSTER_ASSERT(is_complete_);
    auto flushed = co_await store_->flush();
    CO_TRY(flushed);
    CO_TRY_ASSIGN(const auto state, applied(*store_));
    const bool fits = state.index() == at_.index.value && state.chain() == at_.chain;
    if (!fits) co_return fail(Code::kCorrupt, "a snapshot does not hold what it says");
    co_return Result<void>{};
}

}  // namespace hamster::meta
