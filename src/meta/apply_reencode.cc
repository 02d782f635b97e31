// What repair commits: slots that have their shard at last, and blobs that were stored anew.
#include <utility>

#include "meta/admission.h"
#include "meta/apply_parts.h"
#include "meta/blob_rows.h"
#include "meta/keyspace.h"
#include "meta/layout_rows.h"
#include "meta/limits.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;

constexpr base::Slot kFirstSlot{0};

struct Filled {
    BlobId blob;
    base::Slot slot;
    NodeId node;
    std::uint64_t version = 0;
};

std::optional<Filled> parse(const proto::FillSlots::Filled& filled) {
    const auto blob = BlobId::from_bytes(filled.blob_id());
    const auto node = NodeId::from_bytes(filled.node());
    if (!blob || !node || filled.slot() >= kMaxSlots) return std::nullopt;
    return Filled{*blob, base::Slot{static_cast<std::uint8_t>(filled.slot())}, *node,
                  filled.version()};
}

// Without effect on a blob that is garbage by now, or lacks nothing there, and when the slot has
// moved meanwhile.
Result<void> fill(Txn& txn, const Filled& filled) {
    TRY_ASSIGN(auto blob, txn.load<proto::Blob>(blob_row(filled.blob)));
    if (!blob) return {};
    TRY_ASSIGN(const auto places, load_places(txn, base::partition_of(filled.blob)));
    if (!is_place(places, filled.slot, filled.node, filled.version)) return {};
    BlobEntry entry{filled.blob, std::move(*blob)};
    if (!entry.blob.placed()) {
        if (filled.slot != kFirstSlot) return {};
        return place_blob(txn, std::move(entry));
    }
    if (is_missing(entry.blob, filled.slot)) fill_slot(txn, std::move(entry), filled.slot);
    return {};
}

}  // namespace

Answered apply_fill_slots(Txn& txn, const proto::FillSlots& command) {
    for (const auto& entry : command.filled()) {
        const auto filled = parse(entry);
        if (!filled) return refuse(Answer::INVALID_REQUEST, "malformed slot");
        TRY(fill(txn, *filled));
    }
    return Answer{};
}

Answered apply_replace_blob(Txn& txn, const proto::ReplaceBlob& command) {
    const auto id = BlobId::from_bytes(command.blob_id());
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed blob id");
    TRY_ASSIGN(auto old, txn.load<proto::Blob>(blob_row(*id)));
    if (!old) return refuse(Answer::BLOB_GONE, "blob " + id->hex() + " is no longer there");
    TRY_ASSIGN(const auto refusal, judge_new_blob(txn, command.by()));
    if (refusal) return *refusal;
    BlobEntry entry = new_entry(txn, command.by());
    if (entry.blob.size() != old->size()) {
        return refuse(Answer::INVALID_REQUEST, "the new blob is not as long as the old one");
    }
    const auto named = old->logical().empty() ? id : BlobId::from_bytes(old->logical());
    if (!named) return Txn::corrupt_row(blob_row(*id));
    entry.blob.set_logical(std::string(named->view()));
    entry.blob.set_references(old->references());
    entry.blob.set_created_ms(old->created_ms());
    retire_blob(txn, {*id, std::move(*old)});
    TRY(enter_blob(txn, entry));
    txn.put(alias_row(*named), std::string(entry.id.view()));
    return Answer{};
}

}  // namespace hamster::meta
