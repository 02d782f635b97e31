#include "cluster_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/prng.h"
#include "s3_client.h"

namespace hamster::simulation {

namespace {

std::uint64_t pick(runtime::Prng& random, std::uint64_t low, std::uint64_t high) {
    return low + random.below(high - low + 1);
}

node::Options draw_options(runtime::Prng& random) {
    constexpr std::uint64_t kKiB = 1024;
    node::Options options;
    options.root = {std::string(kAccessKey), std::string(kSecretKey)};
    options.fit_to_disk = false;
    options.shards.segment_bytes = 1024 * kKiB;
    options.shards.small_segment_bytes = 320 * kKiB;
    options.shards.reserve_bytes = 1024 * kKiB;
    // A table of the layout fits in.
    options.meta.wal_file_bytes = 1024 * kKiB + pick(random, 0, 24) * 4 * kKiB;
    // Often so small that a node that was away needs a snapshot.
    options.meta.flush_after_bytes = pick(random, 1, 16) * 16 * kKiB;
    options.objects.gc_grace_ms = pick(random, 500, 3000);
    options.objects.reconcile_interval_ms = pick(random, 1, 5) * 1000;
    options.objects.orphan_scan_interval_ms = pick(random, 1, 20) * 1000;
    options.objects.full_walk_interval_ms = 20'000;
    options.objects.scrub_period_ms = 70'000;  // a pass every ten seconds
    options.objects.body_memory_bytes = 16U << 20U;
    options.drain = std::chrono::seconds(2);
    return options;
}

}  // namespace

std::string_view name_of(ClusterFault fault) {
    constexpr std::array<std::string_view, kClusterFaults> kNames = {
        "crash-at-io",    "crash-now",   "clean-restart",
        "power-cut",      "cut-one-way", "cut-two-ways",
        "isolate-leader", "flapping",    "pause",
        "slow-links",     "resets",      "clock-jump",
        "full-disk",      "slow-disk",   "disk-errors",
        "grow",           "transfer",    "remove",
        "bad-token",      "holder-dies", "coordinator-dies",
        "slow-node",      "disk-lost",   "disk-rots",
        "shards-rot",     "slots-move",  "drain",
        "replace",        "profile",     "optimize"};
    return kNames[static_cast<std::size_t>(fault)];
}

bool ClusterPlan::has(ClusterFault fault) const {
    return std::ranges::find(kinds, fault) != kinds.end();
}

std::string ClusterPlan::text() const {
    std::string out = fmt::format(
        "seed {}: {} of {} nodes, {} workers x {} operations, {} keys, {} faults of:", seed,
        at_start, nodes, workers, operations, keys.size(), faults);
    for (const ClusterFault kind : kinds) out += fmt::format(" {}", name_of(kind));
    if (crash_in_init) out += " crash-in-init";
    if (crash_in_start) out += " crash-in-start";
    if (only_empty_bodies) out += " only-empty-bodies";
    return out;
}

ClusterPlan draw_cluster_plan(std::uint64_t seed) {
    runtime::Prng random = runtime::Prng::split(seed, "cluster plan");
    const auto chance = [&random](std::uint64_t percent) { return random.below(100) < percent; };
    constexpr std::array kSizes = {1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 6, 7};
    ClusterPlan plan;
    plan.seed = seed;
    plan.nodes = kSizes[random.below(kSizes.size())];
    plan.at_start = chance(70)
                        ? plan.nodes
                        : static_cast<int>(pick(random, 1, static_cast<unsigned>(plan.nodes)));
    plan.workers = static_cast<int>(pick(random, 1, 4));
    plan.operations = static_cast<int>(pick(random, 8, 40));
    plan.options = draw_options(random);
    const std::uint64_t keys = pick(random, 1, 4);
    for (std::uint64_t i = 0; i < keys; ++i) plan.keys.push_back(fmt::format("k{}", i));
    plan.only_empty_bodies = chance(40);
    plan.has_two_parts = !plan.only_empty_bodies && chance(3);
    if (chance(15)) plan.max_body_bytes = 3'000'000;
    plan.crash_in_init = chance(5);
    plan.crash_in_start = chance(25);
    if (chance(90)) {
        plan.faults = static_cast<int>(pick(random, 1, 12));
        plan.gap_ms = chance(50) ? 500 : 3000;
        const std::uint64_t share = pick(random, 8, 35);  // percent
        for (int i = 0; i < kClusterFaults; ++i) {
            const auto kind = static_cast<ClusterFault>(i);
            if (chance(kind == ClusterFault::kPowerCut ? 10 : share)) plan.kinds.push_back(kind);
        }
        if (plan.kinds.empty()) plan.kinds.push_back(ClusterFault::kCrashAtIo);
        // There must be somebody to take over.
        if (plan.has(ClusterFault::kReplace) && plan.at_start == plan.nodes) ++plan.nodes;
    }
    plan.has_outage = chance(40);
    plan.has_calamity = chance(35);
    plan.has_leap = chance(30);
    plan.has_catastrophe = chance(8);
    plan.is_laid_out = chance(75);
    plan.pace_ms = chance(50) ? 300 : 30;
    if (plan.pace_ms == 30) plan.operations *= 3;
    if (chance(15) && plan.faults > 0 &&
        plan.at_start >= 3) {  // bodies that are always on the move
        plan.kinds.insert(plan.kinds.end(), plan.kinds.size() + 1, ClusterFault::kSlotsMove);
        plan.faults = std::max(plan.faults, 6);
        plan.gap_ms = 500;
        plan.is_laid_out = true;
        plan.only_empty_bodies = false;
    }
    return plan;
}

}  // namespace hamster::simulation
