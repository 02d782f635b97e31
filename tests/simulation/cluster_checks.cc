// What must hold once everything has healed.
#include <fmt/format.h>

#include <set>

#include "cluster/policy.h"
#include "cluster_world.h"
#include "placement/profile.h"
#include "runtime/prng.h"

namespace hamster::simulation {

namespace {

struct Rows {
    std::uint64_t hash = 0;
    std::map<std::string, std::uint64_t> each;  // hash of the value, by key
};

Rows rows_of(const meta::View& view) {
    Rows rows;
    const auto at = view.rows().iterate();
    for (at->seek(""); at->valid(); at->next()) {
        const std::uint64_t value = runtime::mix_text(1, at->value());
        rows.hash = runtime::mix_text(rows.hash ^ value, at->key());
        rows.each[std::string(at->key())] = value;
    }
    return rows;
}

std::string printable(std::string_view key) {
    std::string out;
    for (const char c : key) {
        if (c >= ' ' && c <= '~') {
            out += c;
        } else {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

// The first row in which they differ.
std::string difference(const Rows& a, const Rows& b) {
    for (const auto& [key, value] : a.each) {
        const auto other = b.each.find(key);
        if (other == b.each.end()) return printable(key) + " is in the first only";
        if (other->second != value) return printable(key) + " differs";
    }
    for (const auto& [key, value] : b.each) {
        if (!a.each.contains(key)) return printable(key) + " is in the second only";
    }
    return "nothing";
}

}  // namespace

void SimCluster::note_removed(const meta::View& view) {
    for (const auto& member : members_) {
        if (!member->id.is_zero() && view.is_removed(member->id).value_or(false)) {
            member->is_removed = true;
        }
    }
}

// Who has been replaced goes by itself, also while it is asked something.
bool SimCluster::has_left(const Member& member) {
    Member* const best = most_advanced();
    if (best != nullptr) note_removed(best->node()->metadata().here());
    return member.is_removed;
}

std::string SimCluster::unsettled() {
    Member* const head = leader();
    if (head == nullptr) return "nobody leads";
    const meta::View view = head->node()->metadata().here();
    const raft::Driver& driver = head->node()->metadata().driver();
    const auto nodes = view.nodes();
    if (!nodes) return "the members cannot be read: " + nodes.error().context;
    note_removed(view);
    bool is_leaving = false;
    std::set<base::NodeId> ids;
    for (const proto::Node& node : *nodes) {
        ids.insert(*base::NodeId::from_bytes(node.node_id()));
        is_leaving = is_leaving || node.leaving();
    }
    for (const auto& member : members_) {
        if (!member->has_begun || member->is_removed || member->has_bad_token) continue;
        if (member->node() == nullptr || member->is_stopping) {
            return member->name() + " does not serve";
        }
        if (!ids.contains(member->id)) return member->name() + " is no member";
        const raft::Driver& its = member->node()->metadata().driver();
        if (its.applied() != driver.applied()) {
            return fmt::format("{} has applied {}, the leader {}", member->name(),
                               its.applied().value, driver.applied().value);
        }
        if (its.core().leader() != head->id) return member->name() + " does not know the leader";
    }
    const raft::Members& in_force = driver.core().members();
    std::set<base::NodeId> taking_part = in_force.voters;
    taking_part.insert(in_force.learners.begin(), in_force.learners.end());
    if (driver.core().has_pending_membership()) return "the membership is changing";
    if (driver.applied() != driver.core().log().last().index) return "the log is not applied";
    if (taking_part != ids) return "those who take part are not the members";
    const std::size_t wanted = cluster::voters_wanted(ids.size());
    if (in_force.voters.size() != wanted && !is_leaving) {
        return fmt::format("{} vote, not {}", in_force.voters.size(), wanted);
    }
    return {};
}

bool SimCluster::is_laid_out() {
    Member* const head = leader();
    if (head == nullptr) return false;
    const auto layout = head->node()->metadata().here().layout();
    const auto wanted = placement::profile_for(serving().size());
    return layout && layout->version() > 0 && layout->unsettled() == 0 && layout->k() == wanted.k &&
           layout->m() == wanted.m;
}

std::vector<Member*> SimCluster::leaving() {
    std::vector<Member*> out;
    Member* const head = leader();
    if (head == nullptr) return out;
    const meta::View view = head->node()->metadata().here();
    for (const auto& member : members_) {
        const auto row = view.node(member->id);
        if (row && *row && (*row)->leaving()) out.push_back(member.get());
    }
    return out;
}

void SimCluster::compare_replicas() {
    std::optional<Rows> first;
    std::string first_name;
    for (const auto& member : members_) {
        if (member->node() == nullptr || member->is_removed) continue;
        Rows rows = rows_of(member->node()->metadata().here());
        if (!first) {
            first = std::move(rows);
            first_name = member->name();
        } else if (first->hash != rows.hash) {
            report_->violation(
                "I9", fmt::format("{} and {} have applied the same entries and hold different "
                                  "rows: {}",
                                  first_name, member->name(), difference(*first, rows)));
        }
    }
    report_->reached("replicas.compared");
}

}  // namespace hamster::simulation
