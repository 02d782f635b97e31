// For the tests of the reconciler: what they do to a cluster, and ask of it.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/partitions.h"
#include "objects/duty.h"
#include "objects/exchange.h"
#include "objects/sim_cluster.h"

namespace hamster::objects::testing {

using shards::ShardId;

// All nodes of a scene share one replica.
inline meta::View view_of(SimCluster* cluster) {
    return dynamic_cast<meta::Replica&>(*cluster->node(1)->group).here();
}

// The live blobs of all objects.
inline std::vector<meta::BlobEntry> blobs_of(const meta::View& view) {
    std::vector<meta::BlobEntry> all;
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        for (auto& entry : *view.blobs_of(partition, std::nullopt, SIZE_MAX)) {
            all.push_back(std::move(entry));
        }
    }
    return all;
}

inline std::vector<ShardId> shards_on(SimNode* node) {
    std::vector<ShardId> ids;
    for (const auto& shard : *node->shards->list(std::nullopt, SIZE_MAX)) ids.push_back(shard.id);
    return ids;
}

inline Task<Result<base::Buffer>> read_on(SimNode* node, ShardId shard, std::uint32_t stripe) {
    auto read = co_await runtime::run_on(node->world->executor, node->shards->read(shard, stripe));
    co_return read;
}

inline Task<void> remove_on(SimNode* node, std::vector<ShardId> ids) {
    auto removed =
        co_await runtime::run_on(node->world->executor, node->shards->remove(std::move(ids)));
    EXPECT_TRUE(removed.has_value());
}

inline Task<void> empty_disk(SimNode* node) { co_await remove_on(node, shards_on(node)); }

// A bit of this slice is flipped on the disk.
inline Task<void> damage(SimCluster* cluster, std::uint64_t number, ShardId shard,
                         std::uint32_t stripe) {
    SimNode* const node = cluster->node(number);
    for (int i = 0; i < 100; ++i) {
        cluster->machine(number)->set_faults({.bit_rot_ppm = 1'000'000});
        auto read = co_await read_on(node, shard, stripe);
        cluster->machine(number)->set_faults({});
        if (read) continue;  // a bit of the padding, or of what was read beside it
        auto again = co_await read_on(node, shard, stripe);
        if (!again) co_return;
    }
    ADD_FAILURE() << "no damage was done";
}

// What is wrong with the shards of all blobs, empty if nothing: each is on the node of its slot,
// whole and undamaged, and nowhere else.
inline Task<std::string> flaw_of(SimCluster* cluster) {
    const meta::View view = view_of(cluster);
    std::set<std::pair<base::NodeId, ShardId>> expected;
    for (const meta::BlobEntry& entry : blobs_of(view)) {
        const auto places = *view.places(base::partition_of(entry.id));
        const Shape shape = *shape_of(entry.blob);
        if (!entry.blob.placed() || entry.blob.missing() != 0) co_return "not in its places";
        for (std::uint8_t slot = 0; slot < shape.width(); ++slot) {
            const ShardId shard{entry.id, base::Slot{slot}};
            expected.emplace(places.nodes[slot], shard);
            SimNode* const node = cluster->network.nodes.at(places.nodes[slot]);
            for (std::uint32_t stripe = 0; stripe < shape.stripes(); ++stripe) {
                auto read = co_await read_on(node, shard, stripe);
                if (!read) {
                    co_return fmt::format("blob {} slot {} stripe {}: {}", entry.id.hex(), slot,
                                          stripe, read.error().context);
                }
                if (read->size() != shape.slice_length(stripe)) co_return "length";
            }
        }
    }
    for (std::uint64_t number = 1; number <= cluster->nodes.size(); ++number) {
        for (const ShardId& shard : shards_on(cluster->node(number))) {
            if (expected.erase({node_id(number), shard}) == 0) {
                co_return fmt::format("node {} has blob {} slot {}", number, shard.blob.hex(),
                                      shard.slot.value);
            }
        }
    }
    co_return expected.empty() ? "" : "shards are missing";
}

inline Task<void> expect_sound(SimCluster* cluster) {
    const std::string flaw = co_await flaw_of(cluster);
    EXPECT_EQ(flaw, "");
}

// Of the nodes that are not down.
inline Task<void> reconcile_all(SimCluster* cluster) {
    for (std::uint64_t number = 1; number <= cluster->nodes.size(); ++number) {
        const bool is_down = cluster->network.down.contains(node_id(number));
        if (!is_down) co_await reconcile_on(cluster->node(number));
    }
}

// An object of one blob from before there was a layout, which lies with its holder.
inline Task<void> commit_unplaced(SimCluster* cluster, std::string key, base::BlobId blob,
                                  std::uint64_t size, std::uint64_t holder) {
    StoredBody body;
    body.size = size;
    proto::NewBlob& named = body.blob.emplace();
    named.set_blob_id(std::string(blob.view()));
    named.set_sealed_ms(cluster->node(1)->group->stamp_now());
    proto::Blob& geometry = *named.mutable_geometry();
    geometry.set_size(size);
    geometry.set_k(1);
    geometry.set_slice_bytes(shards::kSliceBytes);
    if (holder > 1) geometry.set_holder(std::string(node_id(holder).view()));
    std::vector<StoredBody> bodies;
    bodies.push_back(std::move(body));
    auto committed = co_await cluster->node(1)->commit(std::move(key), std::move(bodies));
    EXPECT_TRUE(committed.has_value());
}

inline Task<void> drop_here(std::unique_ptr<BodyReader> reader) {
    reader.reset();
    co_return;
}
// On the loop that it was opened on.
inline Task<void> drop_on(SimNode* node, std::unique_ptr<BodyReader> reader) {
    co_await runtime::run_on(node->world->executor, drop_here(std::move(reader)));
}

// Enough rounds for what is not needed any more to go.
inline Task<void> collect_all(SimCluster* cluster, std::uint64_t grace_ms) {
    co_await reconcile_all(cluster);                // restores
    co_await reconcile_all(cluster);                // sees what is not needed any more
    co_await cluster->sleep_ms(grace_ms + 70'000);  // and what was kept for readers is forgotten
    co_await reconcile_all(cluster);
    co_await reconcile_all(cluster);
}

inline constexpr std::uint64_t kSizes[] = {1, 4095, 100'000, 131'072, 131'073, 524'288, 2'000'003};

// One object of each size, named by it, by nodes that are not down; `first` distinguishes their
// bytes.
inline Task<void> put_all(SimCluster* cluster, std::uint64_t first) {
    std::uint64_t seed = first;
    for (const std::uint64_t size : kSizes) {
        std::uint64_t number = 1 + seed % cluster->nodes.size();
        while (cluster->network.down.contains(node_id(number))) {
            number = 1 + number % cluster->nodes.size();
        }
        SimNode* const node = cluster->node(number);
        auto put =
            co_await put_on(node, std::to_string(first) + "/" + std::to_string(size), seed, size);
        EXPECT_TRUE(put.has_value()) << size;
        ++seed;
    }
}
inline Task<void> expect_all(SimCluster* cluster, std::uint64_t first, std::uint64_t reader) {
    std::uint64_t seed = first;
    for (const std::uint64_t size : kSizes) {
        auto text = co_await get_on(cluster->node(reader),
                                    std::to_string(first) + "/" + std::to_string(size));
        EXPECT_TRUE(text.has_value()) << size << ": " << text.error().context;
        if (text) EXPECT_TRUE(*text == pattern_text(seed, {0, size})) << size;
        ++seed;
    }
}

}  // namespace hamster::objects::testing
