#include "base/hash.h"

// Gives the layout of the state, so that it can live on the stack.
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include <cstring>

namespace hamster::base {
namespace {

Hash128 from_xxh(XXH128_hash_t hash) { return {.low = hash.low64, .high = hash.high64}; }

// Joining short inputs on the stack beats setting up the streaming state.
constexpr std::size_t kJoinLimit = 512;

}  // namespace

std::uint64_t xxh3_64(Bytes bytes, std::uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

Hash128 xxh3_128(Bytes bytes) { return from_xxh(XXH3_128bits(bytes.data(), bytes.size())); }

Hash128 xxh3_128(Bytes a, Bytes b) {
    if (b.empty()) return xxh3_128(a);
    if (a.empty()) return xxh3_128(b);
    if (a.size() <= kJoinLimit && b.size() <= kJoinLimit) {
        std::array<std::byte, 2 * kJoinLimit> joined;
        std::memcpy(joined.data(), a.data(), a.size());
        std::memcpy(joined.data() + a.size(), b.data(), b.size());
        return xxh3_128(Bytes(joined.data(), a.size() + b.size()));
    }
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, a.data(), a.size());
    XXH3_128bits_update(&state, b.data(), b.size());
    return from_xxh(XXH3_128bits_digest(&state));
}

}  // namespace hamster::base
