#include <algorithm>

#include "meta/apply_cluster_rules.h"
#include "meta/apply_parts.h"
#include "meta/keyspace.h"
#include "meta/layout_rows.h"
#include "meta/limits.h"
#include "placement/profile.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;
using Refusal = std::optional<Answer>;

constexpr std::size_t kPublicKeyBytes = 32;  // Ed25519

// Whether `name` is free for the node `id`.
Result<Refusal> judge_name(const Txn& txn, const std::string& name, const std::string& id) {
    TRY_ASSIGN(const auto holder, txn.get(node_name_row(name)));
    if (!holder || *holder == id) return std::nullopt;
    return refuse(Answer::NODE_EXISTS, "another member is called " + name);
}

Result<std::vector<Txn::Row>> members(const Txn& txn, std::size_t limit) {
    const std::string all = table_prefix(Table::kNode);
    return txn.scan(all, after_prefix(all), limit);
}

// A node may take the place of a member that no other one is to replace.
Result<Refusal> judge_replaces(const std::vector<Txn::Row>& rows, const proto::Node& node) {
    if (node.replaces().empty()) return std::nullopt;
    bool is_member = false;
    for (const Txn::Row& row : rows) {
        proto::Node member;
        if (!member.ParseFromString(row.value)) return Txn::corrupt_row(row.key);
        if (member.replaces() == node.replaces()) {
            return refuse(Answer::INVALID_REQUEST, member.name() + " replaces that node already");
        }
        is_member = is_member || member.node_id() == node.replaces();
    }
    if (is_member) return std::nullopt;
    return refuse(Answer::INVALID_REQUEST, "the node that is to be replaced is no member");
}

// What keeps a member that stays from going: somebody must take what lies on those that leave, and
// the chosen profile needs its number of nodes.
Result<Refusal> judge_going(const Txn& txn, const proto::Node& member) {
    if (member.leaving()) return std::nullopt;
    TRY_ASSIGN(const std::size_t staying, count_staying(txn));
    if (staying < 2) {
        return refuse(Answer::INVALID_REQUEST,
                      "all other nodes are leaving: add one, or undrain one, before " +
                          member.name() + " goes");
    }
    TRY_ASSIGN(const auto layout, load_layout(txn));
    if (layout.pinned().empty()) return std::nullopt;
    const auto profile = placement::parse_profile(layout.pinned());
    if (!profile) return Txn::corrupt_row(system_row("layout"));
    if (staying > profile->width()) return std::nullopt;
    return refuse(Answer::PROFILE_IMPOSSIBLE,
                  "without " + member.name() + " too few nodes are left for the chosen profile " +
                      layout.pinned());
}

// Whether a shard may be on the node according to the layout. Before the first one every body lies
// with the node that took it in, and is counted there.
Result<bool> is_in_layout(const Txn& txn, const NodeId& node) {
    TRY_ASSIGN(const proto::Layout layout, load_layout(txn));
    if (layout.version() == 0) return false;
    TRY_ASSIGN(const auto all, load_all_places(txn));
    return std::ranges::any_of(all, [&node](const PartitionPlaces& places) {
        const auto is_node = [&node](const NodeId& other) { return other == node; };
        return std::ranges::any_of(places.nodes, is_node) ||
               std::ranges::any_of(places.sources, is_node, &PartitionPlaces::Source::node);
    });
}

// What keeps a member that is not lost from being removed.
Result<Refusal> judge_removal(const Txn& txn, const NodeId& id, const proto::Node& member) {
    TRY_ASSIGN(const bool holds_blobs, txn.exists(blobs_held_row(id)));
    TRY_ASSIGN(const bool has_slots, is_in_layout(txn, id));
    if (!holds_blobs && !has_slots) return std::nullopt;
    return refuse(Answer::NODE_NOT_EMPTY, "node " + member.name() + " still holds objects");
}

// Why there is no member of this id.
Answered refuse_stranger(const Txn& txn, const NodeId& id) {
    TRY_ASSIGN(const bool removed, txn.exists(removed_node_row(id)));
    if (removed) return refuse(Answer::NODE_REMOVED, "the node was removed: its id is spent");
    return refuse(Answer::NO_SUCH_NODE);
}

}  // namespace

