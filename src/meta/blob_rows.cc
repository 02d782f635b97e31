#include "meta/blob_rows.h"

#include <limits>
#include <utility>

#include "base/assert.h"
#include "meta/limits.h"

namespace hamster::meta {

namespace {

std::unexpected<Error> corrupt_blob(const char* what) {
    return fail(Code::kCorrupt, std::string("a stored blob has ") + what);
}

Result<void> add_held(Txn& txn, const NodeId& node, std::uint64_t blobs) {
    const std::string row = blobs_held_row(node);
    TRY_ASSIGN(auto held, txn.load<proto::BlobsHeld>(row));
    if (!held) held.emplace();
    held->set_blobs(held->blobs() + blobs);
    txn.put(row, *held);
    return {};
}

// A blob is gone from its holder.
Result<void> drop_held(Txn& txn, const proto::Blob& blob) {
    TRY_ASSIGN(const auto holder, holder_of(txn, blob));
    if (!holder) return {};
    const std::string row = blobs_held_row(*holder);
    TRY_ASSIGN(auto held, txn.load<proto::BlobsHeld>(row));
    if (!held || held->blobs() == 0) return Txn::corrupt_row(row);
    held->set_blobs(held->blobs() - 1);
    if (held->blobs() == 0) {
        txn.erase(row);
    } else {
        txn.put(row, *held);
    }
    return {};
}

Result<Geometry> geometry_of(const proto::Blob& blob) {
    constexpr std::uint32_t kMost = std::numeric_limits<std::uint16_t>::max();
    if (blob.k() > kMost || blob.m() > kMost) return corrupt_blob("an impossible geometry");
    return Geometry{static_cast<std::uint16_t>(blob.k()), static_cast<std::uint16_t>(blob.m())};
}

// The geometries of all blobs are counted from this row on.
Result<bool> counts_geometries(const Txn& txn) { return txn.exists(system_row("layout")); }

Result<void> add_geometry(Txn& txn, const proto::Blob& blob) {
    TRY_ASSIGN(const bool counts, counts_geometries(txn));
    if (!counts) return {};
    TRY_ASSIGN(const Geometry geometry, geometry_of(blob));
    const std::string row = geometry_row(geometry);
    TRY_ASSIGN(auto count, txn.load<proto::GeometryCount>(row));
    if (!count) count.emplace();
    count->set_blobs(count->blobs() + 1);
    count->set_bytes(count->bytes() + blob.size());
    txn.put(row, *count);
    return {};
}

Result<void> drop_geometry(Txn& txn, const proto::Blob& blob) {
    TRY_ASSIGN(const bool counts, counts_geometries(txn));
    if (!counts) return {};
    TRY_ASSIGN(const Geometry geometry, geometry_of(blob));
    const std::string row = geometry_row(geometry);
    TRY_ASSIGN(auto count, txn.load<proto::GeometryCount>(row));
    if (!count || count->blobs() == 0 || count->bytes() < blob.size()) return Txn::corrupt_row(row);
    count->set_blobs(count->blobs() - 1);
    count->set_bytes(count->bytes() - blob.size());
    if (count->blobs() == 0) {
        txn.erase(row);
    } else {
        txn.put(row, *count);
    }
    return {};
}

// Every blob of earlier commands, live and garbage, given to `take(blob)`.
template <class Take>
Result<void> each_blob(const Txn& txn, Take take) {
    for (const Table table : {Table::kBlob, Table::kGarbage}) {
        const std::string end = after_prefix(table_prefix(table));
        std::string from = table_prefix(table);
        for (;;) {
            TRY_ASSIGN(const auto rows, txn.scan(from, end, kBlobScanRows));
            for (const Txn::Row& row : rows) {
                proto::Garbage garbage;
                const bool is_read = table == Table::kBlob
                                         ? garbage.mutable_blob()->ParseFromString(row.value)
                                         : garbage.ParseFromString(row.value);
                if (!is_read) return Txn::corrupt_row(row.key);
                TRY(take(garbage.blob()));
            }
            if (rows.size() < kBlobScanRows) break;
            from = rows.back().key + '\0';
        }
    }
    return {};
}

Result<GeometryCounts> load_geometries(const Txn& txn) {
    const std::string all = table_prefix(Table::kGeometry);
    TRY_ASSIGN(const auto rows, txn.scan(all, after_prefix(all), SIZE_MAX));
    GeometryCounts counts;
    for (const Txn::Row& row : rows) {
        const auto geometry = geometry_of_row(row.key);
        if (!geometry || !counts[*geometry].ParseFromString(row.value)) {
            return Txn::corrupt_row(row.key);
        }
    }
    return counts;
}

}  // namespace

Result<std::optional<BlobEntry>> find_live(const Txn& txn, const BlobId& named) {
    TRY_ASSIGN(auto direct, txn.load<proto::Blob>(blob_row(named)));
    if (direct) {
        if (!direct->logical().empty()) return std::nullopt;
        return BlobEntry{named, std::move(*direct)};
    }
    const std::string alias = alias_row(named);
    TRY_ASSIGN(const auto bytes, txn.get(alias));
    if (!bytes) return std::nullopt;
    const auto id = BlobId::from_bytes(*bytes);
    if (!id) return Txn::corrupt_row(alias);
    TRY_ASSIGN(auto blob, txn.load<proto::Blob>(blob_row(*id)));
    if (!blob || blob->logical() != named.view()) return Txn::corrupt_row(alias);
    return BlobEntry{*id, std::move(*blob)};
}

Result<bool> is_spent(const Txn& txn, const BlobId& id) {
    for (const std::string& row : {blob_row(id), garbage_row(id), alias_row(id)}) {
        TRY_ASSIGN(const bool exists, txn.exists(row));
        if (exists) return true;
    }
    return false;
}

Result<std::optional<NodeId>> holder_of(const Txn& txn, const proto::Blob& blob) {
    HAMSTER_ASSERT(!blob.placed());
    std::string bytes = blob.holder();
    if (bytes.empty()) {
        TRY_ASSIGN(const auto trust, txn.load<proto::Trust>(system_row("trust")));
        if (!trust) return std::nullopt;
        bytes = trust->founder();
    }
    const auto id = NodeId::from_bytes(bytes);
    if (!id) return corrupt_blob("a malformed holder");
    return *id;
}

Result<void> enter_blob(Txn& txn, const BlobEntry& entry) {
    put_live(txn, entry);
    if (entry.blob.missing() != 0) txn.put(degraded_row(entry.id), std::string());
    TRY(add_geometry(txn, entry.blob));
    if (entry.blob.placed()) return {};
    TRY_ASSIGN(const auto holder, holder_of(txn, entry.blob));
    if (!holder) return {};
    return add_held(txn, *holder, 1);
}

void put_live(Txn& txn, const BlobEntry& entry) {
    HAMSTER_ASSERT(entry.blob.references() > 0);
    txn.put(blob_row(entry.id), entry.blob);
}

void fill_slot(Txn& txn, BlobEntry entry, base::Slot slot) {
    HAMSTER_ASSERT(is_missing(entry.blob, slot), slot.value);
    entry.blob.set_missing(entry.blob.missing() & ~(std::uint64_t{1} << slot.value));
    if (entry.blob.missing() == 0) txn.erase(degraded_row(entry.id));
    put_live(txn, entry);
}

Result<void> place_blob(Txn& txn, BlobEntry entry) {
    TRY(drop_held(txn, entry.blob));
    entry.blob.clear_holder();
    entry.blob.set_placed(true);
    put_live(txn, entry);
    return {};
}

void retire_blob(Txn& txn, BlobEntry entry) {
    if (const auto named = BlobId::from_bytes(entry.blob.logical())) txn.erase(alias_row(*named));
    if (entry.blob.missing() != 0) txn.erase(degraded_row(entry.id));
    proto::Garbage garbage;
    garbage.set_since_ms(txn.stamp_ms());
    entry.blob.set_references(0);
    *garbage.mutable_blob() = std::move(entry.blob);
    txn.erase(blob_row(entry.id));
    txn.put(garbage_row(entry.id), garbage);
}

Result<void> forget_blob(Txn& txn, const BlobId& id, const proto::Garbage& garbage) {
    if (!garbage.blob().placed()) {
        TRY(drop_held(txn, garbage.blob()));
    }
    TRY(drop_geometry(txn, garbage.blob()));
    txn.erase(garbage_row(id));
    return {};
}

Result<void> count_all_blobs_held(Txn& txn, const NodeId& founder) {
    std::uint64_t blobs = 0;
    // No other holder: apply refuses blobs of nodes that are no members.
    TRY(each_blob(txn, [&blobs](const proto::Blob& blob) -> Result<void> {
        if (!blob.placed()) ++blobs;
        return {};
    }));
    if (blobs == 0) return {};
    return add_held(txn, founder, blobs);
}

Result<GeometryCounts> count_geometries(Txn& txn) {
    TRY_ASSIGN(const bool counts_already, counts_geometries(txn));
    if (counts_already) return load_geometries(txn);
    GeometryCounts counts;
    TRY(each_blob(txn, [&counts](const proto::Blob& blob) -> Result<void> {
        TRY_ASSIGN(const Geometry geometry, geometry_of(blob));
        proto::GeometryCount& count = counts[geometry];
        count.set_blobs(count.blobs() + 1);
        count.set_bytes(count.bytes() + blob.size());
        return {};
    }));
    for (const auto& [geometry, count] : counts) {
        txn.put(geometry_row(geometry), count);
    }
    return counts;
}

}  // namespace hamster::meta
