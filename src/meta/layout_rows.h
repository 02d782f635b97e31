// The layout's rows, as apply reads and writes them. Private to apply.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/layout.h"
#include "meta/txn.h"

namespace hamster::meta {

// What holds without rows too. kCorrupt.
Result<proto::Layout> load_layout(const Txn& txn);
// partition < 4096.
Result<PartitionPlaces> load_places(const Txn& txn, std::uint16_t partition);
// Every partition, in order, as earlier commands left it.
Result<std::vector<PartitionPlaces>> load_all_places(const Txn& txn);
// Whether the slot is on the node, in a partition that has changed last in that version.
bool is_place(const PartitionPlaces& places, base::Slot slot, const base::NodeId& node,
              std::uint64_t version);

// The first time, blobs are counted by geometry from then on.
Result<void> put_layout(Txn& txn, const proto::Layout& layout);
void put_places(Txn& txn, std::uint16_t partition, const PartitionPlaces& places);

}  // namespace hamster::meta
