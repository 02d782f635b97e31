// Deterministic apply: the same commands give the same bytes in every replica's store. Reads no
// clock, disk or random number; everything comes from the command or the store.
#pragma once

#include "base/ids.h"
#include "base/result.h"
#include "kv/store.h"
#include "proto/commands.pb.h"

namespace hamster::meta {

// Applies one command at `index`, together with the applied index and the remembered answer, in
// one atomic write. A replayed request id changes nothing and returns the first answer. An unknown
// command changes nothing but the applied index and answers UNKNOWN_COMMAND.
// Errors are the store's (kIo, kNoSpace, kCorrupt): the replica must stop.
Result<proto::Answer> apply(kv::Store& store, base::LogIndex index, const proto::Command& command);

// The last applied index in the store; 0 in a new one.
Result<base::LogIndex> applied_index(const kv::Store& store);

}  // namespace hamster::meta
