#include "cluster/topology.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace hamster::cluster {

namespace {

std::string label(const NodeFacts& node) { return node.name.empty() ? node.id.hex() : node.name; }

bool is_up(const Facts& facts, const NodeFacts& node) {
    return node.reachable || node.id == facts.leader;
}

std::size_t majority(const Facts& facts) { return facts.members.voters.size() / 2 + 1; }

// Voters that are up. Removed ones are not: they were cut off.
std::vector<const NodeFacts*> live_voters(const Facts& facts) {
    std::vector<const NodeFacts*> live;
    for (const NodeFacts& node : facts.nodes) {
        if (facts.members.is_voter(node.id) && is_up(facts, node)) live.push_back(&node);
    }
    return live;
}

// By zone or host: the voters, or all nodes, that are there. Who names none is left out.
using Groups = std::map<std::string, std::vector<const NodeFacts*>>;
Groups group(const Facts& facts, std::string NodeFacts::* field, bool voters_only) {
    Groups groups;
    for (const NodeFacts& node : facts.nodes) {
        if ((node.*field).empty()) continue;
        if (voters_only && !facts.members.is_voter(node.id)) continue;
        groups[node.*field].push_back(&node);
    }
    return groups;
}

std::string names(const std::vector<const NodeFacts*>& nodes) {
    std::string out;
    for (const NodeFacts* node : nodes) {
        if (!out.empty()) out += ", ";
        out += label(*node);
    }
    return out;
}

// Losing all of a zone, or a host, takes this many voters at once.
void note_groups(const Facts& facts, std::string NodeFacts::* field, std::string_view what,
                 std::vector<std::string>& notes) {
    const std::size_t voters = facts.members.voters.size();
    if (voters < 3) return;  // losing one stops writes anyway, and is said
    for (const auto& [name, nodes] : group(facts, field, true)) {
        const std::string place = std::string(what) + " (" + name + "): losing it stops writes";
        if (nodes.size() == voters) {
            notes.push_back("all voters are " + place);
        } else if (voters - nodes.size() < majority(facts)) {
            notes.push_back(std::to_string(nodes.size()) + " of " + std::to_string(voters) +
                            " voters are " + place);
        }
    }
}

void note_size(const Facts& facts, std::vector<std::string>& notes) {
    const std::size_t nodes = facts.nodes.size();
    const std::size_t live = live_voters(facts).size();
    if (live < majority(facts)) {
        notes.push_back(
            "only " + std::to_string(live) + " of " + std::to_string(facts.members.voters.size()) +
            " voters are up: no writes until there are " + std::to_string(majority(facts)));
    } else if (nodes == 1) {
        notes.emplace_back("1 node: losing it stops everything; add two more");
    } else if (nodes == 2) {
        notes.emplace_back("2 nodes: losing one stops writes; add a third");
    } else if (live == majority(facts)) {
        notes.push_back(std::to_string(live) + " of " +
                        std::to_string(facts.members.voters.size()) +
                        " voters are up: losing one more stops writes");
    }
}

}  // namespace

Result<void> can_stop(const Facts& facts, const NodeId& node) {
    const auto at = std::ranges::find(facts.nodes, node, &NodeFacts::id);
    if (at == facts.nodes.end()) return fail(Code::kNotFound, "no member has this id");
    const auto refuse = [](std::string why) { return fail(Code::kPrecondition, std::move(why)); };
    const auto live = live_voters(facts);
    const auto left = static_cast<std::size_t>(
        std::ranges::count_if(live, [&node](const NodeFacts* voter) { return voter->id != node; }));
    if (left < majority(facts)) {
        return refuse("without " + label(*at) + " only " + std::to_string(left) + " of " +
                      std::to_string(facts.members.voters.size()) +
                      " voters are left: writes would stop");
    }
    for (const NodeFacts& other : facts.nodes) {
        if (other.id != node && !is_up(facts, other)) return refuse(label(other) + " is down");
    }
    for (const NodeFacts& other : facts.nodes) {
        if (other.id == node || other.id == facts.leader || other.caught_up) continue;
        return refuse(label(other) + " is still catching up");
    }
    if (facts.change_pending) return refuse("a change of the membership is under way");
    const Step step = next_step(facts);
    if (const auto* change = std::get_if<Change>(&step)) {
        return refuse("a change of the membership is due: " + change->why);
    }
    if (const auto* hand_over = std::get_if<HandOver>(&step)) {
        return refuse("the leader is about to change: " + hand_over->why);
    }
    return {};
}

std::vector<std::string> topology_notes(const Facts& facts) {
    std::vector<std::string> notes;
    note_size(facts, notes);
    note_groups(facts, &NodeFacts::zone, "in one zone", notes);
    note_groups(facts, &NodeFacts::host, "on one host", notes);
    for (const auto& [host, nodes] : group(facts, &NodeFacts::host, false)) {
        if (nodes.size() < 2) continue;
        notes.push_back(std::to_string(nodes.size()) + " nodes on one host (" + host +
                        "): " + names(nodes));
    }
    return notes;
}

}  // namespace hamster::cluster
