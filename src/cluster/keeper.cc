#include "cluster/keeper.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "cluster/topology.h"

namespace hamster::cluster {

using proto::Answer;
using proto::Command;
using runtime::Micros;
using runtime::Task;

namespace {

constexpr Micros kAskEvery = std::chrono::seconds(1);
constexpr Micros kLeadEvery = std::chrono::milliseconds(250);
constexpr Micros kTellEvery = std::chrono::seconds(5);
constexpr Micros kNap = std::chrono::milliseconds(100);  // how late stop() may be noticed
constexpr Micros kHealthWithin = std::chrono::seconds(2);
// A follower this close to the end of the log may vote: it has the rest within a moment.
constexpr std::uint64_t kCloseEntries = 1000;
// Two heartbeats. Answers about health are older: a learner that died with a voter would become a
// voter, and with two of four gone the cluster would stand still for good.
constexpr std::uint64_t kHeardTicks = 4;
constexpr std::uint64_t kSilentTicks = 20;  // of raft: twice the shortest election

}  // namespace

Keeper::Keeper(runtime::World* control, meta::Replica* replica, Links* links, const Roster* roster,
               proto::Node self, HealthOf health)
    : control_(control),
      replica_(replica),
      links_(links),
      roster_(roster),
      self_(std::move(self)),
      self_id_(NodeId::from_bytes(self_.node_id()).value_or(NodeId{})),
      health_(std::move(health)),
      layout_(control, replica, [this] { return facts(); }) {
    HAMSTER_ASSERT(!self_id_.is_zero());
}

void Keeper::start() {
    links_->answer(kHealth, [this](NodeId from, std::string payload) {
        return answer_health(from, std::move(payload));
    });
    links_->answer(kStatus, [this](NodeId, std::string) { return answer_status(); });
    links_->answer(kCanStop, [this](NodeId, std::string payload) {
        return answer_can_stop(std::move(payload));
    });
    links_->answer(kTransfer, [this](NodeId, std::string payload) {
        return answer_transfer(std::move(payload));
    });
    runtime::spawn(control_->executor, gate_, "cluster tell", tell_loop());
    runtime::spawn(control_->executor, gate_, "cluster lead", lead_loop());
    layout_.start();
}

Task<void> Keeper::stop() {
    stopping_ = true;
    co_await layout_.stop();
    co_await gate_.close();
}

Task<bool> Keeper::pause(Micros time) {
    while (time.count() > 0 && !stopping_) {
        const Micros nap = std::min(time, kNap);
        co_await control_->clock.sleep(nap);
        time -= nap;
    }
    co_return !stopping_;
}

bool Keeper::leads() const { return replica_->driver().core().role() == raft::Role::kLeader; }

// ---- what this node says about itself -------------------------------------------------------

Task<void> Keeper::tell_loop() {
    for (bool go_on = true; go_on;) {
        auto told = co_await tell();
        if (!told) LOG_INFO("cluster", "telling about this node: {}", told.error().context);
        go_on = co_await pause(told ? kTellEvery : kAskEvery);
    }
}

Task<Result<void>> Keeper::tell() {
    const proto::Node* known = roster_->find(self_id_);
    if (known == nullptr || roster_->is_removed(self_id_)) co_return Result<void>{};
    proto::Node next = *known;
    next.set_name(self_.name());
    next.set_host(self_.host());
    next.set_zone(self_.zone());
    next.set_capacity_bytes(self_.capacity_bytes());
    next.set_address(self_.address());
    next.set_version(self_.version());
    next.set_s3_address(self_.s3_address());
    if (next.SerializeAsString() == known->SerializeAsString()) co_return Result<void>{};
    Command command;
    *command.mutable_update_node()->mutable_node() = std::move(next);
    auto proposed = co_await replica_->propose(std::move(command));
    CO_TRY_ASSIGN(const Answer answer, proposed);
    if (answer.status() != Answer::OK) co_return fail(Code::kInvalid, answer.detail());
    LOG_INFO("cluster", "the cluster knows this node as {} at {}", self_.name(), self_.address());
    co_return Result<void>{};
}

// ---- leading --------------------------------------------------------------------------------

Task<void> Keeper::lead_loop() {
    runtime::Time ask_at{};
    for (bool go_on = true; go_on;) {
        if (!leads()) seen_.clear();
        const bool is_led = !leads() && !replica_->driver().core().leader().is_zero();
        if (!is_led && control_->clock.now() >= ask_at) {
            ask_at = control_->clock.now() + kAskEvery;
            co_await ask_all();
        }
        if (leads() && !stopping_) co_await lead_once();
        go_on = co_await pause(kLeadEvery);
    }
}

// Nobody is waited for: who is asked and does not answer counts as out of reach. A node that hears
// of no leader asks the voters: one that came back may not know where to find us, and need our vote
// or our log; over the connection that this makes it can speak to us.
Task<void> Keeper::ask_all() {
    const auto& voters = replica_->driver().core().members().voters;
    for (const auto& [id, node] : roster_->nodes()) {
        if (!leads() && !voters.empty() && !voters.contains(id)) continue;
        Seen& seen = seen_[id];
        if (id == self_id_ || seen.is_asked) continue;
        seen.is_asked = true;
        runtime::spawn(control_->executor, gate_, "cluster health", ask_one(id));
    }
    std::erase_if(seen_, [this](const auto& entry) {
        return roster_->find(entry.first) == nullptr && !entry.second.is_asked;
    });
    co_return;
}

Task<void> Keeper::ask_one(NodeId node) {
    auto answers = co_await ask_health(node);
    (void)answers;
    if (const auto found = seen_.find(node); found != seen_.end()) found->second.is_asked = false;
}

// Who is removed while it is down, or cut off before it hears of it, learns it in this way.
void Keeper::note_refusal(NodeId node) {
    const bool is_refused = links_->trouble_with(node).contains("is not admitted to the cluster");
    if (is_refused) note_removed(roster_->name_of(node) + " does not admit it");
}

void Keeper::note_removed(const std::string& why) {
    if (is_told_) return;
    is_told_ = true;
    LOG_ERROR("cluster",
              "this node was removed from the cluster ({}): its data directory is of no more use; "
              "to come back, start with an empty one and a new token",
              why);
    replica_->end_waiting();
    if (gate_.is_open()) {
        runtime::spawn(control_->executor, gate_, "cluster removed", call_on_removed());
    }
}

// Who asked this node to remove itself gets his answer first.
Task<void> Keeper::call_on_removed() {
    co_await control_->clock.sleep(kAskEvery);
    if (on_removed_) on_removed_();
}

// Without a leader nobody can write down that a node moved, so the nodes tell each other: one that
// has another's ear learns from it where the rest is, the leader too if that one has a leader.
Task<Result<std::string>> Keeper::answer_health(NodeId from, std::string payload) {
    proto::HealthRequest request;
    if (!request.ParseFromString(payload)) co_return fail(Code::kInvalid, "unreadable request");
    proto::Health health = health_();
    if (request.address().empty()) co_return health.SerializeAsString();
    note_sighting(from, request.address(), Sightings::Source::kItself);
    for (const NodeId& voter : replica_->driver().core().members().voters) {
        const proto::Node* node = roster_->find(voter);
        if (voter == self_id_ || voter == from || node == nullptr) continue;
        proto::Whereabouts& told = *health.add_whereabouts();
        told.set_node_id(std::string(voter.view()));
        const std::string word = links_->sightings().word_of(voter);
        told.set_address(word.empty() ? node->address() : word);
    }
    co_return health.SerializeAsString();
}

// What the metadata says already is no sighting.
void Keeper::note_sighting(NodeId node, const std::string& address, Sightings::Source source) {
    const proto::Node* known = roster_->find(node);
    if (node == self_id_ || known == nullptr || known->address() == address) return;
    links_->sightings().hear(node, address, source);
}

Task<bool> Keeper::ask_health(NodeId node) {
    proto::HealthRequest request;
    if (replica_->driver().core().leader().is_zero()) request.set_address(self_.address());
    auto reply = co_await links_->call(node, kHealth, request.SerializeAsString(), kHealthWithin);
    proto::Health health;
    const bool answers = reply && health.ParseFromString(*reply);
    if (!answers) note_refusal(node);
    Seen& seen = seen_[node];
    seen.answers = answers;
    if (answers) {
        for (const proto::Whereabouts& told : health.whereabouts()) {
            const auto voter = NodeId::from_bytes(told.node_id());
            if (voter) note_sighting(*voter, told.address(), Sightings::Source::kOthers);
        }
        health.clear_whereabouts();
        seen.answered = control_->clock.now();
        seen.health = std::move(health);
    }
    co_return answers;
}

// Until it was asked for the first time, what raft hears of it must do.
bool Keeper::is_reachable(NodeId node) const {
    if (node == self_id_) return true;
    const auto seen = seen_.find(node);
    const bool was_asked = seen != seen_.end() && (seen->second.answered || !seen->second.is_asked);
    if (was_asked) return seen->second.answers;
    const auto& progress = replica_->driver().core().progress();
    const auto followed = progress.find(node);
    return followed != progress.end() && followed->second.ticks_since_heard < kSilentTicks;
}

Facts Keeper::facts() const {
    const raft::Core& core = replica_->driver().core();
    Facts facts;
    facts.members = core.members();
    facts.leader = core.leader();
    facts.change_pending = core.has_pending_membership();
    const std::uint64_t last = core.log().last().index.value;
    for (const auto& [id, node] : roster_->nodes()) {
        NodeFacts& fact = facts.nodes.emplace_back();
        fact.id = id;
        fact.name = node.name();
        fact.zone = node.zone();
        fact.host = node.host();
        fact.leaving = node.leaving();
        fact.is_drained = node.leaving() && layout_.is_drained(id);
        fact.reachable = is_reachable(id);
        const auto progress = core.progress().find(id);
        fact.is_heard = id == self_id_ || (progress != core.progress().end() &&
                                           progress->second.ticks_since_heard <= kHeardTicks);
        fact.caught_up =
            id == self_id_ || (progress != core.progress().end() &&
                               progress->second.state == raft::Progress::State::kReplicate &&
                               progress->second.match.value + kCloseEntries >= last);
    }
    return facts;
}

// Whether every node answers right now.
Task<void> Keeper::ask_all_now() {
    std::vector<Task<bool>> asking;
    for (const auto& [id, known] : roster_->nodes()) {
        if (id != self_id_) asking.push_back(ask_health(id));
    }
    auto answers = co_await runtime::when_all(std::move(asking));
    (void)answers;
}

Task<void> Keeper::lead_once() {
    if (roster_->nodes().empty() || changing_) co_return;
    Step step = next_step(facts());
    // A vote more needs more of them to be up, as a vote less does.
    const auto changes_votes = [this](const Step& next) {
        const auto* change = std::get_if<Change>(&next);
        return change != nullptr &&
               change->next.voters != replica_->driver().core().members().voters;
    };
    if (changes_votes(step)) {  // who answered a second ago may be dead by now
        co_await ask_all_now();
        if (!leads() || stopping_) co_return;
        step = next_step(facts());
    }
    if (const auto* change = std::get_if<Change>(&step)) {
        LOG_INFO("cluster", "voters: {}", change->why);
        changing_ = true;
        auto changed = co_await replica_->change_members(change->next);
        changing_ = false;
        if (!changed) LOG_INFO("cluster", "voters: {}", changed.error().context);
    } else if (const auto* hand_over = std::get_if<HandOver>(&step)) {
        LOG_INFO("cluster", "leadership: {}", hand_over->why);
        auto begun = replica_->transfer(hand_over->to);
        if (!begun) LOG_INFO("cluster", "leadership: {}", begun.error().context);
        (void)co_await pause(kAskEvery);
    }
}

}  // namespace hamster::cluster
