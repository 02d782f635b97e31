// Private to crc.cc and crc_fold.cc: reflected CRCs as polynomial arithmetic, and the table
// algorithm. A reflected value of width W holds the coefficient of x^e in bit W-1-e.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace hamster::crypto {

using base::Bytes;

template <class T>
constexpr unsigned kWidth = sizeof(T) * 8;

// Value times x, modulo the polynomial.
template <class T>
constexpr T times_x(T value, T poly) {
    return static_cast<T>((value >> 1U) ^ ((value & 1U) != 0 ? poly : 0));
}

// x^n modulo the polynomial, by repeated multiplication: for small n.
template <class T>
constexpr T x_to_the(unsigned n, T poly) {
    T value = T{1} << (kWidth<T> - 1);
    for (unsigned i = 0; i < n; ++i) value = times_x(value, poly);
    return value;
}

// a times b, modulo the polynomial.
template <class T>
constexpr T multiply(T a, T b, T poly) {
    T product = 0;
    for (unsigned i = 0; i < kWidth<T>; ++i) {
        if ((b >> (kWidth<T> - 1 - i) & 1U) != 0) product ^= a;
        a = times_x(a, poly);
    }
    return product;
}

template <class T, T kPoly>
struct CrcTable {
    static constexpr std::size_t kSlices = 8;
    using Slices = std::array<std::array<T, 256>, kSlices>;

    // slices[k][b]: what byte b followed by k zero bytes adds to the state.
    static constexpr Slices make() {
        Slices slices{};
        for (unsigned b = 0; b < 256; ++b) {
            T value = static_cast<T>(b);
            for (unsigned i = 0; i < 8; ++i) value = times_x(value, kPoly);
            slices[0][b] = value;
        }
        for (unsigned k = 1; k < kSlices; ++k) {
            for (unsigned b = 0; b < 256; ++b) {
                const T before = slices[k - 1][b];
                slices[k][b] = static_cast<T>(before >> 8U) ^ slices[0][before & 0xFFU];
            }
        }
        return slices;
    }
    static constexpr Slices kTables = make();

    // Advances a state (no initial or final xor) over bytes: slicing by eight.
    static T advance(T state, const std::byte* p, std::size_t size) {
        for (; size >= 8; size -= 8, p += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, p, sizeof(word));
            word ^= state;
            state = 0;
            for (unsigned i = 0; i < 8; ++i) {
                state ^= kTables[7 - i][word >> (8 * i) & 0xFFU];
            }
        }
        for (; size > 0; --size, ++p) {
            const auto index = (state ^ std::to_integer<T>(*p)) & 0xFFU;
            state = static_cast<T>(state >> 8U) ^ kTables[0][index];
        }
        return state;
    }
};

inline constexpr std::uint32_t kCrc32Poly = 0xEDB88320U;
inline constexpr std::uint32_t kCrc32cPoly = 0x82F63B78U;
inline constexpr std::uint64_t kCrc64NvmePoly = 0x9A6C9329AC4BC9B5U;
using Crc32Table = CrcTable<std::uint32_t, kCrc32Poly>;
using Crc32cTable = CrcTable<std::uint32_t, kCrc32cPoly>;
using Crc64NvmeTable = CrcTable<std::uint64_t, kCrc64NvmePoly>;

// Advance a state with carry-less multiplication. Only where fold_supported().
bool fold_supported();
std::uint32_t fold_crc32(std::uint32_t state, const std::byte* p, std::size_t size);
std::uint32_t fold_crc32c(std::uint32_t state, const std::byte* p, std::size_t size);
std::uint64_t fold_crc64nvme(std::uint64_t state, const std::byte* p, std::size_t size);

}  // namespace hamster::crypto
