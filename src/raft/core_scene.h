// Cores of several nodes with the world made of dice: messages get lost, doubled and out of order,
// disks lag and lose what was not durable, nodes die and come back. What must always hold is
// checked after each step. For tests.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/core.h"

namespace hamster::raft::testing {

using proto::Entry;
using proto::RaftMessage;

inline NodeId node_id(std::uint8_t number) {
    NodeId id;
    id.raw.back() = std::byte{number};
    return id;
}

// What an applied entry was. Commands and configurations count alike.
struct Applied {
    std::uint64_t term = 0;
    std::string payload;
    bool operator==(const Applied&) const = default;
};

// A disk and what runs on it.
class Node {
  public:
    struct Write {
        std::optional<Vote> vote;
        std::optional<LogIndex> truncate_from;
        std::vector<Entry> append;
        std::uint64_t id = 0;
    };
    // The disk. `state` is what was applied up to the log's base.
    Vote vote;
    Position base;
    Members base_members;
    std::vector<Entry> log;  // behind the base
    std::vector<Applied> state;

    // The process.
    std::unique_ptr<Core> core;
    std::vector<Entry> cache;  // the log as the core has it
    std::vector<Applied> applied;
    std::vector<Write> writes;
    bool is_full = false;  // its disk took no more when it last tried

    [[nodiscard]] bool is_up() const { return core != nullptr; }
    [[nodiscard]] LogIndex applied_index() const { return LogIndex{applied.size()}; }

    void start(const NodeId& self, std::uint64_t seed) {
        Restored restored;
        restored.vote = vote;
        restored.log = TermMap(base);
        restored.applied = base.index;
        restored.memberships = {{base.index, base_members}};
        for (const Entry& entry : log) {
            restored.log.append(Term{entry.term()});
            if (entry.kind() != Entry::CONFIGURATION) continue;
            proto::Membership stored;
            stored.ParseFromString(entry.payload());
            restored.memberships.emplace_back(LogIndex{entry.index()}, *members_from(stored));
        }
        cache = log;
        applied = state;
        is_full = false;
        core = std::make_unique<Core>(Options{self, seed, 10, 2, 4}, std::move(restored));
    }
    // Some of the writes that were under way happened, in order.
    void crash(std::size_t writes_done) {
        for (std::size_t i = 0; i < writes_done; ++i) perform(writes[i]);
        writes.clear();
        core.reset();
    }
    void perform(const Write& write) {
        if (write.vote) vote = *write.vote;
        if (write.truncate_from) cut(log, *write.truncate_from);
        log.insert(log.end(), write.append.begin(), write.append.end());
    }
    void cut(std::vector<Entry>& entries, LogIndex from) const {
        while (!entries.empty() && entries.back().index() >= from.value) entries.pop_back();
    }
    void compact_to(LogIndex index) {
        if (index <= base.index || log.empty() || index.value > log.back().index()) return;
        const auto term = core->log().term_at(index);
        for (const Entry& entry : log) {
            if (entry.index() > index.value || entry.kind() != Entry::CONFIGURATION) continue;
            proto::Membership stored;
            stored.ParseFromString(entry.payload());
            base_members = *members_from(stored);
        }
        std::erase_if(log, [index](const Entry& e) { return e.index() <= index.value; });
        std::erase_if(cache, [index](const Entry& e) { return e.index() <= index.value; });
        state.assign(applied.begin(), applied.begin() + static_cast<std::ptrdiff_t>(index.value));
        base = {index, *term};
        core->compacted(index);
    }
};

class Scene {
  public:
    struct Snapshot {
        std::uint8_t from = 0;
        std::uint8_t to = 0;
        Position at;
        Members members;
        std::vector<Applied> state;
    };

    Scene(std::uint64_t seed, std::uint8_t voters, std::uint8_t nodes)
        : dice_(runtime::Prng::split(seed, "scene")), seed_(seed) {
        Members first;
        for (std::uint8_t n = 1; n <= voters; ++n) first.voters.insert(node_id(n));
        for (std::uint8_t n = 1; n <= nodes; ++n) {
            nodes_[n].base_members = first;
            start(n);
        }
    }