Result<std::optional<Answer>> judge_newcomer(const Txn& txn, const proto::Node& node) {
    const auto id = NodeId::from_bytes(node.node_id());
    if (!id || id->is_zero() || node.public_key().size() != kPublicKeyBytes) {
        return refuse(Answer::INVALID_REQUEST, "malformed node id or public key");
    }
    if (auto flaw = flaw_of(node)) return refuse(Answer::INVALID_REQUEST, *std::move(flaw));
    TRY_ASSIGN(auto taken, judge_name(txn, node.name(), node.node_id()));
    if (taken) return taken;
    TRY_ASSIGN(const auto rows, members(txn, kMaxNodes));
    if (rows.size() == kMaxNodes) {
        return refuse(Answer::INVALID_REQUEST, "the cluster has as many members as it can");
    }
    return judge_replaces(rows, node);
}

void put_new_node(Txn& txn, proto::Node node) {
    node.set_joined_ms(txn.stamp_ms());
    node.set_leaving(false);
    txn.put(node_name_row(node.name()), node.node_id());
    txn.put(node_row(*NodeId::from_bytes(node.node_id())), node);
}

Answered update_member(Txn& txn, proto::Node member, const proto::Node& said) {
    if (auto flaw = flaw_of(said)) return refuse(Answer::INVALID_REQUEST, *std::move(flaw));
    TRY_ASSIGN(const auto taken, judge_name(txn, said.name(), member.node_id()));
    if (taken) return *taken;
    if (member.name() != said.name()) txn.erase(node_name_row(member.name()));
    member.set_name(said.name());
    member.set_host(said.host());
    member.set_zone(said.zone());
    member.set_capacity_bytes(said.capacity_bytes());
    member.set_address(said.address());
    member.set_version(said.version());
    member.set_s3_address(said.s3_address());
    txn.put(node_name_row(member.name()), member.node_id());
    txn.put(node_row(*NodeId::from_bytes(member.node_id())), member);
    return Answer{};
}

Result<std::size_t> count_staying(const Txn& txn) {
    TRY_ASSIGN(const auto rows, members(txn, kMaxNodes));
    std::size_t staying = 0;
    for (const Txn::Row& row : rows) {
        proto::Node member;
        if (!member.ParseFromString(row.value)) return Txn::corrupt_row(row.key);
        staying += member.leaving() ? 0 : 1;
    }
    return staying;
}

Answered apply_update_node(Txn& txn, const proto::UpdateNode& command) {
    const auto id = NodeId::from_bytes(command.node().node_id());
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed node id");
    TRY_ASSIGN(auto member, txn.load<proto::Node>(node_row(*id)));
    if (!member) return refuse_stranger(txn, *id);
    return update_member(txn, std::move(*member), command.node());
}

Answered apply_set_leaving(Txn& txn, const proto::SetLeaving& command) {
    const auto id = NodeId::from_bytes(command.node_id());
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed node id");
    TRY_ASSIGN(auto member, txn.load<proto::Node>(node_row(*id)));
    if (!member) return refuse_stranger(txn, *id);
    if (command.leaving()) {
        TRY_ASSIGN(const auto refusal, judge_going(txn, *member));
        if (refusal) return *refusal;
    }
    member->set_leaving(command.leaving());
    txn.put(node_row(*id), *member);
    return Answer{};
}

Answered apply_remove_node(Txn& txn, const proto::RemoveNode& command) {
    const auto id = NodeId::from_bytes(command.node_id());
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed node id");
    TRY_ASSIGN(const bool removed, txn.exists(removed_node_row(*id)));
    if (removed) return Answer{};
    TRY_ASSIGN(const auto member, txn.load<proto::Node>(node_row(*id)));
    if (!member) return refuse(Answer::NO_SUCH_NODE);
    TRY_ASSIGN(const auto rows, members(txn, 2));
    if (rows.size() < 2) {
        return refuse(Answer::INVALID_REQUEST, "the last member cannot be removed");
    }
    if (!command.lost()) {
        TRY_ASSIGN(const auto refusal, judge_removal(txn, *id, *member));
        if (refusal) return *refusal;
        TRY_ASSIGN(const auto needed, judge_going(txn, *member));
        if (needed) return *needed;
    }
    proto::RemovedNode row;
    row.set_name(member->name());
    row.set_removed_ms(txn.stamp_ms());
    txn.put(removed_node_row(*id), row);
    txn.erase(node_name_row(member->name()));
    txn.erase(node_row(*id));
    return Answer{};
}

}  // namespace hamster::meta
