// Snapshots between replicas: a follower whose entries are gone from the log gets the rows instead.
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "meta/apply.h"
#include "meta/replica_impl.h"

namespace hamster::meta {

using proto::SnapshotPart;
using proto::SnapshotReply;
using raft::LogIndex;
using runtime::Micros;
using runtime::Task;

namespace {

constexpr Micros kPartWithin = std::chrono::seconds(20);
constexpr Micros kInstallWithin = std::chrono::seconds(120);

raft::Tail tail_of(const SnapshotPart& part) {
    return {{part.index()}, {part.term()}, part.chain()};
}

}  // namespace

// ---- sending --------------------------------------------------------------------------------

void ReplicaImpl::send_snapshot(const base::NodeId& to) {
    if (!gate_.is_open()) return;
    runtime::spawn(control_->executor, gate_, "meta snapshot", stream_snapshot(to));
}

Task<void> ReplicaImpl::stream_snapshot(base::NodeId to) {
    co_await runtime::yield();
    auto sent = co_await stream_parts(to);
    if (!sent) {
        LOG_WARN("meta", "a snapshot for node {} has to wait: {}", to.hex(), sent.error().context);
        // Not at once again, and no longer than it takes the core to ask anew.
        co_await control_->clock.sleep(std::chrono::milliseconds(500));
    }
    driver_->snapshot_sent(to, sent.value_or(LogIndex{}), sent.has_value());
}

// Goes on with the snapshot of an attempt that broke off, unless the log has left it behind.
Task<Result<LogIndex>> ReplicaImpl::stream_parts(base::NodeId to) {
    if (options_.wire == nullptr) co_return fail(Code::kUnavailable, "there is no way to others");
    const auto kept = outgoing_.find(to);
    const LogIndex needed = driver_->core().log().base().index;
    if (kept != outgoing_.end() && kept->second.at.index < needed) outgoing_.erase(kept);
    if (!outgoing_.contains(to)) {
        CO_TRY_ASSIGN(OutgoingSnapshot taken, take_snapshot(snapshot()));
        outgoing_.emplace(to, std::move(taken));
    }
    const OutgoingSnapshot from = outgoing_.at(to);
    SnapshotPart question;
    question.set_index(from.at.index.value);
    question.set_term(from.at.term.value);
    question.set_chain(from.at.chain);
    *question.mutable_members() = from.members;
    LOG_INFO("meta", "a snapshot up to entry {} for node {}", from.at.index.value, to.hex());
    auto reply = co_await send_part(to, std::move(question));
    while (reply && !reply->is_installed()) {
        if (!gate_.is_open()) co_return fail(Code::kUnavailable, "the metadata is stopping");
        const std::uint64_t rows = reply->rows();
        auto part = co_await read_part(control_, from, rows, reply->after());
        CO_TRY(part);
        const auto sent = static_cast<std::uint64_t>(part->rows_size());
        const bool is_last = part->is_last();
        reply = co_await send_part(to, std::move(*part));
        const bool is_stuck = reply && !reply->is_installed() && sent > 0 && reply->rows() <= rows;
        if (is_stuck || (reply && is_last && !reply->is_installed())) {
            co_return fail(Code::kUnavailable, "the follower began anew");
        }
    }
    CO_TRY(reply);
    outgoing_.erase(to);
    co_return from.at.index;
}

Task<Result<SnapshotReply>> ReplicaImpl::send_part(base::NodeId to, SnapshotPart part) {
    const Micros limit = part.is_last() ? kInstallWithin : kPartWithin;
    const runtime::Time deadline = control_->clock.now() + limit;
    auto answered =
        co_await options_.wire->ask(to, Ask::kSnapshot, part.SerializeAsString(), deadline);
    CO_TRY(answered);
    SnapshotReply reply;
    if (!reply.ParseFromString(*answered)) co_return fail(Code::kInvalid, "an unreadable reply");
    co_return reply;
}

// ---- receiving ------------------------------------------------------------------------------

Task<Result<std::string>> ReplicaImpl::receive_part(SnapshotPart part) {
    if (receiving_) co_return fail(Code::kUnavailable, "another part is being received");
    receiving_ = true;
    auto is_needed = co_await prepare_incoming(&part);
    Result<SnapshotReply> reply = SnapshotReply{};
    if (!is_needed) {
        reply = std::unexpected(is_needed.error());
    } else if (!*is_needed) {
        reply->set_is_installed(true);
    } else {
        reply = co_await incoming_->take(std::move(part));
        if (reply && incoming_->is_complete()) {
            auto finished = co_await finish_incoming();
            if (finished) reply->set_is_installed(true);
            if (!finished) reply = std::unexpected(finished.error());
        }
        if (!reply) co_await drop_incoming();
    }
    receiving_ = false;
    CO_TRY(reply);
    co_return reply->SerializeAsString();
}

// False: this replica has all of it. Else incoming_ is what the part belongs to. `part` lives in
// the frame that awaits this.
Task<Result<bool>> ReplicaImpl::prepare_incoming(const SnapshotPart* part) {
    const raft::Tail at = tail_of(*part);
    if (!driver_->core().needs_install({at.index, at.term})) {
        auto members = raft::members_from(part->members());
        CO_TRY(members);
        auto known = co_await driver_->install(at, std::move(*members));
        CO_TRY(known);
        HAMSTER_ASSERT(!*known, at.index.value);
        co_return false;
    }
    if (incoming_ && incoming_->at() == at) co_return true;
    co_await drop_incoming();
    SnapshotPart first;
    first.set_index(part->index());
    first.set_term(part->term());
    first.set_chain(part->chain());
    *first.mutable_members() = part->members();
    auto begun = co_await IncomingSnapshot::begin(control_, dir_, options_.store, std::move(first));
    CO_TRY_ASSIGN(incoming_, begun);
    LOG_INFO("meta", "receiving a snapshot up to entry {}", at.index.value);
    co_return true;
}

Task<Result<void>> ReplicaImpl::finish_incoming() {
    auto finished = co_await incoming_->finish();
    CO_TRY(finished);
    auto installed = co_await driver_->install(incoming_->at(), incoming_->members());
    CO_TRY(installed);
    if (!*installed) {  // entries came meanwhile
        co_await drop_incoming();
        co_return Result<void>{};
    }
    place_.is_installed = false;
    auto noted = co_await write_place(&control_->disk, dir_, place_);
    CO_TRY(noted);
    LOG_INFO("meta", "installed a snapshot up to entry {}", applied_.index.value);
    if (changed_) changed_();
    if (identities_changed_) identities_changed_();
    co_await tidy_stores();
    co_return Result<void>{};
}

// raft::StateMachine: called by the driver when nothing else is under way.
Task<Result<void>> ReplicaImpl::install() {
    HAMSTER_ASSERT(incoming_ && incoming_->is_complete());
    Place next{incoming_->name(), true};
    auto placed = co_await write_place(&control_->disk, dir_, next);
    CO_TRY(placed);
    place_ = next;
    applied_ = incoming_->at();
    unflushed_bytes_ = 0;
    std::shared_ptr<kv::Store> received = incoming_->release();
    if (auto state = applied(*received)) {
        stamps_.note(state->stamp_ms(), control_->clock.now());
    }
    incoming_.reset();
    const std::lock_guard lock(store_mutex_);
    std::swap(store_, received);
    replaced_ = received;
    co_return Result<void>{};
}

Task<void> ReplicaImpl::drop_incoming() {
    if (!incoming_) co_return;
    incoming_.reset();
    co_await tidy_stores();
}

// The store that was replaced may still serve readers; then it stays until a later time.
Task<void> ReplicaImpl::tidy_stores() {
    if (!replaced_.expired()) co_return;
    const std::string incoming = incoming_ ? incoming_->name() : std::string();
    co_await remove_other_stores(&control_->disk, dir_, place_.store, incoming);
}

}  // namespace hamster::meta
