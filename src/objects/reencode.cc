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
    std::uint64_t failed = 0;
    while (cursor.partition < base::partitions() && !site_->is_stopping()) {
        auto viewed = co_await site_->router->system().view();
        Result<proto::Layout> layout = viewed ? viewed->layout() : std::unexpected(viewed.error());
        if (!layout || !layout->has_reencode()) co_return;
        const proto::Reencode wanted = layout->reencode();
        auto found = next(*viewed, wanted, &cursor);
        for (std::size_t i = 0; found && i < found->size() && !site_->is_stopping(); ++i) {
            auto done = co_await reencode((*found)[i], wanted);
            // Tried again in the next round. The next blob may well be one that can be read.
            if (!done && failed++ == 0) {
                LOG_WARN("objects", "re-encoding blob {}: {}", (*found)[i].id.hex(),
                         done.error().context);
            }
        }
        if (!found) {
            LOG_WARN("objects", "re-encoding: {}", found.error().context);
            co_return;
        }
        (void)co_await site_->pause(kPageGapMs);
    }
    if (failed > 1) LOG_WARN("objects", "{} blobs could not be re-encoded yet", failed);
}

bool Reencoder::is_mine(const meta::PartitionPlaces& places) const {
    const auto first = std::ranges::find_if(
        places.nodes, [this](const base::NodeId& node) { return site_->is_up(node); });
    return first != places.nodes.end() && site_->is_self(*first);
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
    std::vector<meta::BlobEntry> found;
    for (std::size_t room = kPage; room > 0 && cursor->partition < base::partitions();) {
        TRY_ASSIGN(const auto places, view.places(cursor->partition));
        std::vector<meta::BlobEntry> blobs;
        if (is_mine(places)) {
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

// A failure leaves everything as it was.
Task<Result<void>> Reencoder::reencode(meta::BlobEntry entry, proto::Reencode wanted) {
    if (wanted_k(entry.blob, wanted) + wanted.m() > nodes_up()) {
        co_return fail(Code::kUnavailable, "too few nodes are up");
    }
    co_await pacer_.take(entry.blob.size(), site_->options->repair_bytes_per_s);
    auto viewed = co_await site_->router->system().view();
    CO_TRY_ASSIGN(meta::View view, viewed);
    CO_TRY_ASSIGN(const auto row, view.blob(entry.id));
    if (!row) co_return Result<void>{};  // deleted since the page was read
    auto stored = co_await store_anew(std::move(view), &entry);
    CO_TRY_ASSIGN(StoredBody body, stored);
    if (!is_better(body, wanted)) {
        co_await site_->service->discard(std::move(body));
        co_return fail(Code::kUnavailable, "too few nodes are up");
    }
    auto replaced = co_await replace(entry.id, &body, wanted);
    // After an unknown outcome the new blob may be the one that counts; else it is an orphan.
    const bool is_refused = replaced ? !*replaced : replaced.error().code != Code::kUnknownOutcome;
    if (is_refused) co_await site_->service->discard(std::move(body));
    CO_TRY(replaced);
    if (*replaced) {
        blobs_.add();
        bytes_.add(entry.blob.size());
    }
    co_return Result<void>{};
}

Task<Result<StoredBody>> Reencoder::store_anew(meta::View view, const meta::BlobEntry* entry) {
    const proto::Blob& blob = entry->blob;
    proto::Part part;
    part.set_blob_id(blob.logical().empty() ? std::string(entry->id.view()) : blob.logical());
    part.set_size(blob.size());
    std::vector<proto::Part> parts;
    parts.push_back(std::move(part));
    auto opened =
        co_await site_->service->open(std::move(view), std::move(parts), ByteRange{0, blob.size()});
    CO_TRY_ASSIGN(const std::unique_ptr<BodyReader> reader, opened);
    StoredSource source(reader.get(), blob.size());
    auto stored = co_await site_->service->store(&source, blob.size());
    co_return stored;
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
