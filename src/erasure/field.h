// Arithmetic in GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11D), the field of
// docs/formats/erasure.md. For building matrices: the bytes of slices go through the kernels. Pure.
#pragma once

#include <cstdint>

namespace hamster::erasure {

using Element = std::uint8_t;

inline constexpr unsigned kPolynomial = 0x11D;

// Addition and subtraction are both XOR.
constexpr Element add(Element a, Element b) { return static_cast<Element>(a ^ b); }

constexpr Element multiply(Element a, Element b) {
    unsigned sum = 0;
    unsigned power = a;  // a * x^bit
    for (unsigned bit = 0; bit < 8; ++bit) {
        if (((b >> bit) & 1U) != 0) sum ^= power;
        power <<= 1;
        if ((power & 0x100U) != 0) power ^= kPolynomial;
    }
    return static_cast<Element>(sum);
}

// a^254, which is 1/a because a^255 = 1; 0 for 0, which has no inverse.
constexpr Element invert(Element a) {
    Element result = 1;
    Element square = a;
    for (unsigned exponent = 254; exponent != 0; exponent >>= 1) {
        if ((exponent & 1U) != 0) result = multiply(result, square);
        square = multiply(square, square);
    }
    return result;
}

static_assert(multiply(0x80, 2) == 0x1D);
static_assert(multiply(invert(7), 7) == 1);

}  // namespace hamster::erasure
