// GFNI with AVX-512: one instruction multiplies 64 bytes. GF2P8MULB is of no use here, its field is
// that of AES; GF2P8AFFINEQB applies any matrix of bits, and multiplying by an element is one.
#include <immintrin.h>

#include "erasure/kernel.h"

namespace hamster::erasure {
namespace {

constexpr size_t kVector = 64;
// Vectors of each slice that are under way at once.
constexpr size_t kUnroll = 4;
// Outputs that are made in one pass over the inputs: 16 sums, 4 inputs and a factor, of the 32
// registers.
constexpr size_t kGroup = 4;

inline __m512i matrix(const Factor& factor) {
    return _mm512_set1_epi64(static_cast<long long>(factor.affine));
}

template <size_t kOutputs, size_t kVectors>
inline void combine_columns(const Factor* factors, const uint8_t* const* in, size_t inputs,
                            uint8_t* const* out, size_t offset) {
    __m512i sums[kOutputs][kVectors];
    for (size_t o = 0; o < kOutputs; ++o) {
        for (size_t v = 0; v < kVectors; ++v) sums[o][v] = _mm512_setzero_si512();
    }
    for (size_t i = 0; i < inputs; ++i) {
        __m512i data[kVectors];
        for (size_t v = 0; v < kVectors; ++v) {
            data[v] = _mm512_loadu_si512(in[i] + offset + v * kVector);
        }
        for (size_t o = 0; o < kOutputs; ++o) {
            const __m512i by = matrix(factors[o * inputs + i]);
            for (size_t v = 0; v < kVectors; ++v) {
                const __m512i product = _mm512_gf2p8affine_epi64_epi8(data[v], by, 0);
                sums[o][v] = _mm512_xor_si512(sums[o][v], product);
            }
        }
    }
    for (size_t o = 0; o < kOutputs; ++o) {
        for (size_t v = 0; v < kVectors; ++v) {
            _mm512_storeu_si512(out[o] + offset + v * kVector, sums[o][v]);
        }
    }
}

// Fewer bytes than a vector has; lanes that are masked out are not touched.
template <size_t kOutputs>
inline void combine_tail(const Factor* factors, const uint8_t* const* in, size_t inputs,
                         uint8_t* const* out, size_t offset, size_t rest) {
    const __mmask64 mask = (uint64_t{1} << rest) - 1;
    __m512i sums[kOutputs];
    for (size_t o = 0; o < kOutputs; ++o) sums[o] = _mm512_setzero_si512();
    for (size_t i = 0; i < inputs; ++i) {
        const __m512i data = _mm512_maskz_loadu_epi8(mask, in[i] + offset);
        for (size_t o = 0; o < kOutputs; ++o) {
            const __m512i by = matrix(factors[o * inputs + i]);
            sums[o] = _mm512_xor_si512(sums[o], _mm512_gf2p8affine_epi64_epi8(data, by, 0));
        }
    }
    for (size_t o = 0; o < kOutputs; ++o) {
        _mm512_mask_storeu_epi8(out[o] + offset, mask, sums[o]);
    }
}

template <size_t kOutputs>
void combine_group(const Factor* factors, const uint8_t* const* in, size_t inputs,
                   uint8_t* const* out, size_t length) {
    size_t offset = 0;
    for (; length - offset >= kUnroll * kVector; offset += kUnroll * kVector) {
        combine_columns<kOutputs, kUnroll>(factors, in, inputs, out, offset);
    }
    for (; length - offset >= kVector; offset += kVector) {
        combine_columns<kOutputs, 1>(factors, in, inputs, out, offset);
    }
    if (offset < length) {
        combine_tail<kOutputs>(factors, in, inputs, out, offset, length - offset);
    }
}

}  // namespace

void combine_gfni(const Factor* factors, const uint8_t* const* in, size_t inputs,
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
