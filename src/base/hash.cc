#include "base/hash.h"

#include <cstring>

#include "base/hash_kernel.h"

namespace hamster::base {
namespace {

// Joining short inputs on the stack beats setting up the streaming state.
constexpr std::size_t kJoinLimit = 512;

const HashKernel& best_kernel() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") != 0) return kHashAvx512;
    if (__builtin_cpu_supports("avx2") != 0) return kHashAvx2;
#endif
    return kHashBaseline;
}

const HashKernel& kernel() {
    static const HashKernel& chosen = best_kernel();
    return chosen;
}

}  // namespace

std::uint64_t xxh3_64(Bytes bytes, std::uint64_t seed) {
    return kernel().hash_64(bytes.data(), bytes.size(), seed);
}

Hash128 xxh3_128(Bytes bytes) {
    std::uint64_t words[2];
    kernel().hash_128(bytes.data(), bytes.size(), words);
    return {.low = words[0], .high = words[1]};
}

Hash128 xxh3_128(Bytes a, Bytes b) {
    if (b.empty()) return xxh3_128(a);
    if (a.empty()) return xxh3_128(b);
    if (a.size() <= kJoinLimit && b.size() <= kJoinLimit) {
        std::array<std::byte, 2 * kJoinLimit> joined;
        std::memcpy(joined.data(), a.data(), a.size());
        std::memcpy(joined.data() + a.size(), b.data(), b.size());
        return xxh3_128(Bytes(joined.data(), a.size() + b.size()));
    }
    std::uint64_t words[2];
    kernel().hash_128_of_two(a.data(), a.size(), b.data(), b.size(), words);
    return {.low = words[0], .high = words[1]};
}

}  // namespace hamster::base
