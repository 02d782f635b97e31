// What people ask of a cluster: how it is, whether a node may be stopped, who should lead, and to
// take a node out.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cluster/keeper.h"
#include "cluster/topology.h"

namespace hamster::cluster {

using proto::Answer;
using proto::ClusterStatus;
using proto::Command;
using runtime::Micros;
using runtime::Task;

namespace {

constexpr Micros kLeaderWithin = std::chrono::seconds(8);
constexpr Micros kRemoveWithin = std::chrono::seconds(12);
constexpr Micros kTransferWithin = std::chrono::seconds(5);
constexpr Micros kLookAgain = std::chrono::milliseconds(100);
const Error kNoLeader{Code::kUnavailable,
                      "the cluster has no leader: fewer than half of its voters are up, or one is "
                      "being elected right now"};

template <class Message>
Result<Message> parse(const Result<std::string>& bytes) {
    if (!bytes) return std::unexpected(bytes.error());
    Message message;
    if (!message.ParseFromString(*bytes)) return fail(Code::kInvalid, "an unreadable answer");
    return message;
}

}  // namespace

Task<Result<std::string>> Keeper::ask_leader(rpc::Method method, std::string payload) {
    const NodeId leader = replica_->driver().core().leader();
    if (leader.is_zero()) co_return std::unexpected(kNoLeader);
    auto answered = co_await links_->call(leader, method, std::move(payload), kLeaderWithin);
    co_return answered;
}

// ---- status ---------------------------------------------------------------------------------

ClusterStatus Keeper::members_here() const {
    const raft::Core& core = replica_->driver().core();
    const Facts seen_now = facts();
    ClusterStatus status;
    status.set_leader(std::string(core.leader().view()));
    status.set_term(core.term().value);
    status.set_commit(core.commit().value);
    status.set_is_changing(seen_now.change_pending);
    for (const std::string& note : topology_notes(seen_now)) status.add_notes(note);
    for (const auto& [id, node] : roster_->nodes()) {
        ClusterStatus::Member& member = *status.add_members();
        *member.mutable_node() = node;
        member.set_role(core.members().is_voter(id)   ? ClusterStatus::Member::VOTER
                        : core.members().contains(id) ? ClusterStatus::Member::LEARNER
                                                      : ClusterStatus::Member::NONE);
        const auto progress = core.progress().find(id);
        const std::uint64_t has =
            progress == core.progress().end() ? 0 : progress->second.match.value;
        const std::uint64_t last = core.log().last().index.value;
        member.set_lag(id == self_id_ ? 0 : last - std::min(last, has));
        const auto seen = seen_.find(id);
        member.set_is_reachable(is_reachable(id));
        if (id == self_id_) *member.mutable_health() = health_();
        if (id != self_id_ && seen != seen_.end()) {
            *member.mutable_health() = seen->second.health;
            const auto silent =
                control_->clock.now() - seen->second.answered.value_or(control_->clock.now());
            if (!member.is_reachable()) {
                member.set_silent_ms(static_cast<std::uint64_t>(silent.count() / 1000));
            }
        }
        member.set_blobs(replica_->here().blobs_held(id).value_or(0));
    }
    return status;
}

Task<Result<ClusterStatus>> Keeper::status_here() {
    auto completed = co_await layout_.complete(members_here());
    co_return completed;
}

Task<Result<std::string>> Keeper::answer_status() {
    if (!leads()) co_return std::unexpected(kNoLeader);
    auto status = co_await status_here();
    CO_TRY(status);
    co_return status->SerializeAsString();
}

Task<Result<ClusterStatus>> Keeper::status() {
    if (leads()) {
        auto status = co_await status_here();
        co_return status;
    }
    auto answered = co_await ask_leader(kStatus, "");
    co_return parse<ClusterStatus>(answered);
}

// ---- can-stop -------------------------------------------------------------------------------

// Who has shards to restore that still can be: "n2 is restoring 5 shards". Empty: nobody but `but`.
std::string Keeper::who_restores(NodeId but) const {
    for (const ClusterStatus::Member& member : members_here().members()) {
        const proto::Repair& repair = member.health().repair();
        const std::uint64_t lost = repair.missing().blobs() + repair.damaged().blobs();
        if (member.node().node_id() == but.view() || lost <= repair.beyond_repair()) continue;
        return fmt::format("{} is restoring {} shards", member.node().name(), lost);
    }
    return {};
}

// kPrecondition: better not, and why.
Task<Result<void>> Keeper::judge_stop(NodeId node) {
    const Result<void> judged = cluster::can_stop(facts(), node);
    CO_TRY(judged);
    auto read = co_await layout_.read();
    CO_TRY_ASSIGN(const LayoutRows rows, read);
    std::string why = why_missed(rows, node);
    if (why.empty()) why = who_restores(node);
    if (!why.empty()) co_return fail(Code::kPrecondition, std::move(why));
    co_return Result<void>{};
}

// A live check: every node is asked now.
Task<Result<std::string>> Keeper::answer_can_stop(std::string payload) {
    if (!leads()) co_return std::unexpected(kNoLeader);
    CO_TRY_ASSIGN(const auto request,
                  parse<proto::CanStopRequest>(Result<std::string>(std::move(payload))));
    const auto node = NodeId::from_bytes(request.node_id());
    if (!node) co_return fail(Code::kInvalid, "a malformed node id");
    co_await ask_all_now();
    const Result<void> judged = co_await judge_stop(*node);
    if (!judged && judged.error().code != Code::kPrecondition) {
        co_return std::unexpected(judged.error());
    }
    proto::CanStopReply reply;
    reply.set_yes(judged.has_value());
    if (!judged) reply.set_reason(judged.error().context);
    co_return reply.SerializeAsString();
}

Task<Result<proto::CanStopReply>> Keeper::can_stop(NodeId node) {
    proto::CanStopRequest request;
    request.set_node_id(std::string(node.view()));
    auto task = leads() ? answer_can_stop(request.SerializeAsString())
                        : ask_leader(kCanStop, request.SerializeAsString());
    auto answered = co_await std::move(task);
    co_return parse<proto::CanStopReply>(answered);
}

// ---- transfer-leadership --------------------------------------------------------------------

Task<Result<std::string>> Keeper::answer_transfer(std::string payload) {
    if (!leads()) co_return std::unexpected(kNoLeader);
    CO_TRY_ASSIGN(const auto request,
                  parse<proto::TransferRequest>(Result<std::string>(std::move(payload))));
    NodeId to = NodeId::from_bytes(request.to()).value_or(NodeId{});
    const Facts now = facts();
    if (to.is_zero()) {
        for (const NodeFacts& node : now.nodes) {
            const bool is_fit = now.members.is_voter(node.id) && node.reachable && node.caught_up &&
                                !node.leaving && node.id != self_id_;
            if (is_fit) to = node.id;
        }
        if (to.is_zero()) co_return fail(Code::kPrecondition, "no other voter is fit to lead");
    }
    if (!is_reachable(to)) {
        co_return fail(Code::kPrecondition, roster_->name_of(to) + " does not answer");
    }
    const Result<void> begun = to == self_id_ ? Result<void>{} : replica_->transfer(to);
    if (!begun) co_return std::unexpected(begun.error());
    proto::TransferReply reply;
    reply.set_to(std::string(to.view()));
    co_return reply.SerializeAsString();
}

Task<Result<NodeId>> Keeper::transfer(NodeId to) {
    proto::TransferRequest request;
    if (!to.is_zero()) request.set_to(std::string(to.view()));
    auto task = leads() ? answer_transfer(request.SerializeAsString())
                        : ask_leader(kTransfer, request.SerializeAsString());
    auto answered = co_await std::move(task);
    CO_TRY_ASSIGN(const auto reply, parse<proto::TransferReply>(answered));
    const NodeId next = NodeId::from_bytes(reply.to()).value_or(NodeId{});
    const runtime::Time deadline = control_->clock.now() + kTransferWithin;
    while (replica_->driver().core().leader() != next) {
        if (control_->clock.now() >= deadline) {
            co_return fail(Code::kUnavailable, "leadership did not go over to " +
                                                   roster_->name_of(next) + " within 5 s");
        }
        co_await control_->clock.sleep(kLookAgain);
    }
    co_return next;
}

// ---- remove ---------------------------------------------------------------------------------

Task<Result<void>> Keeper::set_leaving(NodeId node, bool leaving) {
    Command command;
    command.mutable_set_leaving()->set_node_id(std::string(node.view()));
    command.mutable_set_leaving()->set_leaving(leaving);
    auto proposed = co_await replica_->propose(std::move(command));
    CO_TRY_ASSIGN(const Answer answer, proposed);
    if (answer.status() != Answer::OK) co_return fail(Code::kInvalid, answer.detail());
    co_return Result<void>{};
}

Task<Result<void>> Keeper::wait_until_it_votes_no_more(NodeId node) {
    const runtime::Time deadline = control_->clock.now() + kRemoveWithin;
    for (;;) {
        auto viewed = co_await replica_->view();
        CO_TRY_ASSIGN(const meta::View view, viewed);
        CO_TRY_ASSIGN(const auto stored, view.membership());
        if (stored) {
            CO_TRY_ASSIGN(const auto members, raft::members_from(*stored));
            if (!members.is_voter(node)) co_return Result<void>{};
        }
        if (stopping_ || control_->clock.now() >= deadline) {
            co_return fail(Code::kPrecondition,
                           "the node still votes: without it the voters that are up would be too "
                           "few, see `hamster status`");
        }
        co_await control_->clock.sleep(kLookAgain);
    }
}

// Whether nothing lies on it. Afterwards nothing can, if it is told to leave.
Task<Result<void>> Keeper::judge_removal(NodeId node, bool* was_leaving) {
    auto read = co_await layout_.read();
    CO_TRY_ASSIGN(const LayoutRows rows, read);
    const proto::Node* row = rows.find(node);
    if (row == nullptr) co_return fail(Code::kNotFound, "no member has this id");
    *was_leaving = row->leaving();
    if (rows.nodes.size() == 1) co_return fail(Code::kPrecondition, "it is the only node");
    auto why = why_not_removed(rows, node);
    if (!why.empty()) co_return fail(Code::kPrecondition, std::move(why));
    co_return Result<void>{};
}

Task<Result<void>> Keeper::let_go(NodeId node, bool lost) {
    if (!lost) {  // a lost one keeps its vote until it is no member: see Policy
        auto waited = co_await wait_until_it_votes_no_more(node);
        CO_TRY(waited);
    }
    Command command;
    command.mutable_remove_node()->set_node_id(std::string(node.view()));
    command.mutable_remove_node()->set_lost(lost);
    auto proposed = co_await replica_->propose(std::move(command));
    // Cut off the moment it was removed, before the answer came.
    if (!proposed && node == self_id_ && is_told_) co_return Result<void>{};
    CO_TRY_ASSIGN(const Answer answer, proposed);
    if (answer.status() == Answer::OK) co_return Result<void>{};
    co_return fail(Code::kPrecondition,
                   roster_->name_of(node) + " cannot be removed: " + answer.detail());
}

Task<Result<void>> Keeper::remove(NodeId node) {
    const std::string name = roster_->name_of(node);
    auto viewed = co_await replica_->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const bool is_gone, view.is_removed(node));
    if (is_gone) co_return Result<void>{};
    bool was_leaving = false;
    auto judged = co_await judge_removal(node, &was_leaving);
    CO_TRY(judged);
    auto leaving = co_await set_leaving(node, true);
    CO_TRY(leaving);
    auto removed = co_await let_go(node, false);
    if (removed || was_leaving) co_return removed;
    auto undone = co_await set_leaving(node, false);
    if (!undone) LOG_WARN("cluster", "{} stays marked as leaving", name);
    co_return removed;
}

