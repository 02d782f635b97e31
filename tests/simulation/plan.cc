#include "plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/prng.h"
#include "s3_client.h"

namespace hamster::simulation {

namespace {

// Sorted differently by bytes than by eye; some share prefixes with others, or are one.
constexpr std::array<std::string_view, 14> kKeys = {"a",   "a/b", "a/b/c",      "a/c",       "b",
                                                    "k1",  "k2",  "k3",         "k4",        "a//",
                                                    "z..", "..",  "k/\xC3\xBC", "with space"};

std::uint64_t pick(runtime::Prng& random, std::uint64_t low, std::uint64_t high) {
    return low + random.below(high - low + 1);
}

node::Options draw_options(runtime::Prng& random) {
    constexpr std::uint64_t kKiB = 1024;
    node::Options options;
    options.s3_address = "127.0.0.1:9000";
    options.root = {std::string(kAccessKey), std::string(kSecretKey)};
    options.fit_to_disk = false;
    options.shards.segment_bytes = pick(random, 1, 4) * 1024 * kKiB;
    options.shards.small_segment_bytes = pick(random, 1, 4) * 320 * kKiB;
    options.shards.reserve_bytes = 1024 * kKiB;
    options.meta.wal_file_bytes = pick(random, 5, 24) * 4 * kKiB;
    options.meta.flush_after_bytes = pick(random, 1, 8) * 3 * kKiB;
    options.objects.gc_grace_ms = pick(random, 100, 600);
    options.objects.reconcile_interval_ms = pick(random, 1, 10) * 40;
    options.objects.orphan_scan_interval_ms =
        options.objects.reconcile_interval_ms * pick(random, 1, 3);
    options.objects.body_memory_bytes = pick(random, 3, 16) << 20;
    return options;
}

}  // namespace

std::string_view name_of(Fault fault) {
    switch (fault) {
        case Fault::kCrashAtIo:
            return "crash-at-io";
        case Fault::kCrashNow:
            return "crash-now";
        case Fault::kCleanRestart:
            return "clean-restart";
        case Fault::kDiskErrors:
            return "disk-errors";
        case Fault::kSlowDisk:
            return "slow-disk";
        case Fault::kFullDisk:
            return "full-disk";
        case Fault::kClockJump:
            return "clock-jump";
        case Fault::kNetworkReset:
            return "network-reset";
        case Fault::kBitRot:
            return "bit-rot";
    }
    return "";
}

bool Plan::has(Fault fault) const { return std::ranges::find(kinds, fault) != kinds.end(); }

std::string Plan::text() const {
    std::string out =
        fmt::format("seed {}: {} workers x {} operations, {} keys, {} faults of:", seed, workers,
                    operations, keys.size(), faults);
    for (const Fault kind : kinds) out += fmt::format(" {}", name_of(kind));
    if (crash_in_init) out += " crash-in-init";
    if (crash_in_recovery) out += " crash-in-recovery";
    if (log_rot) out += " log-rot";
    return out;
}

Plan draw_plan(std::uint64_t seed) {
    runtime::Prng random = runtime::Prng::split(seed, "plan");
    const auto chance = [&random](std::uint64_t percent) { return random.below(100) < percent; };
    Plan plan;
    plan.seed = seed;
    plan.workers = static_cast<int>(pick(random, 1, 5));
    plan.operations = static_cast<int>(pick(random, 8, 40));
    plan.options = draw_options(random);
    const std::uint64_t keys = pick(random, 2, kKeys.size());
    for (std::uint64_t i = 0; i < keys; ++i) plan.keys.emplace_back(kKeys[i]);
    if (chance(85)) {
        plan.faults = static_cast<int>(pick(random, 1, 8));
        if (chance(70)) plan.kinds.push_back(Fault::kCrashAtIo);
        constexpr std::array kOthers = {
            Fault::kCrashNow, Fault::kCleanRestart, Fault::kDiskErrors,  Fault::kSlowDisk,
            Fault::kFullDisk, Fault::kClockJump,    Fault::kNetworkReset};
        for (const Fault kind : kOthers) {
            if (chance(22)) plan.kinds.push_back(kind);
        }
        if (chance(12)) plan.kinds.push_back(Fault::kBitRot);
        if (plan.kinds.empty()) plan.kinds.push_back(Fault::kCrashAtIo);
    }
    plan.crash_in_init = chance(10);
    plan.crash_in_recovery = chance(40);
    plan.two_part_uploads = chance(3);
    plan.max_bytes = chance(20) ? 3'000'000 : 700'000;
    plan.delete_all = chance(50);
    plan.power_cut_last = chance(50);
    plan.log_rot = chance(5);
    if (plan.log_rot) {  // the first file stays, and holds nothing older than itself
        plan.options.meta.flush_after_bytes = 1ULL << 30;
        // In half of them it is the only one: then nothing but the damage itself tells of it.
        plan.options.meta.wal_file_bytes = chance(50) ? 64 * 1024 : 1024 * 1024;
    }
    return plan;
}

}  // namespace hamster::simulation
