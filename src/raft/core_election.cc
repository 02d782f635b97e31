// Who leads: thesis, sections 3.4, 4.2.3 and 9.6.
#include <algorithm>

#include "base/assert.h"
#include "base/planted.h"
#include "raft/core.h"

namespace hamster::raft {

using proto::RaftMessage;

void Core::become_follower(Term term, const NodeId& leader) {
    if (role_ == Role::kLeader) refuse_reads();
    if (term > vote_.term) set_vote(term, NodeId{});
    // Following oneself makes no sense; and a leader is found out once a term.
    HAMSTER_ASSERT(leader != options_.self, term.value);
    role_ = Role::kFollower;
    leader_ = leader;
    granted_.clear();
    progress_.clear();
    transfer_to_ = NodeId{};
    reset_election_timer();
}

// Learners wait to be told. So does who was removed, but only once that is committed: the others
// may lack an entry that the membership without it needs (4.2.2).
bool Core::may_campaign() const {
    if (is_kept_from_leading_ || !has_caught_up()) return false;
    if (members().is_voter(options_.self)) return true;
    if (!has_pending_membership() || memberships_.size() < 2) return false;
    return memberships_[memberships_.size() - 2].second.is_voter(options_.self);
}

// A leader of this term or a later one has all entries that this node ever acknowledged, for it was
// elected without this node; and with the entry that opened its term come all before it.
bool Core::has_caught_up() const {
    if (vote_.rejoin.value == 0 || base::planted(base::Bug::kRaftVoteUnrepaired)) return true;
    const auto term = log_.term_at(durable_);
    return term && *term >= vote_.rejoin;
}

void Core::step_down() {
    if (role_ == Role::kLeader) become_follower(vote_.term, NodeId{});
}

void Core::set_may_campaign(bool may) {
    is_kept_from_leading_ = !may;
    if (!may && (role_ == Role::kPreCandidate || role_ == Role::kCandidate)) {
        become_follower(vote_.term, NodeId{});
    }
}

// `pre`: asks whether an election could be won, without disturbing anybody's term.
void Core::campaign(bool pre, bool by_transfer) {
    HAMSTER_ASSERT(role_ != Role::kLeader && may_campaign());
    granted_.clear();
    leader_ = NodeId{};
    reset_election_timer();
    if (pre) {
        role_ = Role::kPreCandidate;
        granted_.insert(options_.self);
    } else {
        role_ = Role::kCandidate;
        set_vote(Term{vote_.term.value + 1}, options_.self);
    }
    for (const NodeId& id : members().voters) {
        if (id == options_.self) continue;
        RaftMessage message = message_to(id);
        if (pre) message.set_term(vote_.term.value + 1);
        auto& request = *message.mutable_request_vote();
        request.set_pre(pre);
        request.set_by_transfer(by_transfer);
        request.set_last_index(log_.last().index.value);
        request.set_last_term(log_.last().term.value);
        send(std::move(message));
    }
    win_if_elected();
}

void Core::win_if_elected() {
    if (!is_majority(granted_)) return;
    if (role_ == Role::kPreCandidate) {
        campaign(false, false);
    } else if (role_ == Role::kCandidate) {
        become_leader();
    }
}

bool Core::is_majority(const std::set<NodeId>& ids) const {
    const auto& voters = members().voters;
    const auto agree =
        std::ranges::count_if(voters, [&ids](const NodeId& id) { return ids.contains(id); });
    return 2 * static_cast<std::size_t>(agree) > voters.size();
}

void Core::become_leader() {
    HAMSTER_ASSERT(role_ == Role::kCandidate && durable_vote_ == vote_, vote_.term.value);
    HAMSTER_ASSERT(vote_.voted_for == options_.self, vote_.term.value);
    role_ = Role::kLeader;
    leader_ = options_.self;
    granted_.clear();
    progress_.clear();
    round_ = 0;
    heartbeat_elapsed_ = 0;
    quorum_elapsed_ = 0;
    transfer_to_ = NodeId{};
    // Earlier terms are committed only through an entry of the own one (3.6.2).
    append_own(proto::Entry::NOOP, {});
    term_start_ = log_.last().index;
    follow_members();
    send_to_all();
    advance_commit();
}

void Core::on_request_vote(const NodeId& from, const RaftMessage& message) {
    const auto& request = message.request_vote();
    // Unless somebody leads whom this node hears: also at an equal term.
    if (is_bound_to_leader(message)) return;
    const Position theirs{LogIndex{request.last_index()}, Term{request.last_term()}};
    const Position& ours = log_.last();
    const bool is_current = base::planted(base::Bug::kRaftVoteForShorter) ||
                            theirs.term > ours.term ||
                            (theirs.term == ours.term && theirs.index >= ours.index);
    const bool may_grant = is_current && (has_caught_up() || from == vote_.only_peer);
    RaftMessage reply = message_to(from);
    auto& body = *reply.mutable_vote_reply();
    body.set_pre(request.pre());
    if (request.pre()) {
        // Its term is above ours, or it would not get here.
        const bool grant = may_grant && Term{message.term()} > vote_.term;
        body.set_granted(grant);
        if (grant) reply.set_term(message.term());
    } else {
        const bool is_free = vote_.voted_for.is_zero() || vote_.voted_for == from;
        body.set_granted(may_grant && is_free);
        if (body.granted()) {
            role_ = Role::kFollower;  // a pre-candidate gives up
            set_vote(vote_.term, from);
            reset_election_timer();
        }
    }
    send(std::move(reply));
}

void Core::on_vote_reply(const NodeId& from, const RaftMessage& message) {
    const auto& reply = message.vote_reply();
    const Role asked = reply.pre() ? Role::kPreCandidate : Role::kCandidate;
    const Term wanted{reply.pre() ? vote_.term.value + 1 : vote_.term.value};
    if (role_ != asked || !reply.granted() || Term{message.term()} != wanted) return;
    granted_.insert(from);
    win_if_elected();
}

}  // namespace hamster::raft
