#include "placement/score.h"

#include <bit>

#include "base/assert.h"
#include "base/hash.h"

namespace hamster::placement {

namespace {

constexpr std::uint32_t kLogBits = 24;

}  // namespace

std::uint64_t negative_log2(std::uint64_t hash) {
    if (hash == 0) return std::uint64_t{64} << kLogBits;
    const auto zeros = static_cast<std::uint32_t>(std::countl_zero(hash));
    std::uint64_t log = std::uint64_t{63 - zeros} << kLogBits;
    std::uint64_t x = (hash << zeros) >> 32U;  // 1 <= x / 2^31 < 2
    for (std::uint64_t digit = std::uint64_t{1} << (kLogBits - 1); digit != 0; digit >>= 1U) {
        x = (x * x) >> 31U;  // its log2 twice as large
        if (x >> 32U == 0) continue;
        x >>= 1U;
        log += digit;
    }
    return (std::uint64_t{64} << kLogBits) - log;
}

Cost rendezvous_cost(const base::NodeId& node, std::uint16_t partition, std::uint64_t weight) {
    HAMSTER_ASSERT(weight >= 1 && weight <= std::uint64_t{1} << kWeightBits, weight);
    const std::uint64_t hash = base::xxh3_64(node.raw, partition);
    return (negative_log2(hash) << kWeightBits) / weight;
}

}  // namespace hamster::placement
