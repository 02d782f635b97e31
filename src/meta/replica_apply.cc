// What committed entries do to the store, and when the store reaches the disk.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "meta/apply.h"
#include "meta/replica_impl.h"

namespace hamster::meta {

using proto::Answer;
using proto::Command;
using proto::Entry;
using runtime::Task;

namespace {

bool changes_members(const Command& command) {
    return command.has_found_trust() || command.has_put_token() || command.has_admit_node() ||
           command.has_update_node() || command.has_set_leaving() || command.has_remove_node();
}

bool changes_identities(const Command& command) {
    return command.has_put_user() || command.has_delete_user() || command.has_put_credential() ||
           command.has_delete_credential();
}

}  // namespace

Result<Answer> ReplicaImpl::apply_entry(Staging& staging, const Entry& entry) {
    const EntryMark mark{{entry.index()}, {entry.term()}, entry.chain()};
    if (entry.kind() == Entry::CONFIGURATION) {
        is_changed_ = true;
        // Soon in the store: whether a damaged log may be given up depends on who else votes.
        unflushed_bytes_ = std::max(unflushed_bytes_, options_.flush_after_bytes);
        TRY(apply_membership(staging, mark, entry.payload()));
        return Answer{};
    }
    if (entry.kind() != Entry::COMMAND) {
        TRY(apply_nothing(staging, mark));
        return Answer{};
    }
    TRY_ASSIGN(auto command, decode_command(base::as_bytes(entry.payload())));
    is_changed_ |= changes_members(command);
    are_identities_changed_ |= changes_identities(command);
    const bool is_replayed = entry.index() <= replayed_to_;
    if (is_replayed && base::planted(base::Bug::kDeleteForgotten) && command.has_delete_object()) {
        command.mutable_drop_garbage();
    }
    return meta::apply(staging, mark, command);
}

// All of them become one batch of the store, or a few when they are large.
Result<void> ReplicaImpl::apply(const std::vector<Entry>& entries,
                                const std::vector<bool>& wanted) {
    HAMSTER_ASSERT(entries.size() == wanted.size());
    const std::shared_ptr<kv::Store> store = this->store();
    Staging staging(*store);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        auto answer = apply_entry(staging, entries[i]);
        auto room = answer ? staging.write_if_large() : Result<void>{};
        if (!answer || !room) {
            fail_store(answer ? room.error() : answer.error());
            return std::unexpected(answer ? room.error() : answer.error());
        }
        if (wanted[i]) answers_[entries[i].index()] = std::move(*answer);
    }
    if (auto written = staging.write(); !written) {
        fail_store(written.error());
        return written;
    }
    for (const Entry& entry : entries) note_applied(entry);
    commits_.add(entries.size());
    auto state = applied(*store);
    if (state) stamps_.note(state->stamp_ms(), control_->clock.now());
    maybe_flush();
    if (std::exchange(is_changed_, false) && changed_) changed_();
    if (std::exchange(are_identities_changed_, false) && identities_changed_) identities_changed_();
    return {};
}

// What the store holds is in doubt from here on.
void ReplicaImpl::fail_store(const Error& error) {
    store_failed_ = true;
    LOG_ERROR("meta", "no more writes until the next start: {}", error.context);
}

void ReplicaImpl::note_applied(const Entry& entry) {
    applied_ = {{entry.index()}, {entry.term()}, entry.chain()};
    unflushed_bytes_ += entry.payload().size();
    log_bytes_.set(static_cast<std::int64_t>(unflushed_bytes_));
}

void ReplicaImpl::maybe_flush() {
    if (flushing_ || unflushed_bytes_ < options_.flush_after_bytes || !gate_.is_open()) return;
    flushing_ = true;
    runtime::spawn(control_->executor, gate_, "meta flush", flush());
}

// The log may lose what the store has on its disk, and nothing else.
Task<void> ReplicaImpl::flush() {
    HAMSTER_ASSERT(flushing_);
    co_await runtime::yield();  // the driver takes note of what was applied first
    const raft::Tail flushed = applied_;
    const std::shared_ptr<kv::Store> store = this->store();
    unflushed_bytes_ = 0;
    if (base::planted(base::Bug::kDropBeforeFlush)) (void)co_await driver_->flushed(flushed);
    auto done = co_await store->flush();
    const bool is_current = store == this->store();
    if (done && is_current && !driver_->failure()) {
        done = co_await driver_->flushed(flushed);
        // Nobody can go on behind these any more, and each keeps old rows on the disk.
        const raft::LogIndex base = driver_->core().log().base().index;
        std::erase_if(outgoing_, [&](const auto& kept) { return kept.second.at.index < base; });
    } else if (!done && done.error().code != Code::kNoSpace) {
        store_failed_ = true;
    }
    flushing_ = false;
    if (done) co_return;
    // A full disk: the log keeps what it has, and the next flush comes after as many bytes again.
    if (done.error().code == Code::kNoSpace) {
        LOG_WARN("meta", "the store was not flushed: {}", done.error().context);
    } else {
        driver_->give_up(done.error());
    }
}

}  // namespace hamster::meta
