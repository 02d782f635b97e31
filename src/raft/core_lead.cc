// Leading: replication with pipelining (thesis 3.5, 10.2.1), commitment (3.6), CheckQuorum (6.2),
// read-index (6.4), handing over (3.10).
#include <algorithm>

#include "base/assert.h"
#include "base/planted.h"
#include "raft/core.h"

namespace hamster::raft {

using proto::RaftMessage;
using State = Progress::State;

void Core::tick_leader() {
    for (auto& [id, peer] : progress_) ++peer.ticks_since_heard;
    if (++quorum_elapsed_ >= options_.election_ticks) {
        quorum_elapsed_ = 0;
        check_quorum();
        if (role_ != Role::kLeader) return;
    }
    if (!transfer_to_.is_zero() && ++transfer_ticks_ >= options_.election_ticks) {
        transfer_to_ = NodeId{};  // it did not take over in time
    }
    if (++heartbeat_elapsed_ >= options_.heartbeat_ticks) {
        heartbeat_elapsed_ = 0;
        heartbeat_to_all();
    }
}

// A leader that a majority does not hear steps down, so that its clients go elsewhere.
void Core::check_quorum() {
    std::set<NodeId> active{options_.self};
    for (auto& [id, peer] : progress_) {
        if (peer.is_active) active.insert(id);
        peer.is_active = false;
    }
    if (!is_majority(active)) become_follower(vote_.term, NodeId{});
}

// Peers come and go with the membership; what is known of those that stay is kept.
void Core::follow_members() {
    std::erase_if(progress_, [this](const auto& peer) { return !members().contains(peer.first); });
    const auto add = [this](const NodeId& id) {
        if (id == options_.self || progress_.contains(id)) return;
        Progress peer;
        peer.next = LogIndex{log_.last().index.value};
        progress_.emplace(id, std::move(peer));
    };
    std::ranges::for_each(members().voters, add);
    std::ranges::for_each(members().learners, add);
}

void Core::send_to_all() {
    for (auto& [id, peer] : progress_) send_entries(id, peer);
}

// Asks the driver for the next entries to a follower, as far as its window goes.
void Core::send_entries(const NodeId& to, Progress& peer) {
    HAMSTER_ASSERT(role_ == Role::kLeader && peer.next > peer.match, peer.next.value,
                   peer.match.value);
    if (peer.is_loading || peer.state == State::kSnapshot) return;
    if (peer.state == State::kProbe && peer.waits_for_reply) return;
    if (peer.state == State::kReplicate &&
        (peer.in_flight.size() >= options_.window || peer.next > log_.last().index)) {
        return;
    }
    const LogIndex previous{peer.next.value - 1};
    const auto term = log_.term_at(previous);
    if (!term) {  // compacted away
        peer.state = State::kSnapshot;
        snapshots_.push_back(to);
        return;
    }
    Send out{message_to(to), peer.next, log_.last().index};
    auto& append = *out.message.mutable_append();
    append.set_previous_index(previous.value);
    append.set_previous_term(term->value);
    append.set_commit(commit_.value);
    append.set_round(round_);
    peer.is_loading = true;
    sends_.push_back(std::move(out));
}

void Core::sent(const NodeId& to, Term term, LogIndex last) {
    const auto found = progress_.find(to);
    if (role_ != Role::kLeader || term != vote_.term || found == progress_.end()) return;
    Progress& peer = found->second;
    if (!peer.is_loading) return;
    peer.is_loading = false;
    if (peer.state == State::kProbe) {
        peer.waits_for_reply = true;
    } else if (peer.state == State::kReplicate && last >= peer.next) {
        peer.next = LogIndex{last.value + 1};
        peer.in_flight.push_back(last);
        send_entries(to, peer);
    }
}

// Always fits: it builds on what the follower is known to have. Without entries it is answered at
// once, whatever its disk does.
void Core::heartbeat_to_all() {
    for (auto& [id, peer] : progress_) {
        const auto term = log_.term_at(peer.match);
        RaftMessage message = message_to(id);
        auto& append = *message.mutable_append();
        append.set_previous_index(term ? peer.match.value : 0);
        append.set_previous_term(term ? term->value : 0);
        append.set_commit(std::min(commit_, peer.match).value);
        append.set_round(round_);
        send(std::move(message));
    }
}

void Core::on_append_reply(const NodeId& from, const RaftMessage::AppendReply& reply) {
    const auto found = progress_.find(from);
    if (role_ != Role::kLeader || found == progress_.end()) return;
    Progress& peer = found->second;
    peer.is_active = true;
    peer.ticks_since_heard = 0;
    peer.round = std::max(peer.round, std::min(reply.round(), round_));
    if (reply.accepted()) {
        on_accepted(from, peer, reply);
    } else {
        on_refused(peer, reply);
    }
    confirm_reads();
    // What was done may have ended this leadership.
    const auto still = progress_.find(from);
    if (role_ == Role::kLeader && still != progress_.end()) send_entries(from, still->second);
}

void Core::on_accepted(const NodeId& from, Progress& peer, const RaftMessage::AppendReply& reply) {
    const LogIndex index{reply.index()};
    if (index > log_.last().index) return;  // of another term's log; cannot be this leader's
    const bool is_news = index > peer.match;
    if (is_news) {
        peer.match = index;
        peer.next = std::max(peer.next, LogIndex{index.value + 1});
        peer.lags = false;
    }
    while (!peer.in_flight.empty() && peer.in_flight.front() <= index) peer.in_flight.pop_front();
    const LogIndex received{reply.received()};
    // What it must have by now, unless it is still on the way; a follower that went down may also
    // lack what it once said it had received.
    const LogIndex expected =
        peer.in_flight.empty() ? LogIndex{peer.next.value - 1} : peer.in_flight.front();
    if (peer.state == State::kProbe && (peer.waits_for_reply || is_news)) {
        peer.state = State::kReplicate;
        peer.waits_for_reply = false;
        peer.next = LogIndex{std::max(peer.match, std::min(received, log_.last().index)).value + 1};
    } else if (peer.state == State::kReplicate && received < expected && !is_news) {
        // Twice in a row: what was sent before both heartbeats did not arrive.
        if (peer.lags) {
            peer.probe_from(LogIndex{std::max(peer.match, received).value + 1});
        } else {
            peer.lags = true;
        }
    }
    if (!is_news) return;
    advance_commit();
    if (role_ == Role::kLeader) finish_transfer(from, peer);
}

void Core::on_refused(Progress& peer, const RaftMessage::AppendReply& reply) {
    const LogIndex refused{reply.refused_index()};
    if (refused <= peer.match || peer.state == State::kSnapshot) return;  // late
    if (peer.state == State::kProbe && refused.value + 1 != peer.next.value) return;
    // Where the logs can still be equal, seen from both: one round for each term that differs.
    const Position ours =
        log_.last_not_above(std::min(LogIndex{reply.index()}, refused), Term{reply.hint_term()});
    peer.probe_from(LogIndex{std::max(ours.index, peer.match).value + 1});
}

void Core::advance_commit() {
    HAMSTER_ASSERT(role_ == Role::kLeader);
    // Nor does anything count on the strength of voters whose time the disk does not know of.
    if (vote_ != durable_vote_) return;
    std::vector<LogIndex> matches;
    for (const NodeId& id : members().voters) {
        const auto peer = progress_.find(id);
        HAMSTER_ASSERT(id == options_.self || peer != progress_.end(), id.hex());
        const LogIndex own =
            base::planted(base::Bug::kRaftCountUnsynced) ? log_.last().index : durable_;
        matches.push_back(id == options_.self ? own : peer->second.match);
    }
    std::ranges::sort(matches, std::ranges::greater());
    const LogIndex agreed = matches[matches.size() / 2];
    // Only entries of the own term are counted; they take the earlier ones along (3.6.2).
    const bool is_own = agreed >= term_start_ || base::planted(base::Bug::kRaftCommitOldTerm);
    if (agreed <= commit_ || !is_own) return;
    HAMSTER_ASSERT(agreed <= log_.last().index, agreed.value, log_.last().index.value);
    commit_ = agreed;
    if (!has_pending_membership() && !members().is_voter(options_.self)) {
        // It managed its own removal (4.2.2), and tells the others that it is done.
        heartbeat_to_all();
        become_follower(vote_.term, NodeId{});
    }
}

void Core::snapshot_sent(const NodeId& to, LogIndex index, bool installed) {
    const auto found = progress_.find(to);
    if (role_ != Role::kLeader || found == progress_.end()) return;
    Progress& peer = found->second;
    if (peer.state != State::kSnapshot) return;
    peer.is_loading = false;
    peer.probe_from(LogIndex{(installed ? std::max(peer.match, index) : peer.match).value + 1});
    // After a failure the follower's next sign of life begins the next attempt.
    peer.waits_for_reply = !installed;
    send_entries(to, peer);
}

Result<void> Core::transfer(const NodeId& to) {
    if (role_ != Role::kLeader) return fail(Code::kUnavailable, "this node does not lead");
    if (to == options_.self) return {};
    if (!members().is_voter(to)) return fail(Code::kInvalid, "only a voter can lead");
    if (!transfer_to_.is_zero()) return fail(Code::kConflict, "leadership is being handed over");
    transfer_to_ = to;
    transfer_ticks_ = 0;
    finish_transfer(to, progress_.at(to));
    return {};
}

void Core::finish_transfer(const NodeId& to, const Progress& peer) {
    if (transfer_to_ != to || peer.match < log_.last().index) return;
    RaftMessage message = message_to(to);
    message.mutable_timeout_now();
    send(std::move(message));
}

// ---- reads ----------------------------------------------------------------------------------

void Core::read(std::uint64_t id) {
    if (role_ == Role::kLeader) {
        new_reads_.push_back({id, options_.self, 0, LogIndex{}});
    } else if (leader_.is_zero()) {
        answers_.push_back({id, false, LogIndex{}});
    } else {
        RaftMessage message = message_to(leader_);
        message.mutable_read_index()->set_id(id);
        send(std::move(message));
    }
}

void Core::on_read_index(const NodeId& from, std::uint64_t id) {
    if (role_ == Role::kLeader) {
        new_reads_.push_back({id, from, 0, LogIndex{}});
    } else {
        answer_read(from, id, false, LogIndex{});
    }
}

// All reads that wait share one round of heartbeats. Before the first commit of its term a leader
// does not know what is committed.
void Core::start_read_round() {
    if (role_ != Role::kLeader || new_reads_.empty() || commit_ < term_start_) return;
    ++round_;
    for (PendingRead& read : new_reads_) {
        read.round = round_;
        read.index = commit_;
        reads_.push_back(read);
    }
    new_reads_.clear();
    heartbeat_to_all();
    confirm_reads();
}

void Core::confirm_reads() {
    while (role_ == Role::kLeader && !reads_.empty()) {
        const PendingRead read = reads_.front();
        std::set<NodeId> confirmed{options_.self};
        for (const auto& [id, peer] : progress_) {
            if (peer.round >= read.round) confirmed.insert(id);
        }
        if (!is_majority(confirmed) && !base::planted(base::Bug::kRaftStaleReads)) return;
        reads_.pop_front();
        answer_read(read.from, read.id, true, read.index);
    }
}

void Core::refuse_reads() {
    for (const PendingRead& read : reads_) answer_read(read.from, read.id, false, LogIndex{});
    for (const PendingRead& read : new_reads_) answer_read(read.from, read.id, false, LogIndex{});
    reads_.clear();
    new_reads_.clear();
}

void Core::answer_read(const NodeId& to, std::uint64_t id, bool confirmed, LogIndex index) {
    if (to == options_.self) {
        answers_.push_back({id, confirmed, index});
        return;
    }
    RaftMessage message = message_to(to);
    auto& reply = *message.mutable_read_index_reply();
    reply.set_id(id);
    reply.set_confirmed(confirmed);
    reply.set_index(index.value);
    send(std::move(message));
}

}  // namespace hamster::raft
