// Where the shards of a blob lie, as the metadata says (docs/adr/0015). Pure functions of a blob's
// row and its partition's row; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "proto/records.pb.h"

namespace hamster::meta {

// One partition of the layout. Slot i is on nodes[i].
struct PartitionPlaces {
    // A node that may have shards of the slot which the slot's own node has not fetched yet.
    struct Source {
        base::Slot slot;
        base::NodeId node;
        auto operator<=>(const Source&) const = default;
    };
    std::uint64_t version = 0;  // of the SetLayout that changed it last
    std::vector<base::NodeId> nodes;
    std::vector<Source> sources;
    bool operator==(const PartitionPlaces&) const = default;
};

// A live blob under the id that its shards bear; what names it is `blob.logical()` if that is set.
struct BlobEntry {
    base::BlobId id;
    proto::Blob blob;
};

// Blobs of one geometry, live and garbage.
struct GeometryEntry {
    std::uint32_t k = 0;
    std::uint32_t m = 0;
    proto::GeometryCount count;
};

// Slots that the blob uses: k + m, the first ones of its partition.
std::uint32_t width_of(const proto::Blob& blob);
// Whether the slot is known to have no shard yet.
bool is_missing(const proto::Blob& blob, base::Slot slot);
// Whom to ask for the shard, in this order: the slot's node, then the sources of the slot; of a
// blob that is not placed its holder, or the founder when it names none. Nobody for a slot whose
// shard is missing, or that the blob or the partition does not have. A place may be a node that was
// removed: it is out of reach then. `places` is of the blob's partition, from the view that the
// blob's row was read from.
std::vector<base::NodeId> places_of(const proto::Blob& blob, const PartitionPlaces& places,
                                    base::Slot slot, const base::NodeId& founder);

// What holds without a row: 1+0, every partition on the founder (zeros: nobody has been founded
// yet, all is on this node).
proto::Layout first_layout();
PartitionPlaces first_places(const base::NodeId& founder);

// A partition's row. kCorrupt when it is not well formed: no nodes or more than kMaxSlots, a node
// twice, more than kMaxSources, a source of no slot, twice, or that is the slot's node.
Result<PartitionPlaces> parse_places(std::string_view row);
proto::PartitionLayout row_of(const PartitionPlaces& places);
// The row of the whole layout. kCorrupt: a geometry or a width that cannot be.
Result<proto::Layout> parse_layout(std::string_view row);

}  // namespace hamster::meta
