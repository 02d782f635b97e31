#include "meta/apply.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "meta/apply_parts.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "meta/txn.h"
#include "proto/raft.pb.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;
using Command = proto::Command;

constexpr std::uint64_t kMaxStampMs = (std::uint64_t{1} << 48) - 1;  // what a UUIDv7 can hold

bool is_known(const Command& command) { return command.body_case() != Command::BODY_NOT_SET; }

Answered dispatch(Txn& txn, const Command& command) {
    switch (command.body_case()) {
        case Command::kCreateBucket:
            return apply_create_bucket(txn, command.create_bucket());
        case Command::kDeleteBucket:
            return apply_delete_bucket(txn, command.delete_bucket());
        case Command::kPutObject:
            return apply_put_object(txn, command.put_object());
        case Command::kDeleteObject:
            return apply_delete_object(txn, command.delete_object());
        case Command::kPutTags:
            return apply_put_tags(txn, command.put_tags());
        case Command::kCreateUpload:
            return apply_create_upload(txn, command.create_upload());
        case Command::kPutPart:
            return apply_put_part(txn, command.put_part());
        case Command::kCompleteUpload:
            return apply_complete_upload(txn, command.complete_upload());
        case Command::kAbortUpload:
            return apply_abort_upload(txn, command.abort_upload());
        case Command::kDropGarbage:
            return apply_drop_garbage(txn, command.drop_garbage());
        case Command::kPutUser:
            return apply_put_user(txn, command.put_user());
        case Command::kDeleteUser:
            return apply_delete_user(txn, command.delete_user());
        case Command::kPutCredential:
            return apply_put_credential(txn, command.put_credential());
        case Command::kDeleteCredential:
            return apply_delete_credential(txn, command.delete_credential());
        case Command::kFoundCluster:
            return apply_found_cluster(txn, command.found_cluster());
        case Command::kFoundTrust:
            return apply_found_trust(txn, command.found_trust());
        case Command::kPutToken:
            return apply_put_token(txn, command.put_token());
        case Command::kAdmitNode:
            return apply_admit_node(txn, command.admit_node());
        case Command::kUpdateNode:
            return apply_update_node(txn, command.update_node());
        case Command::kSetLeaving:
            return apply_set_leaving(txn, command.set_leaving());
        case Command::kRemoveNode:
            return apply_remove_node(txn, command.remove_node());
        case Command::kSetLayout:
            return apply_set_layout(txn, command.set_layout());
        case Command::kSettleSlots:
            return apply_settle_slots(txn, command.settle_slots());
        case Command::kFillSlots:
            return apply_fill_slots(txn, command.fill_slots());
        case Command::kReplaceBlob:
            return apply_replace_blob(txn, command.replace_blob());
        case Command::kSetProfile:
            return apply_set_profile(txn, command.set_profile());
        case Command::kSetReencode:
            return apply_set_reencode(txn, command.set_reencode());
        case Command::BODY_NOT_SET:
            break;
    }
    return refuse(Answer::UNKNOWN_COMMAND, "this version does not know the command");
}

// Answers are kept for kRequestMemoryMs in slices: one range deletion per slice, because a queue
// drained row by row would make every later seek step over its tombstones.
void forget_requests(Txn& txn, proto::Applied& state) {
    if (txn.stamp_ms() < kRequestMemoryMs) return;
    const std::uint64_t bound = txn.stamp_ms() - kRequestMemoryMs;
    if (bound < state.requests_from_ms() + kRequestForgetStepMs) return;
    txn.erase_range(requests_since(state.requests_from_ms()), requests_since(bound));
    state.set_requests_from_ms(bound);
}

// A refusal that is not remembered: the request id itself is no good.
std::optional<Answer> judge_request(const Txn& txn, const Command& command) {
    if (!is_known(command)) {
        return refuse(Answer::UNKNOWN_COMMAND, "this version does not know the command");
    }
    if (command.stamp_ms() > kMaxStampMs || command.request_id().size() != 16) {
        return refuse(Answer::INVALID_REQUEST, "malformed request id or stamp");
    }
    const std::uint64_t minted_ms = uuid_ms(command.request_id());
    if (minted_ms + kRequestMemoryMs < txn.stamp_ms()) {
        return refuse(Answer::REQUEST_EXPIRED, "the request id is too old");
    }
    if (minted_ms > txn.stamp_ms() + kRequestAheadMs) {
        return refuse(Answer::INVALID_REQUEST, "the request id is not of this cluster time");
    }
    return std::nullopt;
}

