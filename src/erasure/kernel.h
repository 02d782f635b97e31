// Private to the room: the inner loops over the bytes of slices, for several instruction sets,
// chosen at run time. All give the same bytes. The files of the wide kernels are compiled with
// flags the running processor may not honour, so they include nothing that could leave an inline
// function behind for others to link.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace hamster::erasure {

// A kernel takes at most so many inputs and outputs.
inline constexpr size_t kMaxSlots = 32;

// Multiplication by one element, in the forms that the kernels want.
struct Factor {
    uint64_t affine;   // as a matrix of 8x8 bits for GF2P8AFFINEQB
    uint8_t low[16];   // the products with 0x00 .. 0x0F
    uint8_t high[16];  // the products with 0x00, 0x10 .. 0xF0
    uint8_t value;     // the element itself
};

// out[o][x] = the sum over i of factors[o * inputs + i] * in[i][x], for x < length. inputs and
// outputs are 1 .. kMaxSlots. Any length and alignment; nothing outside of [0, length) is touched.
// No output may overlap an input or another output.
using CombineFn = void (*)(const Factor* factors, const uint8_t* const* in, size_t inputs,
                           uint8_t* const* out, size_t outputs, size_t length);

void combine_portable(const Factor* factors, const uint8_t* const* in, size_t inputs,
                      uint8_t* const* out, size_t outputs, size_t length);
#if defined(__x86_64__)
void combine_avx2(const Factor* factors, const uint8_t* const* in, size_t inputs,
                  uint8_t* const* out, size_t outputs, size_t length);
// GFNI with AVX-512 F and BW.
void combine_gfni(const Factor* factors, const uint8_t* const* in, size_t inputs,
                  uint8_t* const* out, size_t outputs, size_t length);
#endif

}  // namespace hamster::erasure
