// Taking over the leader's log: thesis, sections 3.5 and 3.6.
#include <algorithm>

#include "base/assert.h"
#include "base/planted.h"
#include "raft/core.h"

namespace hamster::raft {

using proto::RaftMessage;

void Core::on_append(const NodeId& from, const RaftMessage& message) {
    HAMSTER_ASSERT(message.term() == vote_.term.value, message.term(), vote_.term.value);
    // Two leaders of one term: somebody lost a vote. Nothing that follows could be right.
    HAMSTER_ASSERT(role_ != Role::kLeader && (leader_.is_zero() || leader_ == from),
                   vote_.term.value);
    if (role_ != Role::kFollower || leader_ != from) become_follower(vote_.term, from);
    elapsed_ = 0;
    const RaftMessage::Append& append = message.append();
    round_seen_ = std::max(round_seen_, append.round());
    if (!accept_entries(append)) {
        refuse_append(from, append);
        return;
    }
    commit_ = std::max(commit_, std::min(LogIndex{append.commit()}, received_));
    // With entries on their way to the disk the answer waits for them.
    owes_reply_ = durable_ < received_;
    const bool waits = owes_reply_ && !base::planted(base::Bug::kRaftAckBeforeSync);
    if (!waits || append.entries().empty()) reply_to_append();
}

// False when the log has nothing equal at previous_index.
bool Core::accept_entries(const RaftMessage::Append& append) {
    const LogIndex previous{append.previous_index()};
    if (contradicts(previous, Term{append.previous_term()})) return false;
    // What is committed is equal in all logs (3.6.3).
    const bool is_settled = previous <= commit_;
    if (!is_settled && log_.term_at(previous) != Term{append.previous_term()}) return false;
    LogIndex index = previous;
    for (const proto::Entry& entry : append.entries()) {
        index = LogIndex{index.value + 1};
        // A leader's entries are contiguous, and their terms never fall nor exceed its own.
        if (entry.index() != index.value || entry.term() > vote_.term.value) return false;
        if (contradicts(index, Term{entry.term()})) return false;
        if (index <= commit_) continue;
        if (const auto term = log_.term_at(index)) {
            if (term->value == entry.term() || base::planted(base::Bug::kRaftKeepConflict))
                continue;
            drop_from(index);
        }
        if (entry.term() < log_.last().term.value) return false;
        log_.append(Term{entry.term()});
        append_.push_back(entry);
        append_.back().clear_chain();
        note_membership(entry);
    }
    received_ = std::max(received_, index);
    return true;
}

// Whether a leader has another entry where this node has a committed one. Terms do not fall along a
// log, so a later term shows it also where the own entries are gone.
bool Core::contradicts(LogIndex index, Term term) {
    if (index > commit_) return false;
    const auto last = log_.term_at(commit_);
    HAMSTER_ASSERT(last.has_value(), commit_.value);
    const bool has_parted = term > *last || log_.term_at(index).value_or(term) != term;
    if (has_parted && !parted_at_) parted_at_ = index;
    return has_parted;
}

// An earlier leader's entries that were never committed.
void Core::drop_from(LogIndex index) {
    HAMSTER_ASSERT(index > commit_, index.value, commit_.value);
    log_.truncate_from(index);
    const LogIndex last = log_.last().index;
    durable_ = std::min(durable_, last);
    received_ = std::min(received_, last);
    for (PendingWrite& write : writes_) write.last = std::min(write.last, last);
    // Entries that were not handed out yet need no write to go.
    while (!append_.empty() && append_.back().index() >= index.value) append_.pop_back();
    const bool is_written = append_.empty();
    if (is_written) truncate_from_ = std::min(truncate_from_.value_or(index), index);
    while (memberships_.back().first >= index) {
        HAMSTER_ASSERT(memberships_.size() > 1, index.value);
        memberships_.pop_back();
    }
}

void Core::note_membership(const proto::Entry& entry) {
    if (entry.kind() != proto::Entry::CONFIGURATION) return;
    proto::Membership stored;
    if (!stored.ParseFromString(entry.payload())) return;
    auto members = members_from(stored);
    // The leader wrote it, and every replica sees the same bytes: none uses it.
    if (members) memberships_.emplace_back(LogIndex{entry.index()}, std::move(*members));
}

void Core::reply_to_append() {
    RaftMessage message = message_to(leader_);
    auto& reply = *message.mutable_append_reply();
    reply.set_accepted(true);
    const bool believes = base::planted(base::Bug::kRaftAckBeforeSync);
    reply.set_index((believes ? received_ : std::min(received_, durable_)).value);
    reply.set_received(received_.value);
    reply.set_round(round_seen_);
    send(std::move(message));
}

// Also what tells a stale leader of the new term.
void Core::refuse_append(const NodeId& to, const RaftMessage::Append& append) {
    RaftMessage message = message_to(to);
    auto& reply = *message.mutable_append_reply();
    const Position hint =
        log_.last_not_above(LogIndex{append.previous_index()}, Term{append.previous_term()});
    reply.set_accepted(false);
    reply.set_index(hint.index.value);
    reply.set_hint_term(hint.term.value);
    reply.set_refused_index(append.previous_index());
    reply.set_round(append.round());
    send(std::move(message));
}

}  // namespace hamster::raft
