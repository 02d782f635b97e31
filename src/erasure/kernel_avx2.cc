// AVX2: a byte is two nibbles, and VPSHUFB looks up the product of 32 nibbles at once (Plank,
// Greenan, Miller, "Screaming Fast Galois Field Arithmetic Using Intel SIMD Instructions", 2013).
#include <immintrin.h>
#include <string.h>

#include "erasure/kernel.h"

namespace hamster::erasure {
namespace {

constexpr size_t kVector = 32;
// Outputs that are made in one pass over the inputs: with two vectors of each slice under way that
// is 8 sums, 4 of nibbles, 2 tables, a mask and a spare, of the 16 registers.
constexpr size_t kGroup = 4;

inline __m256i table(const uint8_t* products) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(products)));
}

template <size_t kOutputs, size_t kVectors>
inline void combine_columns(const Factor* factors, const uint8_t* const* in, size_t inputs,
                            uint8_t* const* out, size_t offset) {
    const __m256i nibble = _mm256_set1_epi8(0x0F);
    __m256i sums[kOutputs][kVectors];
    for (size_t o = 0; o < kOutputs; ++o) {
        for (size_t v = 0; v < kVectors; ++v) sums[o][v] = _mm256_setzero_si256();
    }
    for (size_t i = 0; i < inputs; ++i) {
        __m256i low[kVectors];
        __m256i high[kVectors];
        for (size_t v = 0; v < kVectors; ++v) {
            const __m256i data =
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in[i] + offset + v * kVector));
            low[v] = _mm256_and_si256(data, nibble);
            high[v] = _mm256_and_si256(_mm256_srli_epi64(data, 4), nibble);
        }
        for (size_t o = 0; o < kOutputs; ++o) {
            const Factor& factor = factors[o * inputs + i];
            const __m256i of_low = table(factor.low);
            const __m256i of_high = table(factor.high);
            for (size_t v = 0; v < kVectors; ++v) {
                const __m256i product = _mm256_xor_si256(_mm256_shuffle_epi8(of_low, low[v]),
                                                         _mm256_shuffle_epi8(of_high, high[v]));
                sums[o][v] = _mm256_xor_si256(sums[o][v], product);
            }
        }
    }
    for (size_t o = 0; o < kOutputs; ++o) {
        for (size_t v = 0; v < kVectors; ++v) {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[o] + offset + v * kVector),
                                sums[o][v]);
        }
    }
}

// The last bytes, through vectors of our own: nothing outside of the slices is touched.
template <size_t kOutputs>
void combine_tail(const Factor* factors, const uint8_t* const* in, size_t inputs,
                  uint8_t* const* out, size_t offset, size_t rest) {
    uint8_t in_vectors[kMaxSlots][kVector] = {};
    uint8_t out_vectors[kOutputs][kVector];
    const uint8_t* from[kMaxSlots];
    uint8_t* to[kOutputs];
    for (size_t i = 0; i < inputs; ++i) {
        memcpy(in_vectors[i], in[i] + offset, rest);
        from[i] = in_vectors[i];
    }
    for (size_t o = 0; o < kOutputs; ++o) to[o] = out_vectors[o];
    combine_columns<kOutputs, 1>(factors, from, inputs, to, 0);
    for (size_t o = 0; o < kOutputs; ++o) memcpy(out[o] + offset, out_vectors[o], rest);
}

template <size_t kOutputs>
void combine_group(const Factor* factors, const uint8_t* const* in, size_t inputs,
                   uint8_t* const* out, size_t length) {
    size_t offset = 0;
    for (; length - offset >= 2 * kVector; offset += 2 * kVector) {
        combine_columns<kOutputs, 2>(factors, in, inputs, out, offset);
    }
    for (; length - offset >= kVector; offset += kVector) {
        combine_columns<kOutputs, 1>(factors, in, inputs, out, offset);
    }
    if (offset < length) {
        combine_tail<kOutputs>(factors, in, inputs, out, offset, length - offset);
    }
}

}  // namespace

void combine_avx2(const Factor* factors, const uint8_t* const* in, size_t inputs,
                  uint8_t* const* out, size_t outputs, size_t length) {
    using GroupFn = void (*)(const Factor*, const uint8_t* const*, size_t, uint8_t* const*, size_t);
    constexpr GroupFn kGroups[kGroup + 1] = {nullptr, combine_group<1>, combine_group<2>,
                                             combine_group<3>, combine_group<4>};
    for (size_t done = 0; done < outputs; done += kGroup) {
        const size_t group = outputs - done < kGroup ? outputs - done : kGroup;
        kGroups[group](factors + done * inputs, in, inputs, out + done, length);
    }
}

}  // namespace hamster::erasure
