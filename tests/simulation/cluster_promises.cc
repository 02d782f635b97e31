#include "cluster_promises.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "meta/keyspace.h"

namespace hamster::simulation {

namespace {

// Calls `take` for each row of a table; its rows begin with table, partition, blob id.
template <class Take>
Result<void> each_blob(const meta::View& view, meta::Table table, Take take) {
    const std::string prefix = meta::table_prefix(table);
    const auto at = view.rows().iterate();
    for (at->seek(prefix); at->valid() && at->key().starts_with(prefix); at->next()) {
        const auto id = base::BlobId::from_bytes(at->key().substr(3));
        if (!id) return fail(Code::kCorrupt, "a row without a blob id");
        TRY(take(*id, at->value()));
    }
    return {};
}

template <class Message>
Result<Message> parsed(std::string_view bytes) {
    Message message;
    if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return fail(Code::kCorrupt, "a row that cannot be read");
    }
    return message;
}

}  // namespace

Result<std::vector<PromisedBlob>> promises_of(const meta::View& view) {
    TRY_ASSIGN(const auto trust, view.trust());
    const auto founder = trust ? base::NodeId::from_bytes(trust->founder()).value_or(base::NodeId{})
                               : base::NodeId{};
    std::vector<PromisedBlob> out;
    TRY(each_blob(view, meta::Table::kBlob,
                  [&](const base::BlobId& id, std::string_view bytes) -> Result<void> {
                      PromisedBlob promised{id, {}, {}};
                      TRY_ASSIGN(promised.blob, parsed<proto::Blob>(bytes));
                      TRY_ASSIGN(const auto places, view.places(base::partition_of(id)));
                      for (std::uint32_t i = 0; i < meta::width_of(promised.blob); ++i) {
                          promised.slots.push_back(
                              meta::places_of(promised.blob, places,
                                              base::Slot{static_cast<std::uint8_t>(i)}, founder));
                      }
                      out.push_back(std::move(promised));
                      return {};
                  }));
    return out;
}

int spare_shards(const PromisedBlob& promised, const Losses& losses) {
    int good = 0;
    for (std::size_t i = 0; i < promised.slots.size(); ++i) {
        const auto& places = promised.slots[i];
        const shards::ShardId shard{promised.id, base::Slot{static_cast<std::uint8_t>(i)}};
        const bool is_lost = places.empty() || losses.shards.contains(shard) ||
                             std::ranges::any_of(places, [&](const base::NodeId& node) {
                                 return losses.nodes.contains(node);
                             });
        if (!is_lost) ++good;
    }
    return good - static_cast<int>(promised.blob.k());
}

std::string below_floor(const meta::View& view) {
    const auto degraded = view.degraded(std::nullopt, 1000);
    if (!degraded) return "degraded blobs cannot be read: " + degraded.error().context;
    for (const meta::BlobEntry& entry : *degraded) {
        const auto missing = static_cast<std::uint32_t>(std::popcount(entry.blob.missing()));
        if (entry.blob.m() == 0 || missing < entry.blob.m()) continue;
        return fmt::format("blob {} of {}+{} was acknowledged without slots {:b}", entry.id.hex(),
                           entry.blob.k(), entry.blob.m(), entry.blob.missing());
    }
    return {};
}

std::string redundancy_gap(const meta::View& view) {
    const auto layout = view.layout();
    if (!layout) return "the layout cannot be read: " + layout.error().context;
    if (layout->unsettled() != 0) {
        return fmt::format("{} partitions have sources", layout->unsettled());
    }
    if (layout->has_reencode()) return "blobs are being re-encoded";
    const auto degraded = view.degraded(std::nullopt, 1);
    if (!degraded) return "degraded blobs cannot be read: " + degraded.error().context;
    if (!degraded->empty()) {
        return fmt::format("blob {} lacks slots {:b}", degraded->front().id.hex(),
                           degraded->front().blob.missing());
    }
    const auto promises = promises_of(view);
    if (!promises) return "blobs cannot be read: " + promises.error().context;
    for (const PromisedBlob& promised : *promises) {
        // Before the first layout all of them lie with who took them in.
        if (layout->version() > 0 && !promised.blob.placed()) {
            return fmt::format("blob {} is not placed", promised.id.hex());
        }
        for (const auto& places : promised.slots) {
            if (places.size() == 1) continue;
            return fmt::format("blob {} has a slot in {} places", promised.id.hex(), places.size());
        }
    }
    return {};
}

std::string garbage_left(const meta::View& view) {
    const auto garbage = view.garbage(std::nullopt, 1);
    if (!garbage) return "garbage cannot be read: " + garbage.error().context;
    if (garbage->empty()) return {};
    return fmt::format("blob {} is garbage", garbage->front().blob.hex());
}

std::string miscounted(const meta::View& view) {
    struct Count {
        std::uint64_t blobs = 0;
        std::uint64_t bytes = 0;
        bool operator==(const Count&) const = default;
    };
    using Counts = std::map<std::pair<std::uint32_t, std::uint32_t>, Count>;
    Counts rows;
    const auto add = [&rows](const proto::Blob& blob) {
        Count& count = rows[{blob.k(), blob.m()}];
        ++count.blobs;
        count.bytes += blob.size();
    };
    const auto live = each_blob(view, meta::Table::kBlob,
                                [&](const base::BlobId&, std::string_view bytes) -> Result<void> {
                                    TRY_ASSIGN(const auto blob, parsed<proto::Blob>(bytes));
                                    add(blob);
                                    return {};
                                });
    const auto dead = each_blob(view, meta::Table::kGarbage,
                                [&](const base::BlobId&, std::string_view bytes) -> Result<void> {
                                    TRY_ASSIGN(const auto garbage, parsed<proto::Garbage>(bytes));
                                    add(garbage.blob());
                                    return {};
                                });
    if (!live || !dead) return "rows of blobs cannot be read";
    const auto counted = view.geometries();
    if (!counted) return "the counters cannot be read: " + counted.error().context;
    Counts counters;
    for (const meta::GeometryEntry& entry : *counted) {
        counters[{entry.k, entry.m}] = {entry.count.blobs(), entry.count.bytes()};
    }
    const auto layout = view.layout();
    const bool nobody_counts = layout && layout->version() == 0 && counters.empty();
    if (nobody_counts || counters == rows) return {};
    std::string text = "by the rows:";
    for (const auto& [at, n] : rows) {
        text += fmt::format(" {}+{}: {}, {} bytes;", at.first, at.second, n.blobs, n.bytes);
    }
    text += " by the counters:";
    for (const auto& [at, n] : counters) {
        text += fmt::format(" {}+{}: {}, {} bytes;", at.first, at.second, n.blobs, n.bytes);
    }
    return text;
}

}  // namespace hamster::simulation
