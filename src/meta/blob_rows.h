// The life of a blob in the rows: live, then garbage, then gone; and everything that is kept beside
// its row: the table of degraded blobs, the alias, how many blobs a node holds and how many there
// are of each geometry. Private to apply.
#pragma once

#include <map>
#include <optional>

#include "base/ids.h"
#include "base/result.h"
#include "meta/keyspace.h"
#include "meta/layout.h"
#include "meta/txn.h"
#include "proto/records.pb.h"

namespace hamster::meta {

// The live blob that parts call `named`: under that id, or where its alias leads. The id that a
// re-encoded blob lies under is not its name: nullopt. kCorrupt.
Result<std::optional<BlobEntry>> find_live(const Txn& txn, const BlobId& named);
// Whether the id was a blob's in any way: live, garbage, or the name of one that was re-encoded.
Result<bool> is_spent(const Txn& txn, const BlobId& id);
// The node with the only shard of a blob that is not placed. nullopt: the founder of a cluster that
// has none yet.
Result<std::optional<NodeId>> holder_of(const Txn& txn, const proto::Blob& blob);

// A blob that was not there becomes live.
Result<void> enter_blob(Txn& txn, const BlobEntry& entry);
// The row of a live blob again, with other references or fewer missing slots.
void put_live(Txn& txn, const BlobEntry& entry);
// The slot's shard was missing and is there now.
void fill_slot(Txn& txn, BlobEntry entry, base::Slot slot);
// A blob that lay with its holder lies where the layout says from now on.
Result<void> place_blob(Txn& txn, BlobEntry entry);
// A live blob becomes garbage. Its alias, if it has one, leads nowhere any more and goes.
void retire_blob(Txn& txn, BlobEntry entry);
// Garbage is gone for good.
Result<void> forget_blob(Txn& txn, const BlobId& id, const proto::Garbage& garbage);

// Counts the blobs that were there before anybody was counted for them. Until the trust row exists
// nobody is: a blob without holder is the founder's, and there is none yet. Once, with that row.
Result<void> count_all_blobs_held(Txn& txn, const NodeId& founder);

// Blobs are counted by geometry from the first row of the layout on. What is counted; before that
// row the blobs are counted now and their counts become rows. A command that writes the row calls
// it, and changes no blobs.
using GeometryCounts = std::map<Geometry, proto::GeometryCount>;
Result<GeometryCounts> count_geometries(Txn& txn);

}  // namespace hamster::meta
