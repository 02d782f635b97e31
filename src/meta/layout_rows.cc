#include "meta/layout_rows.h"

#include "base/encoding.h"
#include "base/partitions.h"
#include "meta/blob_rows.h"
#include "meta/keyspace.h"

namespace hamster::meta {

namespace {

Result<PartitionPlaces> without_row(const Txn& txn) {
    const std::string row = system_row("trust");
    TRY_ASSIGN(const auto trust, txn.load<proto::Trust>(row));
    const auto founder = trust ? NodeId::from_bytes(trust->founder()) : NodeId{};
    if (!founder) return Txn::corrupt_row(row);
    return first_places(*founder);
}

}  // namespace

Result<proto::Layout> load_layout(const Txn& txn) {
    TRY_ASSIGN(const auto row, txn.get(system_row("layout")));
    if (!row) return first_layout();
    return parse_layout(*row);
}

Result<PartitionPlaces> load_places(const Txn& txn, std::uint16_t partition) {
    TRY_ASSIGN(const auto row, txn.get(layout_row(partition)));
    if (!row) return without_row(txn);
    return parse_places(*row);
}

Result<std::vector<PartitionPlaces>> load_all_places(const Txn& txn) {
    TRY_ASSIGN(const auto first, without_row(txn));
    std::vector<PartitionPlaces> all(base::partitions(), first);
    const std::string table = table_prefix(Table::kLayout);
    TRY_ASSIGN(const auto rows, txn.scan(table, after_prefix(table), base::partitions()));
    for (const Txn::Row& row : rows) {
        if (row.key.size() != table.size() + sizeof(std::uint16_t)) {
            return Txn::corrupt_row(row.key);
        }
        const std::uint16_t partition = base::get_be16(row.key.data() + table.size());
        if (partition >= base::partitions()) return Txn::corrupt_row(row.key);
        TRY_ASSIGN(all[partition], parse_places(row.value));
    }
    return all;
}

bool is_place(const PartitionPlaces& places, base::Slot slot, const NodeId& node,
              std::uint64_t version) {
    return places.version == version && slot.value < places.nodes.size() &&
           places.nodes[slot.value] == node;
}

Result<void> put_layout(Txn& txn, const proto::Layout& layout) {
    TRY(count_geometries(txn));
    txn.put(system_row("layout"), layout);
    return {};
}

void put_places(Txn& txn, std::uint16_t partition, const PartitionPlaces& places) {
    txn.put(layout_row(partition), row_of(places));
}

}  // namespace hamster::meta
