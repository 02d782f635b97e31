#include "meta/references.h"

#include <map>
#include <utility>

#include "base/assert.h"
#include "meta/apply_parts.h"
#include "meta/keyspace.h"
#include "meta/limits.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;
using Refusal = std::optional<Answer>;

struct Wanted {
    proto::Blob blob;
    std::optional<NodeId> new_on;  // who holds one more blob now
    std::uint32_t references = 0;
};
using WantedBlobs = std::map<BlobId, Wanted>;

// The node with the only shard of `blob`. nullopt: the founder of a cluster that has none yet.
Result<std::optional<NodeId>> holder_of(const Txn& txn, const proto::Blob& blob) {
    std::string bytes = blob.holder();
    if (bytes.empty()) {
        const std::string row = system_row("trust");
        TRY_ASSIGN(const auto trust, txn.load<proto::Trust>(row));
        if (!trust) return std::nullopt;
        bytes = trust->founder();
    }
    const auto id = NodeId::from_bytes(bytes);
    if (!id) return fail(Code::kCorrupt, "a stored blob has a malformed holder");
    return *id;
}

Result<void> add_held(Txn& txn, const NodeId& node, std::uint64_t blobs) {
    const std::string row = blobs_held_row(node);
    TRY_ASSIGN(auto held, txn.load<proto::BlobsHeld>(row));
    if (!held) held.emplace();
    held->set_blobs(held->blobs() + blobs);
    txn.put(row, *held);
    return {};
}

// A blob is gone for good.
Result<void> drop_held(Txn& txn, const proto::Blob& blob) {
    TRY_ASSIGN(const auto holder, holder_of(txn, blob));
    if (!holder) return {};
    const std::string row = blobs_held_row(*holder);
    TRY_ASSIGN(auto held, txn.load<proto::BlobsHeld>(row));
    if (!held || held->blobs() == 0) return Txn::corrupt_row(row);
    held->set_blobs(held->blobs() - 1);
    if (held->blobs() == 0) {
        txn.erase(row);
    } else {
        txn.put(row, *held);
    }
    return {};
}

// Nothing new comes to a node that is to become empty, or is not there.
Result<Refusal> judge_holder(const Txn& txn, const NodeId& holder) {
    const std::string trust = system_row("trust");
    TRY_ASSIGN(const bool has_members, txn.exists(trust));
    if (!has_members) return std::nullopt;  // not a cluster yet
    TRY_ASSIGN(const auto node, txn.load<proto::Node>(node_row(holder)));
    if (node && !node->leaving()) return std::nullopt;
    return refuse(Answer::NODE_LEAVING, "node " + holder.hex() + " takes no new objects");
}

Result<Refusal> admit_new(const Txn& txn, const proto::NewBlob& candidate, WantedBlobs& wanted) {
    const auto id = BlobId::from_bytes(candidate.blob_id());
    const std::string& on = candidate.geometry().holder();
    if (!id || !candidate.has_geometry() || candidate.geometry().k() == 0 ||
        (!on.empty() && !NodeId::from_bytes(on))) {
        return refuse(Answer::INVALID_REQUEST, "malformed new blob");
    }
    // The holders' clocks may run ahead: only the past is judged. Orphans are collected later than
    // this window, so a blob that passes here cannot have been collected.
    if (candidate.sealed_ms() < txn.stamp_ms() &&
        txn.stamp_ms() - candidate.sealed_ms() > kCommitWindowMs) {
        return refuse(Answer::BLOB_GONE, "blob " + id->hex() + " was sealed too long ago");
    }
    TRY_ASSIGN(const bool live, txn.exists(blob_row(*id)));
    TRY_ASSIGN(const bool garbage, txn.exists(garbage_row(*id)));
    if (live || garbage) return refuse(Answer::BLOB_GONE, "blob " + id->hex() + " is not new");
    TRY_ASSIGN(const auto holder, holder_of(txn, candidate.geometry()));
    if (holder) {
        TRY_ASSIGN(auto refusal, judge_holder(txn, *holder));
        if (refusal) return refusal;
    }
    Wanted entry{candidate.geometry(), holder, 0};
    entry.blob.set_references(0);
    entry.blob.set_created_ms(txn.stamp_ms());
    if (!wanted.emplace(*id, std::move(entry)).second) {
        return refuse(Answer::INVALID_REQUEST, "blob " + id->hex() + " is given twice");
    }
    return std::nullopt;
}

