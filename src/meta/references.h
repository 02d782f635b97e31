// Who refers to which blob. A part of a version or of an upload that names a blob is one reference;
// at none the blob becomes garbage. Parts go on naming a blob that was re-encoded by the id that it
// had when they were written. Private to apply.
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

// Adds one reference for each part that names a blob. Every blob named must be new (see
// admission.h) or shared (live now); every blob given must be named. nullopt when done, else the
// refusal.
Result<std::optional<proto::Answer>> take_references(Txn& txn, const Parts& parts,
                                                     const NewBlobs& new_blobs,
                                                     const BlobIds& shared_blobs);
// One reference less for the blob of `part`, if it has one.
Result<void> drop_reference(Txn& txn, const proto::Part& part);

}  // namespace hamster::meta
