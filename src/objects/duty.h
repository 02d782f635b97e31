// What a node owes to one blob, by the metadata (docs/adr/0015). Pure; any thread.
#pragma once

#include <optional>
#include <vector>

#include "base/ids.h"
#include "meta/layout.h"
#include "objects/exchange.h"
#include "proto/records.pb.h"

namespace hamster::objects {

// The shard that a node must have of a blob.
struct Duty {
    base::Slot slot;
    // The metadata does not say yet that it is there: FillSlots is to follow.
    bool is_to_fill = false;
    // Other nodes have it for this one: it moves. Else it is lost, or was never written.
    bool is_moving = false;
    bool operator==(const Duty&) const = default;
};

// Nullopt: no slot of the blob is this node's. `places` is of the blob's partition.
std::optional<Duty> duty_of(const proto::Blob& blob, const meta::PartitionPlaces& places,
                            const base::NodeId& self, const base::NodeId& founder);

// The same until there is a first layout (version 0): a body is on the node that took it in, and
// nobody fetches it from there.
std::optional<Duty> first_duty_of(const proto::Blob& blob, const meta::PartitionPlaces& places,
                                  const base::NodeId& self, const base::NodeId& founder);

// Who has a blob that is not placed. Zeros: this node, where there are no others; or the row does
// not say it.
base::NodeId holder_of(const proto::Blob& blob, const base::NodeId& founder);

// Whether a node must keep a shard that it has: it is, or may be, the one that others ask for it.
bool is_needed_at(const base::NodeId& node, base::Slot slot, const proto::Blob& blob,
                  const meta::PartitionPlaces& places, const base::NodeId& founder);

// Every node that may have a shard of the blob, also of one that is garbage; each once. The first
// ones are those that are to look after its removal.
std::vector<base::NodeId> homes_of(const proto::Blob& blob, const meta::PartitionPlaces& places,
                                   const base::NodeId& founder);

// All that is there of a blob, for who restores a shard of it. kCorrupt: a shape that cannot be.
Result<BlobPlace> place_of(const base::BlobId& id, const proto::Blob& blob,
                           const meta::PartitionPlaces& places, const base::NodeId& founder);

}  // namespace hamster::objects
