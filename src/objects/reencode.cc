#include "objects/reencode.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/partitions.h"
#include "objects/shard_write.h"
#include "objects/stored_source.h"

namespace hamster::objects {

using runtime::Task;

namespace {

constexpr std::size_t kPage = 256;  // blobs and partitions looked at between two pauses
// How often a layout that changes may get in the way of one blob.
constexpr int kTries = 4;

// The data slices of what a blob of this size becomes.
std::uint32_t wanted_k(const proto::Blob& blob, const proto::Reencode& wanted) {
    return blob.size() <= kSmallBlobBytes ? 1 : wanted.k();
}

bool has_wanted_geometry(const proto::Blob& blob, const proto::Reencode& wanted) {
    return blob.k() == wanted_k(blob, wanted) && blob.m() == wanted.m();
}

// With nodes down a body may have become another geometry, or lack a shard: then the old blob is
// better.
bool is_better(const StoredBody& body, const proto::Reencode& wanted) {
    const proto::Blob& geometry = body.blob->geometry();
    return has_wanted_geometry(geometry, wanted) && geometry.missing() == 0;
}

}  // namespace

Reencoder::Reencoder(const Site* site, base::Metrics* metrics)
    : site_(site),
      pacer_(site, true),
      blobs_(metrics->counter("hamster_reencoded_blobs_total",
                              "Blobs stored anew in another geometry")),
      bytes_(metrics->counter("hamster_reencoded_bytes_total", "Bytes of such blobs")) {}

Task<void> Reencoder::round() {
    Cursor cursor;
    while (cursor.partition < base::partitions() && !site_->is_stopping()) {
        auto viewed = co_await site_->router->system().view();
        Result<proto::Layout> layout = viewed ? viewed->layout() : std::unexpected(viewed.error());
        if (!layout || !layout->has_reencode()) co_return;
        const proto::Reencode wanted = layout->reencode();
        auto found = next(*viewed, wanted, &cursor);
        if (!found) {
            LOG_WARN("objects", "re-encoding: {}", found.error().context);
            co_return;
        }
        for (meta::BlobEntry& entry : *found) {
            if (site_->is_stopping()) co_return;
            const bool go_on = co_await try_one(std::move(entry), wanted);
            if (!go_on) co_return;  // most likely the next one would fail as well
        }
        (void)co_await site_->pause(kPageGapMs);
    }
}

Result<Reencoder::Members> Reencoder::members_of(const meta::View& view) {
    TRY_ASSIGN(const auto rows, view.nodes());
    Members members;
    for (const proto::Node& row : rows) {
        const auto id = base::NodeId::from_bytes(row.node_id());
        if (id) (row.leaving() ? members.leaving : members.staying).push_back(*id);
    }
    std::ranges::sort(members.staying);
    std::ranges::sort(members.leaving);
    return members;
}

bool Reencoder::is_mine(const Members& members, const meta::PartitionPlaces& places) const {
    for (const auto* group : {&members.staying, &members.leaving}) {
        for (const base::NodeId& node : places.nodes) {
            if (!std::ranges::binary_search(*group, node)) continue;
            if (site_->is_self(node)) return true;
            if (site_->is_up(node)) return false;
        }
    }
    return false;
}

std::size_t Reencoder::nodes_up() const {
    if (site_->options->remote == nullptr) return 1;
    const std::vector<base::NodeId> others = site_->options->remote->others();
    return 1 + static_cast<std::size_t>(std::ranges::count_if(
                   others, [this](const base::NodeId& node) { return site_->is_up(node); }));
}

Result<std::vector<meta::BlobEntry>> Reencoder::next(const meta::View& view,
                                                     const proto::Reencode& wanted,
                                                     Cursor* cursor) const {
    TRY_ASSIGN(const Members members, members_of(view));
    std::vector<meta::BlobEntry> found;
    for (std::size_t room = kPage; room > 0 && cursor->partition < base::partitions();) {
        TRY_ASSIGN(const auto places, view.places(cursor->partition));
        std::vector<meta::BlobEntry> blobs;
        if (is_mine(members, places)) {
            TRY_ASSIGN(blobs, view.blobs_of(cursor->partition, cursor->after, room));
        }
        const bool is_last = blobs.size() < room;
        if (!blobs.empty()) cursor->after = blobs.back().id;
        room -= std::min(room, blobs.size() + 1);
        for (meta::BlobEntry& entry : blobs) {
            if (!has_wanted_geometry(entry.blob, wanted)) found.push_back(std::move(entry));
        }
        if (is_last) *cursor = {static_cast<std::uint16_t>(cursor->partition + 1), std::nullopt};
    }
    return found;
}

// Pages are old when their last blob has its turn.
Result<bool> Reencoder::is_to_do(const meta::View& view, base::BlobId blob,
                                 const proto::Reencode& wanted) const {
    TRY_ASSIGN(const proto::Layout layout, view.layout());
    const proto::Reencode& now = layout.reencode();
    if (!layout.has_reencode() || now.k() != wanted.k() || now.m() != wanted.m()) return false;
    TRY_ASSIGN(const auto row, view.blob(blob));
    TRY_ASSIGN(const Members members, members_of(view));
    TRY_ASSIGN(const auto places, view.places(base::partition_of(blob)));
    return row && is_mine(members, places);
}

// A failure leaves everything as it was. A blob that cannot be opened is no reason to leave the
// others; what hinders the new one would hinder all of them.
Task<bool> Reencoder::try_one(meta::BlobEntry entry, proto::Reencode wanted) {
    if (wanted_k(entry.blob, wanted) + wanted.m() > nodes_up()) {
        note_failure(entry.id, {Code::kUnavailable, "too few nodes are up"});
        co_return true;  // smaller ones may find enough, and this one has cost nothing
    }
    auto viewed = co_await site_->router->system().view();
    const Result<bool> is_due = viewed ? is_to_do(*viewed, entry.id, wanted)
                                       : Result<bool>(std::unexpected(viewed.error()));
    if (!is_due) note_failure(entry.id, is_due.error());
    if (!is_due || !*is_due) co_return is_due.has_value();
    co_await pacer_.take(entry.blob.size(), site_->options->repair_bytes_per_s);
    auto opened = co_await open(std::move(*viewed), &entry);
    if (!opened) {
        note_failure(entry.id, opened.error());
        co_return true;
    }
    StoredSource source(opened->get(), entry.blob.size());
    auto stored = co_await site_->service->store(&source, entry.blob.size());
    auto done = co_await replace_by(std::move(stored), &entry, std::move(wanted));
    if (done) co_return true;
    note_failure(entry.id, done.error());
    const Code why = done.error().code;
    co_return why == Code::kCorrupt || why == Code::kNotFound;  // further on in the old one
}

Task<Result<void>> Reencoder::replace_by(Result<StoredBody> stored, const meta::BlobEntry* entry,
                                         proto::Reencode wanted) {
    CO_TRY_ASSIGN(StoredBody body, stored);
    if (!is_better(body, wanted)) {
        co_await site_->service->discard(std::move(body));
        co_return fail(Code::kUnavailable, "too few nodes are up");
    }
    auto replaced = co_await replace(entry->id, &body, wanted);
    // After an unknown outcome the new blob may be the one that counts; else it is an orphan.
    const bool is_refused = replaced ? !*replaced : replaced.error().code != Code::kUnknownOutcome;
    if (is_refused) co_await site_->service->discard(std::move(body));
    CO_TRY(replaced);
    if (*replaced) {
        blobs_.add();
        bytes_.add(entry->blob.size());
    }
    co_return Result<void>{};
}

// Tried again in each round, said once.
void Reencoder::note_failure(base::BlobId blob, const Error& error) {
    if (std::exchange(warned_of_, blob) == blob) return;
    LOG_WARN("objects", "re-encoding blob {}: {}", blob.hex(), error.context);
}

Task<Result<std::unique_ptr<BodyReader>>> Reencoder::open(meta::View view,
                                                          const meta::BlobEntry* entry) {
    const proto::Blob& blob = entry->blob;
    proto::Part part;
    part.set_blob_id(blob.logical().empty() ? std::string(entry->id.view()) : blob.logical());
    part.set_size(blob.size());
    std::vector<proto::Part> parts;
    parts.push_back(std::move(part));
    auto opened =
        co_await site_->service->open(std::move(view), std::move(parts), ByteRange{0, blob.size()});
    co_return opened;
}

// False: the old blob is gone. Its references may have gone while the body was on its way.
Task<Result<bool>> Reencoder::replace(base::BlobId blob, StoredBody* body, proto::Reencode wanted) {
    for (int i = 0; i < kTries; ++i) {
        proto::Command command;
        command.mutable_replace_blob()->set_blob_id(std::string(blob.view()));
        *command.mutable_replace_blob()->mutable_by() = *body->blob;
        auto proposed = co_await site_->router->system().propose(std::move(command));
        CO_TRY_ASSIGN(const proto::Answer answer, proposed);
        switch (answer.status()) {
            case proto::Answer::OK:
                co_return true;
            case proto::Answer::BLOB_GONE:
                co_return false;
            case proto::Answer::LAYOUT_CHANGED:
                break;
            default:
                co_return fail(Code::kConflict, answer.detail());
        }
        auto settled = co_await site_->service->settle(*body);
        CO_TRY_ASSIGN(*body, settled);
        if (!is_better(*body, wanted)) co_return fail(Code::kUnavailable, "too few nodes are up");
    }
    co_return fail(Code::kUnavailable, "the layout changes all the time");
}

}  // namespace hamster::objects