// What the command does; its changes are in `txn`, or none are.
Answered answer_of(Txn& txn, proto::Applied& state, const Command& command) {
    if (auto refusal = judge_request(txn, command)) return *refusal;
    const std::string row = request_row(*base::RequestId::from_bytes(command.request_id()));
    TRY_ASSIGN(auto first, txn.load<Answer>(row));
    if (first) return *first;
    TRY_ASSIGN(auto answer, dispatch(txn, command));
    if (answer.status() != Answer::OK) txn.discard();
    txn.put(row, answer);
    forget_requests(txn, state);
    return answer;
}

template <class Source>  // a store, or what is staged over one
Result<proto::Applied> read_applied(const Source& source) {
    const std::string row = system_row("applied");
    TRY_ASSIGN(const auto bytes, source.get(row));
    proto::Applied state;
    if (bytes && !state.ParseFromString(*bytes)) return Txn::corrupt_row(row);
    return state;
}

// Everything an entry changes goes with the note that it is applied.
Result<void> commit(Txn& txn, const EntryMark& mark, proto::Applied state) {
    HAMSTER_ASSERT(mark.index.value == state.index() + 1, mark.index.value, state.index());
    state.set_index(mark.index.value);
    state.set_term(mark.term.value);
    state.set_chain(mark.chain);
    txn.put(system_row("applied"), state);
    return txn.commit();
}

}  // namespace

proto::Answer refuse(Answer::Status status, std::string detail) {
    HAMSTER_ASSERT(status != Answer::OK);
    Answer answer;
    answer.set_status(status);
    answer.set_detail(std::move(detail));
    return answer;
}

Result<Answer> apply(Staging& staging, const EntryMark& mark, const Command& command) {
    TRY_ASSIGN(auto state, read_applied(staging));
    // Cluster time never goes back, whatever a command says.
    const std::uint64_t stamp = command.stamp_ms() > kMaxStampMs
                                    ? state.stamp_ms()
                                    : std::max(state.stamp_ms(), command.stamp_ms());
    Txn txn(staging, mark.index, stamp);
    TRY_ASSIGN(auto answer, answer_of(txn, state, command));
    state.set_stamp_ms(stamp);
    TRY(commit(txn, mark, std::move(state)));
    return answer;
}

Result<void> apply_nothing(Staging& staging, const EntryMark& mark) {
    TRY_ASSIGN(auto state, read_applied(staging));
    Txn txn(staging, mark.index, state.stamp_ms());
    return commit(txn, mark, std::move(state));
}

Result<void> apply_membership(Staging& staging, const EntryMark& mark, std::string_view payload) {
    proto::Membership members;
    if (!members.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
        return fail(Code::kCorrupt, "a membership entry cannot be read");
    }
    TRY_ASSIGN(auto state, read_applied(staging));
    Txn txn(staging, mark.index, state.stamp_ms());
    for (const std::string& id : members.lost()) {
        proto::RemoveNode lost;
        lost.set_node_id(id);
        lost.set_lost(true);
        TRY(apply_remove_node(txn, lost));  // refused: it is no member; nothing to give up
    }
    members.clear_lost();
    txn.put(system_row("membership"), members);
    return commit(txn, mark, std::move(state));
}

Result<Command> decode_command(base::Bytes payload) {
    constexpr std::size_t kMost = std::numeric_limits<int>::max();
    Command command;
    if (payload.size() > kMost ||
        !command.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
        return fail(Code::kCorrupt, "a log entry holds no readable command");
    }
    return command;
}

Result<proto::Applied> applied(const kv::Store& store) { return read_applied(store); }

Result<base::LogIndex> applied_index(const kv::Store& store) {
    TRY_ASSIGN(const auto state, applied(store));
    return base::LogIndex{state.index()};
}

}  // namespace hamster::meta
