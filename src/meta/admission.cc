#include "meta/admission.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/planted.h"
#include "meta/apply_parts.h"
#include "meta/blob_rows.h"
#include "meta/keyspace.h"
#include "meta/layout_rows.h"
#include "meta/limits.h"
#include "shards/store.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;
using Refusal = std::optional<Answer>;

std::optional<BlobId> id_of(const proto::NewBlob& candidate) {
    return BlobId::from_bytes(candidate.blob_id());
}

bool is_placed_well_formed(const proto::Blob& blob) {
    const std::uint64_t width = std::uint64_t{blob.k()} + blob.m();
    return blob.k() >= 1 && width <= kMaxSlots && blob.size() > 0 && blob.slice_bytes() >= 1 &&
           blob.slice_bytes() <= shards::kSliceBytes && blob.missing() >> width == 0 &&
           blob.holder().empty();
}

bool is_well_formed(const proto::NewBlob& candidate) {
    const proto::Blob& blob = candidate.geometry();
    if (!id_of(candidate) || !candidate.has_geometry() || blob.size() > kMaxObjectPutBytes) {
        return false;
    }
    if (blob.placed()) return is_placed_well_formed(blob);
    return blob.k() == 1 && blob.m() == 0 && blob.missing() == 0 &&
           (blob.holder().empty() || NodeId::from_bytes(blob.holder()));
}

// Nothing new comes to a node that is to become empty, or is not there.
Result<Refusal> judge_holder(const Txn& txn, const proto::Blob& blob) {
    TRY_ASSIGN(const auto holder, holder_of(txn, blob));
    TRY_ASSIGN(const bool has_members, txn.exists(system_row("trust")));
    if (!holder || !has_members) return std::nullopt;  // not a cluster yet
    TRY_ASSIGN(const auto node, txn.load<proto::Node>(node_row(*holder)));
    if (node && !node->leaving()) return std::nullopt;
    return refuse(Answer::NODE_LEAVING, "node " + holder->hex() + " takes no new objects");
}

// Of a degraded write at least k + 1 shards are there; of a blob without parity all of it.
bool has_enough_shards(const proto::Blob& blob) {
    const std::uint32_t width = width_of(blob);
    const auto missing = static_cast<std::uint32_t>(std::popcount(blob.missing()));
    const std::uint32_t spare = base::planted(base::Bug::kAckBelowFloor) ? 0 : 1;
    return width - missing >= std::min(blob.k() + spare, width);
}

// The shards lie where the layout says, or once said: then they are to be moved first.
Result<Refusal> judge_places(const Txn& txn, const proto::NewBlob& candidate) {
    const proto::Blob& blob = candidate.geometry();
    TRY_ASSIGN(const auto layout, load_layout(txn));
    if (candidate.layout_version() > layout.version()) {
        return refuse(Answer::INVALID_REQUEST, "no such layout yet");
    }
    TRY_ASSIGN(const auto places, load_places(txn, base::partition_of(*id_of(candidate))));
    if (places.version > candidate.layout_version() &&
        !base::planted(base::Bug::kLayoutFenceIgnored)) {
        return refuse(Answer::LAYOUT_CHANGED, "the layout is " + std::to_string(layout.version()));
    }
    if (width_of(blob) > places.nodes.size()) {
        return refuse(Answer::INVALID_REQUEST, "the layout has too few slots for the blob");
    }
    if (!has_enough_shards(blob)) return refuse(Answer::TOO_FEW_SHARDS);
    return std::nullopt;
}

}  // namespace

Result<Refusal> judge_new_blob(const Txn& txn, const proto::NewBlob& candidate) {
    if (!is_well_formed(candidate)) return refuse(Answer::INVALID_REQUEST, "malformed new blob");
    const BlobId id = *id_of(candidate);
    // The holders' clocks may run ahead: only the past is judged. Orphans are collected later than
    // this window, so a blob that passes here cannot have been collected.
    if (candidate.sealed_ms() < txn.stamp_ms() &&
        txn.stamp_ms() - candidate.sealed_ms() > kCommitWindowMs) {
        return refuse(Answer::BLOB_GONE, "blob " + id.hex() + " was sealed too long ago");
    }
    TRY_ASSIGN(const bool spent, is_spent(txn, id));
    if (spent) return refuse(Answer::BLOB_GONE, "blob " + id.hex() + " is not new");
    if (candidate.geometry().placed()) return judge_places(txn, candidate);
    return judge_holder(txn, candidate.geometry());
}

BlobEntry new_entry(const Txn& txn, const proto::NewBlob& candidate) {
    HAMSTER_ASSERT(is_well_formed(candidate));
    BlobEntry entry{*id_of(candidate), candidate.geometry()};
    entry.blob.set_references(0);
    entry.blob.set_created_ms(txn.stamp_ms());
    entry.blob.clear_logical();
    return entry;
}

}  // namespace hamster::meta
