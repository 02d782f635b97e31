#include "crypto/crc.h"

#include "crypto/crc_table.h"

namespace hamster::crypto {
namespace {

template <class T>
using Advance = T (*)(T state, const std::byte* p, std::size_t size);

template <class T>
T finished(Advance<T> advance, T crc, Bytes bytes) {
    return static_cast<T>(~advance(static_cast<T>(~crc), bytes.data(), bytes.size()));
}

// x^(8 * bytes) modulo the polynomial, by squaring.
template <class T>
T shift_of(std::uint64_t bytes, T poly) {
    T result = x_to_the(0, poly);
    T square = x_to_the(8, poly);
    for (; bytes != 0; bytes >>= 1U) {
        if ((bytes & 1U) != 0) result = multiply(result, square, poly);
        square = multiply(square, square, poly);
    }
    return result;
}

// The all-ones initial value and final xor cancel out: what is left of crc(a) is its polynomial
// moved left by the bits of b.
template <class T>
T combine(T a, T b, std::uint64_t length_b, T poly) {
    return multiply(a, shift_of(length_b, poly), poly) ^ b;
}

}  // namespace

std::uint32_t crc32(std::uint32_t crc, Bytes bytes) {
    return finished(fold_supported() ? fold_crc32 : Crc32Table::advance, crc, bytes);
}
std::uint32_t crc32c(std::uint32_t crc, Bytes bytes) {
    return finished(fold_supported() ? fold_crc32c : Crc32cTable::advance, crc, bytes);
}
std::uint64_t crc64nvme(std::uint64_t crc, Bytes bytes) {
    return finished(fold_supported() ? fold_crc64nvme : Crc64NvmeTable::advance, crc, bytes);
}

std::uint32_t crc32_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_b) {
    return combine(a, b, length_b, kCrc32Poly);
}
std::uint32_t crc32c_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_b) {
    return combine(a, b, length_b, kCrc32cPoly);
}
std::uint64_t crc64nvme_combine(std::uint64_t a, std::uint64_t b, std::uint64_t length_b) {
    return combine(a, b, length_b, kCrc64NvmePoly);
}

namespace portable {
std::uint32_t crc32(std::uint32_t crc, Bytes bytes) {
    return finished(Crc32Table::advance, crc, bytes);
}
std::uint32_t crc32c(std::uint32_t crc, Bytes bytes) {
    return finished(Crc32cTable::advance, crc, bytes);
}
std::uint64_t crc64nvme(std::uint64_t crc, Bytes bytes) {
    return finished(Crc64NvmeTable::advance, crc, bytes);
}
}  // namespace portable

}  // namespace hamster::crypto
