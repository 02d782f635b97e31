#include "meta/apply_cluster_rules.h"
#include "meta/apply_parts.h"
#include "meta/keyspace.h"
#include "meta/limits.h"

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
    return std::nullopt;
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
    TRY_ASSIGN(const bool holds_blobs, txn.exists(blobs_held_row(*id)));
    if (holds_blobs && !command.lost()) {
        return refuse(Answer::NODE_NOT_EMPTY, "node " + member->name() + " still holds objects");
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
