#include "crypto/random.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/prng.h"

namespace hamster::crypto {
namespace {

TEST(Random, FillsEveryByte) {
    // Over 64 fills each byte of a short buffer is almost surely non-zero at least once
    // (a byte fails with probability 256^-64).
    std::vector<std::byte> ever(33);
    for (int i = 0; i < 64; ++i) {
        std::vector<std::byte> bytes(33);
        random_bytes(bytes);
        for (std::size_t j = 0; j < bytes.size(); ++j) ever[j] |= bytes[j];
    }
    for (const std::byte b : ever) EXPECT_NE(b, std::byte{0});
    random_bytes({});
}

TEST(Random, KeysDiffer) {
    OsKeySource source;
    EXPECT_FALSE(source.key() == source.key());
}

TEST(Random, PredictableSourceFollowsItsGenerator) {
    runtime::Prng a(7);
    runtime::Prng b(7);
    runtime::Prng c(8);
    const Key256 key = PredictableKeySource(&a).key();
    EXPECT_TRUE(key == PredictableKeySource(&b).key());
    EXPECT_FALSE(key == PredictableKeySource(&c).key());
    EXPECT_FALSE(key == PredictableKeySource(&a).key());
}

TEST(Key256, FromBytes) {
    const std::string text(32, 'k');
    const auto key = Key256::from_bytes(base::as_bytes(text));
    EXPECT_EQ(base::as_text(key.value_or(Key256{}).bytes()), text);
    EXPECT_FALSE(Key256::from_bytes(base::as_bytes(text).first(31)));
    EXPECT_FALSE(Key256::from_bytes(base::as_bytes(text + "k")));
    EXPECT_FALSE(Key256::from_bytes({}));
}

// The destructor leaves nothing behind.
TEST(Key256, IsWiped) {
    alignas(Key256) std::byte memory[sizeof(Key256)];
    auto* key = new (memory) Key256;
    key->raw.fill(std::byte{0xAB});
    key->~Key256();
    for (volatile std::byte* p = memory; p != memory + sizeof(memory); ++p) {
        EXPECT_EQ(static_cast<std::byte>(*p), std::byte{0});
    }
}

}  // namespace
}  // namespace hamster::crypto
