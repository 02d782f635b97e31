#include "base/hash.h"

#include <gtest/gtest.h>

#include <string>

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
