#include "raft/core.h"

#include <algorithm>

#include "base/assert.h"
#include "base/planted.h"

namespace hamster::raft {

using proto::RaftMessage;

namespace {

// Messages that wait for the vote to be durable. More are lost, as messages may be.
constexpr std::size_t kMostMessages = 4096;

}  // namespace

proto::Membership to_proto(const Members& members) {
    proto::Membership out;
    for (const NodeId& id : members.voters) out.add_voters(std::string(id.view()));
    for (const NodeId& id : members.learners) out.add_learners(std::string(id.view()));
    return out;
}

Result<Members> members_from(const proto::Membership& stored) {
    Members out;
    const auto add = [&out](const std::string& bytes, std::set<NodeId>& ids) {
        const auto id = NodeId::from_bytes(bytes);
        if (!id || id->is_zero() || out.contains(*id)) return false;
        return ids.insert(*id).second;
    };
    for (const std::string& id : stored.voters()) {
        if (!add(id, out.voters)) return fail(Code::kCorrupt, "a membership names no node");
    }
    for (const std::string& id : stored.learners()) {
        if (!add(id, out.learners)) return fail(Code::kCorrupt, "a membership names no node");
    }
    if (out.voters.empty()) return fail(Code::kCorrupt, "a membership without voters");
    return out;
}

Core::Core(Options options, Restored restored)
    : options_(options),
      random_(runtime::Prng::split(options.seed, "raft")),
      vote_(restored.vote),
      durable_vote_(restored.vote),
      log_(std::move(restored.log)),
      durable_(log_.last().index),
      commit_(std::max(restored.applied, log_.base().index)),
      memberships_(std::move(restored.memberships)),
      received_(commit_) {
    HAMSTER_ASSERT(!options_.self.is_zero());
    HAMSTER_ASSERT(
        options_.heartbeat_ticks > 0 && options_.election_ticks > 2 * options_.heartbeat_ticks,
        options_.election_ticks, options_.heartbeat_ticks);
    HAMSTER_ASSERT(!memberships_.empty() && memberships_.front().first <= log_.base().index);
    HAMSTER_ASSERT(commit_ <= log_.last().index, commit_.value, log_.last().index.value);
    // The vote is made durable before any entry of its term.
    HAMSTER_ASSERT(vote_.term >= log_.last().term, vote_.term.value, log_.last().term.value);
    reset_election_timer();
}

void Core::reset_election_timer() {
    elapsed_ = 0;
    const auto spread = static_cast<std::uint64_t>(options_.election_ticks);
    timeout_ = options_.election_ticks + static_cast<int>(random_.below(spread));
}

void Core::tick() {
    if (role_ == Role::kLeader) {
        tick_leader();
        return;
    }
    // While the vote is on its way to the disk nothing could be sent anyway.
    if (++elapsed_ < timeout_ || vote_ != durable_vote_) return;
    reset_election_timer();
    leader_ = NodeId{};
    if (may_campaign()) campaign(true, false);
}

void Core::campaign_if_alone() {
    const auto& voters = members().voters;
    if (role_ == Role::kFollower && voters.size() == 1 && may_campaign()) {
        campaign(true, false);
    }
}

void Core::receive(const RaftMessage& message) {
    const auto from = NodeId::from_bytes(message.from());
    const auto to = NodeId::from_bytes(message.to());
    if (!from || !to || *to != options_.self || *from == options_.self) return;
    if (!step_up_to(*from, message)) return;
    switch (message.body_case()) {
        case RaftMessage::kRequestVote:
            return on_request_vote(*from, message);
        case RaftMessage::kVoteReply:
            return on_vote_reply(*from, message);
        case RaftMessage::kAppend:
            return on_append(*from, message);
        case RaftMessage::kAppendReply:
            return on_append_reply(*from, message.append_reply());
        case RaftMessage::kTimeoutNow:
            // Only the leader of this term asks for it, and only a voter can follow it.
            if (role_ == Role::kFollower && *from == leader_ && members().is_voter(options_.self) &&
                may_campaign()) {
                campaign(false, true);
            }
            return;
        case RaftMessage::kReadIndex:
            return on_read_index(*from, message.read_index().id());
        case RaftMessage::kReadIndexReply: {
            const auto& reply = message.read_index_reply();
            answers_.push_back({reply.id(), reply.confirmed(), LogIndex{reply.index()}});
            return;
        }
        case RaftMessage::BODY_NOT_SET:
            return;
    }
}

// Brings the term in line with the message's. False: the message is to be dropped.
bool Core::step_up_to(const NodeId& from, const RaftMessage& message) {
    const Term theirs{message.term()};
    const bool asks_pre = message.has_request_vote() && message.request_vote().pre();
    if (theirs > vote_.term) {
        if (is_bound_to_leader(message)) return false;
        // A pre-vote changes nobody's term; its grant echoes the term it would be for (9.6).
        const bool granted_pre = message.has_vote_reply() && message.vote_reply().pre() &&
                                 message.vote_reply().granted();
        if (asks_pre || granted_pre) return true;
        become_follower(theirs, message.has_append() ? from : NodeId{});
        return true;
    }
    if (theirs == vote_.term) return true;
    // Who is behind learns the term from the answer: a node that comes back from a partition with
    // PreVote and CheckQuorum around it could not be told otherwise.
    if (message.has_append()) {
        refuse_append(from, message.append());
    } else if (asks_pre) {
        RaftMessage reply = message_to(from);
        reply.mutable_vote_reply()->set_pre(true);
        send(std::move(reply));
    }
    return false;
}

// Whoever hears a leader does not help to depose it (4.2.3), unless it hands over itself.
bool Core::is_bound_to_leader(const RaftMessage& message) const {
    if (!message.has_request_vote() || message.request_vote().by_transfer()) return false;
    if (role_ == Role::kLeader) return true;
    return !leader_.is_zero() && elapsed_ < options_.election_ticks;
}

RaftMessage Core::message_to(const NodeId& to) const {
    RaftMessage message;
    message.set_from(std::string(options_.self.view()));
    message.set_to(std::string(to.view()));
    message.set_term(vote_.term.value);
    return message;
}

void Core::send(RaftMessage message) {
    if (messages_.size() < kMostMessages) messages_.push_back(std::move(message));
}

void Core::set_vote(Term term, const NodeId& voted_for) {
    HAMSTER_ASSERT(term >= vote_.term, term.value, vote_.term.value);
    if (term == vote_.term && voted_for == vote_.voted_for) return;
    HAMSTER_ASSERT(term > vote_.term || vote_.voted_for.is_zero(), term.value);
    if (term > vote_.term) {  // what another term's leader sent says nothing about this one's
        received_ = commit_;
        round_seen_ = 0;
        owes_reply_ = false;
    }
    vote_ = {term, voted_for, vote_.rejoin, vote_.only_peer};
    vote_is_given_ = false;
}

// Set when the entry that left two voters is committed, and so is in both logs. Ended by the next
// one that changes the voters: the disk has forgotten it before that entry is acknowledged. While
// this node has not caught up it stands, for it is about the log that was lost.
void Core::review_only_peer() {
    if (!has_caught_up()) return;
    const auto& voters = members().voters;
    NodeId peer;
    if (voters.size() == 2 && voters.contains(options_.self)) {
        peer = *voters.begin() == options_.self ? *voters.rbegin() : *voters.begin();
    }
    if (peer != vote_.only_peer && has_pending_membership()) peer = NodeId{};
    if (peer == vote_.only_peer) return;
    vote_.only_peer = peer;
    vote_is_given_ = false;
}

void Core::vote_persisted(const Vote& vote) {
    HAMSTER_ASSERT(vote.term >= durable_vote_.term, vote.term.value, durable_vote_.term.value);
    durable_vote_ = vote;
    // The own vote counts like any other: once it cannot be forgotten.
    if (durable_vote_ == vote_ && role_ == Role::kCandidate) {
        granted_.insert(options_.self);
        win_if_elected();
    } else if (role_ == Role::kLeader) {
        advance_commit();
    }
}

void Core::persisted(std::uint64_t write) {
    HAMSTER_ASSERT(write < next_write_, write, next_write_);
    while (!writes_.empty() && writes_.front().id <= write) {
        durable_ = std::max(durable_, writes_.front().last);
        writes_.pop_front();
    }
    HAMSTER_ASSERT(durable_ <= log_.last().index, durable_.value, log_.last().index.value);
    if (role_ == Role::kLeader) {
        advance_commit();
    } else if (owes_reply_ && !leader_.is_zero()) {
        owes_reply_ = durable_ < received_;
        reply_to_append();
    }
}

std::optional<Position> Core::propose(proto::Entry::Kind kind, std::string payload) {
    HAMSTER_ASSERT(kind != proto::Entry::CONFIGURATION);
    if (role_ != Role::kLeader || !transfer_to_.is_zero()) return std::nullopt;
    append_own(kind, std::move(payload));
    send_to_all();
    return log_.last();
}

void Core::append_own(proto::Entry::Kind kind, std::string payload) {
    HAMSTER_ASSERT(role_ == Role::kLeader);
    log_.append(vote_.term);
    proto::Entry entry;
    entry.set_term(vote_.term.value);
    entry.set_index(log_.last().index.value);
    entry.set_kind(kind);
    entry.set_payload(std::move(payload));
    append_.push_back(std::move(entry));
}

Result<Position> Core::propose_membership(const Members& next) {
    if (role_ != Role::kLeader || !transfer_to_.is_zero()) {
        return fail(Code::kUnavailable, "this node does not lead");
    }
    // Also after an election: until an entry of the own term is committed, a change of an earlier
    // term may still be under way (the correction of 2015 to section 4.1).
    const bool is_busy = has_pending_membership() || commit_ < term_start_;
    if (is_busy && !base::planted(base::Bug::kRaftTwoMemberships)) {
        return fail(Code::kConflict, "another membership change is under way");
    }
    if (next.voters.empty()) return fail(Code::kInvalid, "a cluster needs a voter");
    for (const NodeId& id : next.learners) {
        if (next.is_voter(id)) return fail(Code::kInvalid, "a voter is no learner");
    }
    std::vector<NodeId> differ;
    std::ranges::set_symmetric_difference(members().voters, next.voters,
                                          std::back_inserter(differ));
    if (differ.size() > 1) return fail(Code::kInvalid, "one voter changes at a time");
    append_own(proto::Entry::CONFIGURATION, to_proto(next).SerializeAsString());
    memberships_.emplace_back(log_.last().index, next);
    review_only_peer();
    follow_members();
    send_to_all();
    return log_.last();
}

std::optional<LogIndex> Core::take_back(LogIndex durable) {
    HAMSTER_ASSERT(role_ == Role::kLeader && durable <= log_.last().index, durable.value);
    durable_ = std::max(durable_, durable);
    advance_commit();
    // Entries behind a durable membership of this node alone were sent to nobody.
    const bool is_alone =
        members() == Members{{options_.self}, {}} && memberships_.back().first <= durable_;
    if (role_ != Role::kLeader || !is_alone) return std::nullopt;
    const LogIndex from{std::max(durable_, term_start_).value + 1};
    if (from <= log_.last().index) {
        drop_from(from);
        truncate_from_.reset();  // none of them was written
    }
    return from;
}

void Core::compacted(LogIndex index) {
    HAMSTER_ASSERT(index <= can_apply(), index.value, can_apply().value);
    log_.compact_to(index);
    while (memberships_.size() > 1 && memberships_[1].first <= log_.base().index) {
        memberships_.erase(memberships_.begin());
    }
}

bool Core::install(Position at, const Members& members) {
    if (at.index <= commit_) return false;
    if (log_.term_at(at.index) == at.term) {
        // The log has all of it, and entries behind it that others may count on.
        commit_ = at.index;
        received_ = std::max(received_, commit_);
        return false;
    }
    HAMSTER_ASSERT(role_ != Role::kLeader, at.index.value);
    log_ = TermMap(at);
    durable_ = commit_ = received_ = at.index;
    memberships_ = {{at.index, members}};
    truncate_from_.reset();
    append_.clear();
    writes_.clear();
    owes_reply_ = false;
    return true;
}

Output Core::take() {
    start_read_round();
    review_only_peer();
    Output out;
    if (!vote_is_given_) {
        out.vote = vote_;
        vote_is_given_ = true;
    }
    if (truncate_from_ || !append_.empty()) {
        out.truncate_from = std::exchange(truncate_from_, std::nullopt);
        out.append = std::exchange(append_, {});
        out.write = next_write_++;
        writes_.push_back({out.write, log_.last().index});
    }
    out.reads = std::exchange(answers_, {});
    // Nothing is said on the strength of a vote that could be forgotten.
    if (vote_ != durable_vote_ && !base::planted(base::Bug::kRaftVoteLost)) return out;
    out.messages = std::exchange(messages_, {});
    out.sends = std::exchange(sends_, {});
    out.snapshots = std::exchange(snapshots_, {});
    return out;
}

}  // namespace hamster::raft
