// For every processor: no table is looked up, bytes are only doubled and added, 16 of them in a
// vector of the compiler's, which is a register of SSE2 or NEON, or a few general ones.
#include <string.h>

#include "erasure/kernel.h"

namespace hamster::erasure {
namespace {

using Vector = uint8_t __attribute__((vector_size(16)));
using SignedVector = int8_t __attribute__((vector_size(16)));

// Vectors of each slice that are under way at once.
constexpr size_t kUnroll = 4;
constexpr size_t kBlockBytes = kUnroll * sizeof(Vector);

Vector load(const uint8_t* from) {
    Vector vector;
    memcpy(&vector, from, sizeof(vector));
    return vector;
}

// Each byte times x, reduced by 0x11D.
Vector times_x(Vector bytes) {
    const auto overflows = reinterpret_cast<SignedVector>(bytes) < 0;
    return (bytes + bytes) ^ (reinterpret_cast<Vector>(overflows) & 0x1D);
}

// One block of one output, by Horner's rule: from the highest power of x to the lowest, the sum of
// the inputs whose factor has it. The branches depend on the factors only, so they come in the
// same order for each block and are predicted.
void combine_block(const Factor* factors, const uint8_t* const* in, size_t inputs, uint8_t* out,
                   size_t offset) {
    Vector sums[kUnroll] = {};
    for (unsigned bit = 8; bit-- > 0;) {
        for (Vector& sum : sums) sum = times_x(sum);
        for (size_t i = 0; i < inputs; ++i) {
            if (((factors[i].value >> bit) & 1U) == 0) continue;
            const uint8_t* from = in[i] + offset;
            for (size_t v = 0; v < kUnroll; ++v) sums[v] ^= load(from + v * sizeof(Vector));
        }
    }
    memcpy(out + offset, sums, kBlockBytes);
}

// The last bytes, through blocks of our own: nothing outside of the slices is touched.
void combine_tail(const Factor* factors, const uint8_t* const* in, size_t inputs,
                  uint8_t* const* out, size_t outputs, size_t offset, size_t rest) {
    uint8_t in_blocks[kMaxSlots][kBlockBytes] = {};
    uint8_t out_block[kBlockBytes];
    const uint8_t* from[kMaxSlots];
    for (size_t i = 0; i < inputs; ++i) {
        memcpy(in_blocks[i], in[i] + offset, rest);
        from[i] = in_blocks[i];
    }
    for (size_t o = 0; o < outputs; ++o) {
        combine_block(factors + o * inputs, from, inputs, out_block, 0);
        memcpy(out[o] + offset, out_block, rest);
    }
}

}  // namespace

void combine_portable(const Factor* factors, const uint8_t* const* in, size_t inputs,
                      uint8_t* const* out, size_t outputs, size_t length) {
    size_t offset = 0;
    for (; length - offset >= kBlockBytes; offset += kBlockBytes) {
        for (size_t o = 0; o < outputs; ++o) {
            combine_block(factors + o * inputs, in, inputs, out[o], offset);
        }
    }
    if (offset < length) {
        combine_tail(factors, in, inputs, out, outputs, offset, length - offset);
    }
}

}  // namespace hamster::erasure