// ---- remove -lost ---------------------------------------------------------------------------

Task<Result<bool>> Keeper::answers_somebody(NodeId node) {
    if (node == self_id_) co_return true;
    const bool answers_here = co_await ask_health(node);
    if (answers_here) co_return true;
    auto asked = co_await status();
    CO_TRY_ASSIGN(const ClusterStatus status, asked);
    co_return std::ranges::any_of(status.members(), [&](const ClusterStatus::Member& member) {
        return member.node().node_id() == node.view() && member.is_reachable();
    });
}

Task<Result<NodeLoss>> Keeper::remove_lost(NodeId node, bool agreed) {
    const std::string name = roster_->name_of(node);
    auto viewed = co_await replica_->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    NodeLoss loss;
    CO_TRY_ASSIGN(loss.is_removed, view.is_removed(node));
    if (loss.is_removed) co_return loss;
    auto answers = co_await answers_somebody(node);
    CO_TRY(answers);
    if (*answers) {
        co_return fail(Code::kPrecondition,
                       fmt::format("{0} answers, so nothing of it is lost: `hamster drain {0}`, "
                                   "then remove it without -lost",
                                   name));
    }
    auto read = co_await layout_.read();
    CO_TRY_ASSIGN(const LayoutRows rows, read);
    auto why = why_not_given_up(rows, node);
    if (!why.empty()) co_return fail(Code::kPrecondition, std::move(why));
    loss.slots = rows.slots_on(node);
    loss.blobs = rows.blobs.contains(node) ? rows.blobs.at(node) : 0;
    if (rows.is_empty(node)) {
        auto removed = co_await remove(node);
        CO_TRY(removed);
    } else if (agreed) {
        auto gone = co_await let_go(node, true);
        CO_TRY(gone);
    } else {
        co_return loss;
    }
    loss.is_removed = true;
    co_return loss;
}

}  // namespace hamster::cluster
