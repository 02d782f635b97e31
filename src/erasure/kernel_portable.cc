// For every processor: eight bytes in a word, multiplied bit by bit. No table is looked up, so that
// the compiler can put several words into whatever vector registers there are.
#include <string.h>

#include "erasure/kernel.h"

namespace hamster::erasure {
namespace {

constexpr size_t kWords = 8;
constexpr size_t kBlockBytes = kWords * sizeof(uint64_t);
// Outputs that are made in one pass over the inputs.
constexpr size_t kGroup = 4;

// Each of the eight bytes times x, reduced by 0x11D.
uint64_t times_x(uint64_t bytes) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    const uint64_t carries = (bytes >> 7) & kOnes;
    const uint64_t masks = (carries << 8) - carries;  // 0xFF in each byte that overflows
    return ((bytes << 1) & ~kOnes) ^ (masks & (kOnes * 0x1D));
}

// One block of up to kGroup outputs, at `offset`.
void combine_block(const Factor* factors, const uint8_t* const* in, size_t inputs,
                   uint8_t* const* out, size_t outputs, size_t offset) {
    uint64_t sums[kGroup][kWords] = {};
    for (size_t i = 0; i < inputs; ++i) {
        uint64_t power[kWords];
        memcpy(power, in[i] + offset, kBlockBytes);
        for (unsigned bit = 0; bit < 8; ++bit) {
            for (size_t o = 0; o < outputs; ++o) {
                const uint64_t is_set = (factors[o * inputs + i].value >> bit) & 1U;
                const uint64_t mask = 0 - is_set;
                for (size_t w = 0; w < kWords; ++w) sums[o][w] ^= power[w] & mask;
            }
            for (size_t w = 0; w < kWords; ++w) power[w] = times_x(power[w]);
        }
    }
    for (size_t o = 0; o < outputs; ++o) memcpy(out[o] + offset, sums[o], kBlockBytes);
}

// The last bytes, through blocks of our own: nothing outside of the slices is touched.
void combine_tail(const Factor* factors, const uint8_t* const* in, size_t inputs,
                  uint8_t* const* out, size_t outputs, size_t offset, size_t rest) {
    uint8_t in_blocks[kMaxSlots][kBlockBytes] = {};
    uint8_t out_blocks[kGroup][kBlockBytes];
    const uint8_t* from[kMaxSlots];
    uint8_t* to[kGroup];
    for (size_t i = 0; i < inputs; ++i) {
        memcpy(in_blocks[i], in[i] + offset, rest);
        from[i] = in_blocks[i];
    }
    for (size_t o = 0; o < outputs; ++o) to[o] = out_blocks[o];
    combine_block(factors, from, inputs, to, outputs, 0);
    for (size_t o = 0; o < outputs; ++o) memcpy(out[o] + offset, out_blocks[o], rest);
}

}  // namespace

void combine_portable(const Factor* factors, const uint8_t* const* in, size_t inputs,
                      uint8_t* const* out, size_t outputs, size_t length) {
    for (size_t done = 0; done < outputs; done += kGroup) {
        const size_t group = outputs - done < kGroup ? outputs - done : kGroup;
        const Factor* rows = factors + done * inputs;
        size_t offset = 0;
        for (; length - offset >= kBlockBytes; offset += kBlockBytes) {
            combine_block(rows, in, inputs, out + done, group, offset);
        }
        if (offset < length) {
            combine_tail(rows, in, inputs, out + done, group, offset, length - offset);
        }
    }
}

}  // namespace hamster::erasure
