// Deterministic apply: the same commands give the same bytes in every replica's store. Reads no
// clock, disk or random number; everything comes from the command or the store.
#pragma once

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "kv/store.h"
#include "meta/staging.h"
#include "proto/commands.pb.h"

namespace hamster::meta {

// Applies one command at `index`, together with the applied index and the remembered answer: all of
// it is staged, or nothing. It takes effect with Staging::write(). A replayed request id changes
// nothing and returns the first answer. An unknown command changes nothing but the applied index
// and answers UNKNOWN_COMMAND.
// Errors are the store's (kIo, kNoSpace, kCorrupt): the replica must stop.
// Entries are applied in log order without gaps: `index` is applied_index() + 1. `chain` is the log
// entry's, 0 where there is no log.
Result<proto::Answer> apply(Staging& staging, base::LogIndex index, const proto::Command& command,
                            std::uint64_t chain = 0);

// Notes that the entry at `index` is in the store and held no command.
Result<void> apply_nothing(Staging& staging, base::LogIndex index, std::uint64_t chain = 0);

// The bytes of a log entry's payload. kCorrupt when they are no command at all.
Result<proto::Command> decode_command(base::Bytes payload);

// How far the store has come; all zero in a new one.
Result<proto::Applied> applied(const kv::Store& store);
// The last applied index in the store; 0 in a new one.
Result<base::LogIndex> applied_index(const kv::Store& store);

}  // namespace hamster::meta
