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

// The log entry that is applied; `term` and `chain` are 0 where there is no log.
struct EntryMark {
    base::LogIndex index;
    base::Term term;
    std::uint64_t chain;
    EntryMark(base::LogIndex i, base::Term t = {}, std::uint64_t c = 0)
        : index(i), term(t), chain(c) {}
};

// Applies one command, together with the applied index and the remembered answer: all of
// it is staged, or nothing. It takes effect with Staging::write(). A replayed request id changes
// nothing and returns the first answer. An unknown command changes nothing but the applied index
// and answers UNKNOWN_COMMAND.
// Errors are the store's (kIo, kNoSpace, kCorrupt): the replica must stop.
// Entries are applied in log order without gaps: the index is applied_index() + 1.
Result<proto::Answer> apply(Staging& staging, const EntryMark& mark, const proto::Command& command);

// Notes that the entry is in the store and held no command.
Result<void> apply_nothing(Staging& staging, const EntryMark& mark);
// Notes who takes part from this entry on: a proto::Membership, and removes the members it gives up.
// kCorrupt when it is none.
Result<void> apply_membership(Staging& staging, const EntryMark& mark, std::string_view payload);

// The bytes of a log entry's payload. kCorrupt when they are no command at all.
Result<proto::Command> decode_command(base::Bytes payload);

// How far the store has come; all zero in a new one.
Result<proto::Applied> applied(const kv::Store& store);
// The last applied index in the store; 0 in a new one.
Result<base::LogIndex> applied_index(const kv::Store& store);

}  // namespace hamster::meta
