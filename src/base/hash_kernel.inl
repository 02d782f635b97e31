// The body of a kernel; the includer defines HAMSTER_HASH_KERNEL, the name of its table.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash_kernel.h"

namespace hamster::base {
namespace {

uint64_t hash_64(const void* data, size_t size, uint64_t seed) {
    return XXH3_64bits_withSeed(data, size, seed);
}

void hash_128(const void* data, size_t size, uint64_t out[2]) {
    const XXH128_hash_t hash = XXH3_128bits(data, size);
    out[0] = hash.low64;
    out[1] = hash.high64;
}

void hash_128_of_two(const void* a, size_t a_size, const void* b, size_t b_size, uint64_t out[2]) {
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, a, a_size);
    XXH3_128bits_update(&state, b, b_size);
    const XXH128_hash_t hash = XXH3_128bits_digest(&state);
    out[0] = hash.low64;
    out[1] = hash.high64;
}

}  // namespace

const HashKernel HAMSTER_HASH_KERNEL = {hash_64, hash_128, hash_128_of_two};

}  // namespace hamster::base
