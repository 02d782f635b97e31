// Whether a blob that a command brings may enter the metadata. Private to apply.
#pragma once

#include <optional>

#include "base/result.h"
#include "meta/layout.h"
#include "meta/txn.h"
#include "proto/commands.pb.h"

namespace hamster::meta {

// nullopt: it may. Else why not: malformed, sealed too long ago, known already; not placed: on a
// node that takes nothing new; placed: under another layout than its partition's, or with too few
// shards.
Result<std::optional<proto::Answer>> judge_new_blob(const Txn& txn,
                                                    const proto::NewBlob& candidate);
// The row of a blob that was judged, without references yet.
BlobEntry new_entry(const Txn& txn, const proto::NewBlob& candidate);

}  // namespace hamster::meta
