// CRCs by folding with carry-less multiplication, after Gopal et al., "Fast CRC Computation for
// Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009). Four 16-byte lanes hide the
// latency of the multiplication. The paper ends with a Barrett reduction; here the last 16 bytes
// simply go through the table (for CRC32C, the instruction), which costs a few nanoseconds.
#include "crypto/crc_table.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define HAMSTER_FOLD_TARGET __attribute__((target("pclmul,sse4.2")))

namespace hamster::crypto {
namespace {

// Below this many bytes setting up the lanes does not pay.
constexpr std::size_t kMinFold = 64;
constexpr unsigned kLanes = 4;

// The two multipliers that move a 128-bit lane `bits` further: one for its first 8 bytes, which
// stand 64 bits higher, one for the rest. The product of two reflected 64-bit values is one bit
// short of 128, which multiplies by x; hence the - 1.
template <class T, T kPoly>
struct FoldBy {
    static consteval std::uint64_t constant(unsigned power) {
        return static_cast<std::uint64_t>(x_to_the<T>(power, kPoly)) << (64 - kWidth<T>);
    }
    static consteval std::uint64_t first(unsigned bits) { return constant(bits + 64 - 1); }
    static consteval std::uint64_t rest(unsigned bits) { return constant(bits - 1); }
};

HAMSTER_FOLD_TARGET inline __m128i load(const std::byte* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

// lane moved by the distance of `multipliers`, plus the data it meets there.
HAMSTER_FOLD_TARGET inline __m128i fold(__m128i lane, __m128i multipliers, __m128i data) {
    const __m128i first = _mm_clmulepi64_si128(lane, multipliers, 0x00);
    const __m128i rest = _mm_clmulepi64_si128(lane, multipliers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, rest), data);
}

HAMSTER_FOLD_TARGET inline __m128i multipliers(std::uint64_t first, std::uint64_t rest) {
    return _mm_set_epi64x(static_cast<long long>(rest), static_cast<long long>(first));
}

template <class T, T kPoly, T (*kAdvance)(T, const std::byte*, std::size_t)>
HAMSTER_FOLD_TARGET T fold_all(T state, const std::byte* p, std::size_t size) {
    if (size < kMinFold) return kAdvance(state, p, size);
    using By = FoldBy<T, kPoly>;
    const __m128i by_four = multipliers(By::first(kLanes * 128), By::rest(kLanes * 128));
    const __m128i by_one = multipliers(By::first(128), By::rest(128));

    // The state adds to the first bytes of the message.
    __m128i lane[kLanes];
    for (unsigned i = 0; i < kLanes; ++i) lane[i] = load(p + 16 * i);
    lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi64_si128(static_cast<long long>(state)));
    p += kMinFold;
    size -= kMinFold;
    for (; size >= kMinFold; size -= kMinFold, p += kMinFold) {
        for (unsigned i = 0; i < kLanes; ++i) lane[i] = fold(lane[i], by_four, load(p + 16 * i));
    }
    __m128i sum = lane[0];
    for (unsigned i = 1; i < kLanes; ++i) sum = fold(sum, by_one, lane[i]);
    for (; size >= 16; size -= 16, p += 16) sum = fold(sum, by_one, load(p));

    alignas(16) std::byte last[16];
    _mm_store_si128(reinterpret_cast<__m128i*>(last), sum);
    return kAdvance(kAdvance(0, last, sizeof(last)), p, size);
}

// The instruction of SSE4.2 computes exactly this polynomial.
HAMSTER_FOLD_TARGET std::uint32_t advance_crc32c(std::uint32_t state, const std::byte* p,
                                                 std::size_t size) {
    std::uint64_t wide = state;
    for (; size >= 8; size -= 8, p += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, p, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }
    state = static_cast<std::uint32_t>(wide);
    for (; size > 0; --size, ++p) state = _mm_crc32_u8(state, std::to_integer<std::uint8_t>(*p));
    return state;
}

}  // namespace

bool fold_supported() {
    static const bool supported =
        __builtin_cpu_supports("pclmul") != 0 && __builtin_cpu_supports("sse4.2") != 0;
    return supported;
}

std::uint32_t fold_crc32(std::uint32_t state, const std::byte* p, std::size_t size) {
    return fold_all<std::uint32_t, kCrc32Poly, Crc32Table::advance>(state, p, size);
}
std::uint32_t fold_crc32c(std::uint32_t state, const std::byte* p, std::size_t size) {
    return fold_all<std::uint32_t, kCrc32cPoly, advance_crc32c>(state, p, size);
}
std::uint64_t fold_crc64nvme(std::uint64_t state, const std::byte* p, std::size_t size) {
    return fold_all<std::uint64_t, kCrc64NvmePoly, Crc64NvmeTable::advance>(state, p, size);
}

}  // namespace hamster::crypto

#else

namespace hamster::crypto {

bool fold_supported() { return false; }
std::uint32_t fold_crc32(std::uint32_t state, const std::byte* p, std::size_t size) {
    return Crc32Table::advance(state, p, size);
}
std::uint32_t fold_crc32c(std::uint32_t state, const std::byte* p, std::size_t size) {
    return Crc32cTable::advance(state, p, size);
}
std::uint64_t fold_crc64nvme(std::uint64_t state, const std::byte* p, std::size_t size) {
    return Crc64NvmeTable::advance(state, p, size);
}

}  // namespace hamster::crypto
#endif
