// Where blobs lie: the layout's rows, and the tables that lead to blobs by partition, by what they
// lack and by geometry.
#include "meta/layout.h"
#include "meta/view.h"
#include "meta/view_rows.h"

namespace hamster::meta {

namespace {

// Table and partition stand before the blob id in a row.
constexpr std::size_t kBlobIdAt = 1 + sizeof(std::uint16_t);

// From after `after` to the end of what starts with `prefix`.
std::string start_after(const std::string& prefix, const std::string& after) {
    return std::max(prefix, after + '\0');
}

Result<BlobId> blob_id_in(std::string_view row) {
    const auto id = BlobId::from_bytes(row.substr(std::min(row.size(), kBlobIdAt)));
    if (!id) return corrupt_view_row(row);
    return *id;
}

}  // namespace

Result<proto::Layout> View::layout() const {
    TRY_ASSIGN(const auto row, snapshot_->get(system_row("layout")));
    if (!row) return first_layout();
    return parse_layout(*row);
}

Result<PartitionPlaces> View::places(std::uint16_t partition) const {
    TRY_ASSIGN(const auto row, snapshot_->get(layout_row(partition)));
    if (row) return parse_places(*row);
    TRY_ASSIGN(const auto founded, trust());
    const auto founder = founded ? NodeId::from_bytes(founded->founder()) : NodeId{};
    if (!founder) return corrupt_view_row(system_row("trust"));
    return first_places(*founder);
}

Result<std::optional<BlobEntry>> View::find_blob(const BlobId& named) const {
    TRY_ASSIGN(auto direct, blob(named));
    if (direct) return BlobEntry{named, std::move(*direct)};
    const std::string alias = alias_row(named);
    TRY_ASSIGN(const auto bytes, snapshot_->get(alias));
    if (!bytes) return std::nullopt;
    const auto id = BlobId::from_bytes(*bytes);
    if (!id) return corrupt_view_row(alias);
    TRY_ASSIGN(auto found, blob(*id));
    if (!found) return corrupt_view_row(alias);  // an alias goes with the blob that it leads to
    return BlobEntry{*id, std::move(*found)};
}

Result<std::vector<BlobEntry>> View::blobs_of(std::uint16_t partition, std::optional<BlobId> after,
                                              std::size_t limit) const {
    const std::string prefix = blobs_of_partition(partition);
    std::vector<BlobEntry> out;
    TRY(each(*snapshot_, after ? start_after(prefix, blob_row(*after)) : prefix,
             after_prefix(prefix), limit,
             [&out](std::string_view row, std::string_view value) -> Result<void> {
                 TRY_ASSIGN(const BlobId id, blob_id_in(row));
                 BlobEntry& entry = out.emplace_back(BlobEntry{id, {}});
                 if (!entry.blob.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
                     return corrupt_view_row(row);
                 }
                 return {};
             }));
    return out;
}

Result<std::vector<BlobEntry>> View::degraded(std::optional<BlobId> after,
                                              std::size_t limit) const {
    const std::string all = table_prefix(Table::kDegraded);
    std::vector<BlobEntry> out;
    TRY(each(*snapshot_, after ? degraded_row(*after) + '\0' : all, after_prefix(all), limit,
             [&](std::string_view row, std::string_view) -> Result<void> {
                 TRY_ASSIGN(const BlobId id, blob_id_in(row));
                 TRY_ASSIGN(auto found, blob(id));
                 if (!found) return corrupt_view_row(row);
                 out.push_back({id, std::move(*found)});
                 return {};
             }));
    return out;
}

Result<std::vector<GeometryEntry>> View::geometries() const {
    const std::string all = table_prefix(Table::kGeometry);
    std::vector<GeometryEntry> out;
    TRY(each(*snapshot_, all, after_prefix(all), SIZE_MAX,
             [&out](std::string_view row, std::string_view value) -> Result<void> {
                 const auto geometry = geometry_of_row(row);
                 if (!geometry) return corrupt_view_row(row);
                 GeometryEntry& entry = out.emplace_back();
                 entry.k = geometry->k;
                 entry.m = geometry->m;
                 if (!entry.count.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
                     return corrupt_view_row(row);
                 }
                 return {};
             }));
    return out;
}

}  // namespace hamster::meta