    std::map<std::uint8_t, Node>& nodes() { return nodes_; }
    Node& node(std::uint8_t n) { return nodes_.at(n); }
    Core& core(std::uint8_t n) { return *nodes_.at(n).core; }
    std::vector<RaftMessage>& network() { return network_; }
    std::set<std::pair<std::uint8_t, std::uint8_t>>& cut_links() { return cut_links_; }
    [[nodiscard]] bool chance(std::uint64_t percent) { return dice_.below(100) < percent; }
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return dice_.below(n); }
    std::string broken;  // the first promise that was broken, and where everybody stood
    std::uint64_t loss_percent = 0;
    std::uint64_t double_percent = 0;
    std::uint64_t most_entries = 4;  // of one append
    std::size_t commands = 0;        // distinct payloads proposed
    std::size_t reads_confirmed = 0;
    std::size_t snapshots_installed = 0;
    std::size_t membership_changes = 0;  // begun
    std::size_t transfers = 0;           // begun
    std::size_t taken_back = 0;          // proposals, for want of space
    std::size_t damages = 0;
    std::size_t damages_of_two = 0;  // of them, to one of two voters

    void start(std::uint8_t n) {
        node(n).start(node_id(n), seed_ * 1000 + n + 100 * ++starts_);
        settle(n);
    }
    void crash(std::uint8_t n) {
        Node& it = node(n);
        it.crash(below(it.writes.size() + 1));
        std::erase_if(reads_, [n](const auto& read) { return read.first.first == n; });
    }

    // Its log does not verify any more: what is not in the state is gone (Vote::rejoin).
    void damage(std::uint8_t n) {
        Node& it = node(n);
        const NodeId peer = it.vote.only_peer;
        crash(n);
        if (it.vote.only_peer != peer) return;  // other nodes are to have it all now
        it.log.clear();
        const Term next{it.vote.term.value + 1};
        it.vote = {next, NodeId{}, next, it.vote.only_peer};
        damaged_.insert(n);
        ++damages;
        if (!peer.is_zero()) ++damages_of_two;
    }
    // How many of those damaged do not help the others yet.
    std::size_t damaged() {
        std::erase_if(damaged_, [this](std::uint8_t n) {
            return node(n).is_up() && core(n).has_caught_up();
        });
        return damaged_.size();
    }

    // Who leads in the highest term, if anybody.
    std::optional<std::uint8_t> leader() {
        std::optional<std::uint8_t> best;
        for (auto& [n, it] : nodes_) {
            if (!it.is_up() || it.core->role() != Role::kLeader) continue;
            if (!best || core(*best).term() < it.core->term()) best = n;
        }
        return best;
    }

    // Performs what the core wants, as far as it needs no disk and no time.
    void settle(std::uint8_t n) {
        Node& it = node(n);
        for (bool again = true; again;) {
            Output out = it.core->take();
            again = !out.sends.empty();
            if (out.vote || out.truncate_from || !out.append.empty()) {
                if (out.truncate_from) it.cut(it.cache, *out.truncate_from);
                it.cache.insert(it.cache.end(), out.append.begin(), out.append.end());
                it.writes.push_back(
                    {out.vote, out.truncate_from, std::move(out.append), out.write});
            }
            for (RaftMessage& message : out.messages) post(std::move(message));
            for (Send& send : out.sends) load(it, std::move(send));
            for (const NodeId& to : out.snapshots) offer_snapshot(n, it, to);
            for (const Read& read : out.reads) check_read(n, read);
        }
        apply(it);
        check_leader(n, it);
    }

