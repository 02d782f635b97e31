#include "base/hash.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hash_kernel.h"
#include "base/property_test.h"

namespace hamster::base {
namespace {

// Published values of the empty input. A change of any of these would orphan stored data.
TEST(Hash, EmptyInput) {
    EXPECT_EQ(xxh3_64({}), 0x2D06800538D394C2ULL);
    EXPECT_EQ(xxh3_128(Bytes{}),
              (Hash128{.low = 0x6001C324468D497FULL, .high = 0x99AA06D3014798D8ULL}));
}

TEST(Hash, Seed) {
    EXPECT_NE(xxh3_64(as_bytes("abc")), xxh3_64(as_bytes("abc"), 1));
    EXPECT_EQ(xxh3_64(as_bytes("abc")), xxh3_64(as_bytes("abc"), 0));
    EXPECT_EQ(xxh3_64(as_bytes("abc")), 0x78AF5F94892F3950ULL);
}

TEST(Hash, TwoPiecesEqualTheirJoin) {
    for (const std::size_t n : {0U, 1U, 16U, 240U, 511U, 512U, 513U, 1024U, 1500U, 70000U}) {
        std::string text;
        for (std::size_t i = 0; i < n; ++i) text.push_back(static_cast<char>(i * 131 + i / 256));
        for (const std::size_t cut : {std::size_t{0}, n / 3, n / 2, n}) {
            const std::string_view view = text;
            EXPECT_EQ(xxh3_128(as_bytes(view.substr(0, cut)), as_bytes(view.substr(cut))),
                      xxh3_128(as_bytes(view)))
                << n << " cut at " << cut;
        }
    }
}

TEST(Hash, TwoPiecesProperty) {
    expect_property([](const std::string& a, const std::string& b) {
        RC_ASSERT(xxh3_128(as_bytes(a), as_bytes(b)) == xxh3_128(as_bytes(a + b)));
    });
}

// Data written on one processor is verified on another: all kernels must agree.
void expect_agrees(const HashKernel& kernel) {
    std::string text;
    for (std::size_t i = 0; i < 70000; ++i) text.push_back(static_cast<char>(i * 131 + i / 256));
    std::vector<std::size_t> sizes = {1023, 1024, 1025, 4096, 65536, 65537, 70000};
    for (std::size_t size = 0; size <= 600; ++size) sizes.push_back(size);
    for (const std::size_t size : sizes) {
        std::uint64_t want[2];
        std::uint64_t got[2];
        kHashBaseline.hash_128(text.data(), size, want);
        kernel.hash_128(text.data(), size, got);
        EXPECT_EQ(std::vector(got, got + 2), std::vector(want, want + 2)) << size;
        kernel.hash_128_of_two(text.data(), size / 3, text.data() + size / 3, size - size / 3, got);
        EXPECT_EQ(std::vector(got, got + 2), std::vector(want, want + 2)) << size;
        EXPECT_EQ(kernel.hash_64(text.data(), size, size),
                  kHashBaseline.hash_64(text.data(), size, size))
            << size;
    }
}

TEST(HashKernels, Agree) {
    expect_agrees(kHashBaseline);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") != 0) expect_agrees(kHashAvx2);
    if (__builtin_cpu_supports("avx512f") != 0) expect_agrees(kHashAvx512);
#endif
}

TEST(Hash, OneFlippedBitChangesIt) {
    std::string text(1000, 'x');
    const Hash128 before = xxh3_128(as_bytes(text));
    for (std::size_t i = 0; i < text.size(); i += 37) {
        text[i] ^= 0x10;
        EXPECT_NE(xxh3_128(as_bytes(text)), before) << i;
        text[i] ^= 0x10;
    }
}

}  // namespace
}  // namespace hamster::base
