#include "meta/references.h"

#include <map>
#include <utility>

#include "base/assert.h"
#include "meta/admission.h"
#include "meta/apply_parts.h"
#include "meta/blob_rows.h"
#include "meta/keyspace.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;
using Refusal = std::optional<Answer>;

struct Wanted {
    BlobEntry entry;
    bool is_new = false;
    std::uint32_t references = 0;  // more than before
};
using WantedBlobs = std::map<BlobId, Wanted>;  // by the id that parts name

Result<Refusal> admit_new(const Txn& txn, const proto::NewBlob& candidate, WantedBlobs& wanted) {
    TRY_ASSIGN(auto refusal, judge_new_blob(txn, candidate));
    if (refusal) return refusal;
    BlobEntry entry = new_entry(txn, candidate);
    const BlobId id = entry.id;
    if (!wanted.emplace(id, Wanted{std::move(entry), true}).second) {
        return refuse(Answer::INVALID_REQUEST, "blob " + id.hex() + " is given twice");
    }
    return std::nullopt;
}

Result<Refusal> admit_shared(const Txn& txn, const std::string& bytes, WantedBlobs& wanted) {
    const auto id = BlobId::from_bytes(bytes);
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed blob id");
    if (wanted.contains(*id)) return std::nullopt;
    TRY_ASSIGN(auto entry, find_live(txn, *id));
    if (!entry) return refuse(Answer::BLOB_GONE, "blob " + id->hex() + " is no longer there");
    wanted.emplace(*id, Wanted{std::move(*entry), false});
    return std::nullopt;
}

// Everything that a command gives, by name.
Result<Refusal> admit_all(const Txn& txn, const NewBlobs& new_blobs, const BlobIds& shared_blobs,
                          WantedBlobs& wanted) {
    for (const auto& candidate : new_blobs) {
        TRY_ASSIGN(auto refusal, admit_new(txn, candidate, wanted));
        if (refusal) return refusal;
    }
    for (const auto& id : shared_blobs) {
        TRY_ASSIGN(auto refusal, admit_shared(txn, id, wanted));
        if (refusal) return refusal;
    }
    return std::nullopt;
}

}  // namespace

Result<std::optional<Answer>> take_references(Txn& txn, const Parts& parts,
                                              const NewBlobs& new_blobs,
                                              const BlobIds& shared_blobs) {
    WantedBlobs wanted;
    TRY_ASSIGN(auto refusal, admit_all(txn, new_blobs, shared_blobs, wanted));
    if (refusal) return refusal;
    for (const auto& part : parts) {
        if (part.size() == 0 && part.blob_id().empty()) continue;
        const auto id = BlobId::from_bytes(part.blob_id());
        const auto found = id ? wanted.find(*id) : wanted.end();
        if (found == wanted.end() || part.size() == 0) {
            return refuse(Answer::INVALID_REQUEST, "a part names a blob that was not given");
        }
        ++found->second.references;
    }
    for (auto& [id, blob] : wanted) {
        if (blob.references == 0) {
            return refuse(Answer::INVALID_REQUEST, "blob " + id.hex() + " is in no part");
        }
        blob.entry.blob.set_references(blob.entry.blob.references() + blob.references);
        if (!blob.is_new) {
            put_live(txn, blob.entry);
            continue;
        }
        TRY(enter_blob(txn, blob.entry));
    }
    return std::nullopt;
}

Result<void> drop_reference(Txn& txn, const proto::Part& part) {
    if (part.blob_id().empty()) return {};
    const auto id = BlobId::from_bytes(part.blob_id());
    if (!id) return fail(Code::kCorrupt, "a stored part holds a malformed blob id");
    TRY_ASSIGN(auto entry, find_live(txn, *id));
    if (!entry || entry->blob.references() == 0) {
        return fail(Code::kCorrupt, "blob " + id->hex() + " is referenced but has no live row");
    }
    entry->blob.set_references(entry->blob.references() - 1);
    if (entry->blob.references() > 0) {
        put_live(txn, *entry);
    } else {
        retire_blob(txn, std::move(*entry));
    }
    return {};
}

// Only garbage goes: a blob that is live again, or unknown, is left as it is. So a repeated round
// of the collector does no harm.
Answered apply_drop_garbage(Txn& txn, const proto::DropGarbage& command) {
    for (const std::string& bytes : command.blob_ids()) {
        const auto id = BlobId::from_bytes(bytes);
        if (!id) return refuse(Answer::INVALID_REQUEST, "malformed blob id");
        TRY_ASSIGN(const auto garbage, txn.load<proto::Garbage>(garbage_row(*id)));
        if (!garbage) continue;
        TRY(forget_blob(txn, *id, *garbage));
    }
    return Answer{};
}

}  // namespace hamster::meta