    void tick(std::uint8_t n) {
        core(n).tick();
        settle(n);
    }
    void finish_write(std::uint8_t n) {
        Node& it = node(n);
        if (it.writes.empty()) return;
        const Node::Write write = std::move(it.writes.front());
        it.writes.erase(it.writes.begin());
        it.perform(write);
        if (write.vote) it.core->vote_persisted(*write.vote);
        if (write.id != 0) it.core->persisted(write.id);
        if (std::exchange(it.is_full, false)) it.core->set_may_campaign(true);
        settle(n);
    }
    // The disk has room for a part of the next write only.
    void run_out_of_space(std::uint8_t n) {
        Node& it = node(n);
        if (it.writes.empty()) return;
        if (it.core->role() != Role::kLeader || !take_back(it)) {
            it.core->step_down();
            it.core->set_may_campaign(false);
            it.is_full = true;
        }
        settle(n);
    }
    void hand_over(const RaftMessage& message) {
        const std::uint8_t to = number_of(message.to());
        if (!node(to).is_up()) return;
        RaftMessage parsed;  // as the wire would have it
        require(parsed.ParseFromString(message.SerializeAsString()), "a message does not parse");
        core(to).receive(parsed);
        settle(to);
    }
    void deliver(std::size_t at) {
        const RaftMessage message = network_[at];
        if (!chance(double_percent)) {
            network_[at] = std::move(network_.back());
            network_.pop_back();
        }
        const std::uint8_t from = number_of(message.from());
        const std::uint8_t to = number_of(message.to());
        if (!chance(loss_percent) && !cut_links_.contains({from, to})) hand_over(message);
    }
    void deliver_snapshot() {
        if (snapshots_.empty()) return;
        const Snapshot snapshot = std::move(snapshots_.back());
        snapshots_.pop_back();
        const bool arrives = !chance(loss_percent) &&
                             !cut_links_.contains({snapshot.from, snapshot.to}) &&
                             node(snapshot.to).is_up();
        bool installed = false;
        if (arrives && core(snapshot.to).role() != Role::kLeader) {
            Node& it = node(snapshot.to);
            installed = it.core->install(snapshot.at, snapshot.members);
            if (installed) {
                // The vote stays as it is, on its way to the disk or there.
                for (Node::Write& write : it.writes) {
                    write.truncate_from.reset();
                    write.append.clear();
                    write.id = 0;
                }
                it.log.clear();
                it.cache.clear();
                it.base = snapshot.at;
                it.base_members = snapshot.members;
                it.state = it.applied = snapshot.state;
                ++snapshots_installed;
            }
            settle(snapshot.to);
        }
        if (!node(snapshot.from).is_up()) return;
        core(snapshot.from).snapshot_sent(node_id(snapshot.to), snapshot.at.index, installed);
        settle(snapshot.from);
    }
    void propose(std::uint8_t n) {
        (void)core(n).propose(Entry::COMMAND, "command " + std::to_string(++commands));
        settle(n);
    }
    void read(std::uint8_t n) {
        const std::uint64_t id = ++next_read_;
        reads_[{n, id}] = acknowledged_;
        core(n).read(id);
        settle(n);
    }
    void isolate(std::uint8_t n) {
        for (const auto& [other, it] : nodes_) {
            cut_links_.insert({n, other});
            cut_links_.insert({other, n});
        }
    }
    void compact(std::uint8_t n) {
        Node& it = node(n);
        const std::uint64_t room = it.applied.size() - it.base.index.value;
        if (room > 0) it.compact_to(LogIndex{it.base.index.value + 1 + below(room)});
    }
    void transfer(std::uint8_t n, std::uint8_t to) {
        if (core(n).transfer(node_id(to))) ++transfers;
        settle(n);
    }
    // One voter or learner more or less, if this node can have it so.
    void change_members(std::uint8_t n) {
        Members next = core(n).members();
        const NodeId subject = node_id(static_cast<std::uint8_t>(1 + below(nodes_.size())));
        if (next.voters.contains(subject)) {
            if (next.voters.size() > 1) next.voters.erase(subject);
        } else if (next.learners.contains(subject)) {
            next.learners.erase(subject);
            next.voters.insert(subject);
        } else {
            next.learners.insert(subject);
        }
        if (core(n).propose_membership(next)) ++membership_changes;
        settle(n);
    }

    // For failures: where everybody stands.
    std::string describe() {
        std::string out;
        for (auto& [n, it] : nodes_) {
            out += "node " + std::to_string(n);
            if (!it.is_up()) {
                out += " is down\n";
                continue;
            }
            const Core& c = *it.core;
            out += " role " + std::to_string(static_cast<int>(c.role())) + " term " +
                   std::to_string(c.term().value) + " log " +
                   std::to_string(c.log().base().index.value) + ".." +
                   std::to_string(c.log().last().index.value) + "@" +
                   std::to_string(c.log().last().term.value) + " commit " +
                   std::to_string(c.commit().value) + " applied " +
                   std::to_string(it.applied.size()) + " voters";
            for (const NodeId& id : c.members().voters) {
                out += " " + std::to_string(static_cast<int>(id.raw.back()));
            }
            out += " learners";
            for (const NodeId& id : c.members().learners) {
                out += " " + std::to_string(static_cast<int>(id.raw.back()));
            }
            out += "\n";
        }
        return out;
    }

    // Entries at one index with one term are the same, and so is everything before them.
    void check_logs_match() {
        for (auto& [a, first] : nodes_) {
            for (auto& [b, second] : nodes_) {
                if (a < b) check_match(first.log, second.log);
            }
        }
    }
    [[nodiscard]] const std::map<std::uint64_t, Applied>& committed() const { return committed_; }

