// Who refers to which blob, and how many blobs a node holds. A part of a version or of an upload
// that names a blob is one reference; at none the blob becomes garbage. A node holds a blob from
// the command that brings it to the one that drops it as garbage. Private to apply.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "meta/txn.h"
#include "proto/commands.pb.h"

namespace hamster::meta {

using Parts = google::protobuf::RepeatedPtrField<proto::Part>;
using NewBlobs = google::protobuf::RepeatedPtrField<proto::NewBlob>;
using BlobIds = google::protobuf::RepeatedPtrField<std::string>;

// Adds one reference for each part that names a blob. Every blob named must be new (sealed within
// kCommitWindowMs, never committed before, on a member that is not leaving) or shared (live now);
// every blob given must be named. nullopt when done, else the refusal.
Result<std::optional<proto::Answer>> take_references(Txn& txn, const Parts& parts,
                                                     const NewBlobs& new_blobs,
                                                     const BlobIds& shared_blobs);
// One reference less for the blob of `part`, if it has one.
Result<void> drop_reference(Txn& txn, const proto::Part& part);

// Counts the blobs that were there before anybody was counted for them. Until the trust row exists
// nobody is: a blob without holder is the founder's, and there is none yet. Once, with that row.
Result<void> count_all_blobs_held(Txn& txn, const base::NodeId& founder);

}  // namespace hamster::meta