Result<Refusal> admit_shared(const Txn& txn, const std::string& bytes, WantedBlobs& wanted) {
    const auto id = BlobId::from_bytes(bytes);
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed blob id");
    if (wanted.contains(*id)) return std::nullopt;
    TRY_ASSIGN(auto blob, txn.load<proto::Blob>(blob_row(*id)));
    if (!blob) return refuse(Answer::BLOB_GONE, "blob " + id->hex() + " is no longer there");
    wanted.emplace(*id, Wanted{std::move(*blob), std::nullopt, 0});
    return std::nullopt;
}

}  // namespace

Result<std::optional<Answer>> take_references(Txn& txn, const Parts& parts,
                                              const NewBlobs& new_blobs,
                                              const BlobIds& shared_blobs) {
    WantedBlobs wanted;
    for (const auto& candidate : new_blobs) {
        TRY_ASSIGN(auto refusal, admit_new(txn, candidate, wanted));
        if (refusal) return refusal;
    }
    for (const auto& id : shared_blobs) {
        TRY_ASSIGN(auto refusal, admit_shared(txn, id, wanted));
        if (refusal) return refusal;
    }
    for (const auto& part : parts) {
        if (part.size() == 0 && part.blob_id().empty()) continue;
        const auto id = BlobId::from_bytes(part.blob_id());
        const auto entry = id ? wanted.find(*id) : wanted.end();
        if (entry == wanted.end() || part.size() == 0) {
            return refuse(Answer::INVALID_REQUEST, "a part names a blob that was not given");
        }
        ++entry->second.references;
    }
    for (auto& [id, entry] : wanted) {
        if (entry.references == 0) {
            return refuse(Answer::INVALID_REQUEST, "blob " + id.hex() + " is in no part");
        }
        entry.blob.set_references(entry.blob.references() + entry.references);
        txn.put(blob_row(id), entry.blob);
        if (!entry.new_on) continue;
        TRY(add_held(txn, *entry.new_on, 1));
    }
    return std::nullopt;
}

Result<void> drop_reference(Txn& txn, const proto::Part& part) {
    if (part.blob_id().empty()) return {};
    const auto id = BlobId::from_bytes(part.blob_id());
    if (!id) return fail(Code::kCorrupt, "a stored part holds a malformed blob id");
    const std::string row = blob_row(*id);
    TRY_ASSIGN(auto blob, txn.load<proto::Blob>(row));
    if (!blob || blob->references() == 0) {
        return fail(Code::kCorrupt, "blob " + id->hex() + " is referenced but has no live row");
    }
    blob->set_references(blob->references() - 1);
    if (blob->references() > 0) {
        txn.put(row, *blob);
        return {};
    }
    proto::Garbage garbage;
    garbage.set_since_ms(txn.stamp_ms());
    *garbage.mutable_blob() = std::move(*blob);
    txn.erase(row);
    txn.put(garbage_row(*id), garbage);
    return {};
}

// Only garbage goes: a blob that is live again, or unknown, is left as it is. So a repeated round
// of the collector does no harm.
Answered apply_drop_garbage(Txn& txn, const proto::DropGarbage& command) {
    for (const std::string& bytes : command.blob_ids()) {
        const auto id = BlobId::from_bytes(bytes);
        if (!id) return refuse(Answer::INVALID_REQUEST, "malformed blob id");
        const std::string row = garbage_row(*id);
        TRY_ASSIGN(const auto garbage, txn.load<proto::Garbage>(row));
        if (!garbage) continue;
        TRY(drop_held(txn, garbage->blob()));
        txn.erase(row);
    }
    return Answer{};
}

Result<void> count_all_blobs_held(Txn& txn, const NodeId& founder) {
    std::uint64_t blobs = 0;
    for (const Table table : {Table::kBlob, Table::kGarbage}) {
        const std::string end = after_prefix(table_prefix(table));
        std::string from = table_prefix(table);
        for (;;) {
            TRY_ASSIGN(const auto rows, txn.scan(from, end, kHeldScanRows));
            blobs += rows.size();
            if (rows.size() < kHeldScanRows) break;
            from = rows.back().key + '\0';
        }
    }
    // No other holder: apply refuses blobs of nodes that are no members.
    if (blobs == 0) return {};
    return add_held(txn, founder, blobs);
}

}  // namespace hamster::meta
