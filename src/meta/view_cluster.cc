// The cluster's own rows: members, tokens, trust.
#include "meta/limits.h"
#include "meta/view.h"
#include "meta/view_rows.h"

namespace hamster::meta {

Result<std::vector<proto::Node>> View::nodes() const {
    const std::string all = table_prefix(Table::kNode);
    return load_all<proto::Node>(*snapshot_, all, after_prefix(all), kMaxNodes);
}

Result<std::optional<proto::Node>> View::node(const NodeId& id) const {
    return load<proto::Node>(*snapshot_, node_row(id));
}

Result<std::optional<proto::Node>> View::node_by_name(std::string_view name) const {
    const std::string row = node_name_row(name);
    TRY_ASSIGN(const auto bytes, snapshot_->get(row));
    if (!bytes) return std::nullopt;
    const auto id = NodeId::from_bytes(*bytes);
    if (!id) return corrupt_view_row(row);
    return node(*id);
}

Result<bool> View::is_removed(const NodeId& id) const {
    TRY_ASSIGN(const auto row, snapshot_->get(removed_node_row(id)));
    return row.has_value();
}

Result<std::vector<View::RemovedEntry>> View::removed_nodes() const {
    const std::string all = table_prefix(Table::kRemovedNode);
    std::vector<RemovedEntry> out;
    TRY(each(*snapshot_, all, after_prefix(all), SIZE_MAX,
             [&out](std::string_view row, std::string_view value) -> Result<void> {
                 RemovedEntry& entry = out.emplace_back();
                 const auto id = NodeId::from_bytes(row.substr(1));
                 if (!id ||
                     !entry.node.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
                     return corrupt_view_row(row);
                 }
                 entry.id = *id;
                 return {};
             }));
    return out;
}

Result<std::uint64_t> View::blobs_held(const NodeId& id) const {
    TRY_ASSIGN(const auto held, load<proto::BlobsHeld>(*snapshot_, blobs_held_row(id)));
    return held ? held->blobs() : 0;
}

Result<std::vector<proto::JoinToken>> View::tokens() const {
    const std::string all = table_prefix(Table::kToken);
    return load_all<proto::JoinToken>(*snapshot_, all, after_prefix(all), kMaxTokens);
}

Result<std::optional<proto::JoinToken>> View::token(const TokenId& id) const {
    return load<proto::JoinToken>(*snapshot_, token_row(id));
}

Result<std::optional<proto::Trust>> View::trust() const {
    return load<proto::Trust>(*snapshot_, system_row("trust"));
}

Result<std::optional<proto::Membership>> View::membership() const {
    return load<proto::Membership>(*snapshot_, system_row("membership"));
}

}  // namespace hamster::meta