  private:
    static std::uint8_t number_of(const std::string& id) {
        return static_cast<std::uint8_t>(id.back());
    }
    void post(RaftMessage message) {
        if (network_.size() < 2000) network_.push_back(std::move(message));
    }
    void load(Node& it, Send send) {
        auto& append = *send.message.mutable_append();
        const std::uint64_t most = 1 + below(most_entries);
        LogIndex last{send.first.value - 1};
        for (const Entry& entry : it.cache) {
            if (entry.index() < send.first.value || entry.index() > send.last.value) continue;
            if (entry.index() >= send.first.value + most) break;
            *append.add_entries() = entry;
            last = LogIndex{entry.index()};
        }
        const NodeId to = *NodeId::from_bytes(send.message.to());
        const Term term{send.message.term()};
        post(std::move(send.message));
        it.core->sent(to, term, last);
    }
    void offer_snapshot(std::uint8_t n, Node& it, const NodeId& to) {
        snapshots_.push_back(
            {n, number_of(std::string(to.view())), it.base, it.base_members, it.state});
    }
    bool take_back(Node& it) {
        std::vector<Entry>& next = it.writes.front().append;
        const auto part = static_cast<std::ptrdiff_t>(below(next.size() + 1));
        it.log.insert(it.log.end(), next.begin(), next.begin() + part);
        next.erase(next.begin(), next.begin() + part);
        const LogIndex durable = it.log.empty() ? it.base.index : LogIndex{it.log.back().index()};
        const auto from = it.core->take_back(durable);
        if (!from) return false;
        for (const Entry& entry : it.cache) {
            if (entry.index() < from->value) continue;
            require(entry.kind() == Entry::COMMAND, "more than a command was taken back");
            taken_back_.insert(entry.payload());
            ++taken_back;
        }
        it.cut(it.cache, *from);
        for (Node::Write& write : it.writes) it.cut(write.append, *from);
        return true;
    }
    void require(bool holds, const std::string& what) {
        if (!holds && broken.empty()) broken = what + "\n" + describe();
    }
    void apply(Node& it) {
        while (it.applied_index() < it.core->can_apply()) {
            const std::uint64_t index = it.applied.size() + 1;
            const auto entry = std::ranges::find(it.cache, index, &Entry::index);
            if (entry == it.cache.end()) return require(false, "a committed entry is gone");
            const Applied done{entry->term(), entry->payload()};
            require(!taken_back_.contains(done.payload), "what was taken back came true");
            const auto [known, is_first] = committed_.emplace(index, done);
            require(known->second == done,
                    "two entries were committed at " + std::to_string(index));
            it.applied.push_back(done);
            acknowledged_ = std::max(acknowledged_, index);
        }
    }
    void check_leader(std::uint8_t n, Node& it) {
        if (it.core->role() != Role::kLeader) return;
        const auto [of_term, is_new] = leaders_.emplace(it.core->term().value, n);
        require(of_term->second == n,
                "two leaders in term " + std::to_string(it.core->term().value));
        if (!is_new) return;
        for (const auto& [index, entry] : committed_) {
            if (index <= it.base.index.value) continue;
            const auto here = std::ranges::find(it.cache, index, &Entry::index);
            const bool has =
                here != it.cache.end() && Applied{here->term(), here->payload()} == entry;
            require(has, "the new leader lacks committed entry " + std::to_string(index));
        }
    }
    void check_read(std::uint8_t n, const Read& read) {
        const auto asked = reads_.find({n, read.id});
        if (asked == reads_.end()) return;  // a doubled answer
        if (read.confirmed) {
            ++reads_confirmed;
            require(read.index.value >= asked->second, "a read missed what was acknowledged");
        }
        reads_.erase(asked);
    }
    void check_match(const std::vector<Entry>& a, const std::vector<Entry>& b) {
        bool equal_behind = false;
        for (auto it = a.rbegin(); it != a.rend(); ++it) {
            const auto other = std::ranges::find(b, it->index(), &Entry::index);
            if (other == b.end()) continue;
            const bool same = other->term() == it->term();
            const std::string where = std::to_string(it->index());
            require(!same || other->payload() == it->payload(), "entries differ at " + where);
            require(same || !equal_behind, "logs part before what they share at " + where);
            equal_behind = same;
        }
    }

    runtime::Prng dice_;
    std::uint64_t seed_;
    std::uint64_t starts_ = 0;
    std::map<std::uint8_t, Node> nodes_;
    std::vector<RaftMessage> network_;
    std::vector<Snapshot> snapshots_;
    std::set<std::pair<std::uint8_t, std::uint8_t>> cut_links_;
    std::map<std::uint64_t, Applied> committed_;
    std::set<std::string> taken_back_;  // payloads
    std::set<std::uint8_t> damaged_;
    std::map<std::uint64_t, std::uint8_t> leaders_;  // by term
    std::uint64_t acknowledged_ = 0;
    std::uint64_t next_read_ = 0;
    std::map<std::pair<std::uint8_t, std::uint64_t>, std::uint64_t> reads_;
};

}  // namespace hamster::raft::testing
