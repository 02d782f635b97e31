#include "crypto/seal.h"

#include <gtest/gtest.h>

#include <set>

#include "base/encoding.h"
#include "base/property_test.h"
#include "crypto/counting_key_source.h"
#include "crypto/random.h"

namespace hamster::crypto {
namespace {

using base::as_bytes;
using base::expect_property;

Key256 golden_key() { return CountingKeySource(0).key(); }

constexpr std::string_view kGoldenOpened = "correct horse battery staple";
constexpr std::string_view kGoldenSealed =
    "01404142434445464748494a4b81d6dc51435ff323a5ab6545fe44713a"
    "0db2372ece157c571637228058aa1f69f5654bdb563c3d8487813ae1";
constexpr std::string_view kGoldenEmpty =
    "01404142434445464748494a4b3f6d588618a96a62c45d5d7451b42234";

std::string from_hex(std::string_view text) {
    return base::hex_decode(text).value_or("not hexadecimal");
}
Code code_of(const Result<std::string>& result) { return result.error().code; }

// The golden bytes of docs/formats/secrets.md, computed with another implementation of AES-GCM.
TEST(Seal, Golden) {
    const std::string sealed = from_hex(kGoldenSealed);
    EXPECT_EQ(open(golden_key(), as_bytes(sealed), as_bytes("user/42")),
              std::string(kGoldenOpened));
    EXPECT_EQ(open(golden_key(), as_bytes(from_hex(kGoldenEmpty)), {}), std::string());
    CountingKeySource nonces(0x40);
    EXPECT_EQ(seal(&nonces, golden_key(), as_bytes(kGoldenOpened), as_bytes("user/42")), sealed);
    CountingKeySource again(0x40);
    EXPECT_EQ(seal(&again, golden_key(), {}, {}), from_hex(kGoldenEmpty));
}

TEST(Seal, EveryFlippedBitIsFound) {
    const std::string sealed = from_hex(kGoldenSealed);
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
        std::string damaged = sealed;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        const auto opened = open(golden_key(), as_bytes(damaged), as_bytes("user/42"));
        ASSERT_FALSE(opened) << bit;
        EXPECT_EQ(code_of(opened), bit < 8 ? Code::kUnsupported : Code::kCorrupt) << bit;
    }
}

TEST(Seal, EveryTruncationIsFound) {
    const std::string sealed = from_hex(kGoldenSealed);
    for (std::size_t size = 0; size < sealed.size(); ++size) {
        const auto opened = open(golden_key(), as_bytes(sealed).first(size), as_bytes("user/42"));
        ASSERT_FALSE(opened) << size;
        EXPECT_EQ(code_of(opened), Code::kCorrupt) << size;
    }
    EXPECT_FALSE(open(golden_key(), as_bytes(sealed + "x"), as_bytes("user/42")));
    const std::string huge = "\x01" + std::string(kMaxSecret + kSealOverhead, 'x');
    EXPECT_EQ(code_of(open(golden_key(), as_bytes(huge), {})), Code::kCorrupt);
}

TEST(Seal, OtherKeyOrContextDoesNotOpen) {
    const std::string sealed = from_hex(kGoldenSealed);
    EXPECT_FALSE(open(golden_key(), as_bytes(sealed), as_bytes("user/43")));
    EXPECT_FALSE(open(golden_key(), as_bytes(sealed), {}));
    EXPECT_FALSE(open(CountingKeySource(1).key(), as_bytes(sealed), as_bytes("user/42")));
}

TEST(Seal, LargestSecret) {
    OsKeySource keys;
    const Key256 key = keys.key();
    const std::string secret(kMaxSecret, 's');
    const std::string sealed = seal(&keys, key, as_bytes(secret), {});
    EXPECT_EQ(sealed.size(), secret.size() + kSealOverhead);
    EXPECT_EQ(open(key, as_bytes(sealed), {}), secret);
    EXPECT_DEATH((void)seal(&keys, key, as_bytes(secret + "s"), {}), "kMaxSecret");
}

TEST(Seal, NoncesDiffer) {
    OsKeySource keys;
    const Key256 key = keys.key();
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) seen.insert(seal(&keys, key, as_bytes("same"), {}));
    EXPECT_EQ(seen.size(), 100U);
}

TEST(Seal, RoundTrip) {
    OsKeySource keys;
    const Key256 key = keys.key();
    expect_property([&](const std::string& secret, const std::string& context) {
        const std::string sealed = seal(&keys, key, as_bytes(secret), as_bytes(context));
        const bool same = open(key, as_bytes(sealed), as_bytes(context)) == secret;
        RC_ASSERT(same);
    });
}

}  // namespace
}  // namespace hamster::crypto
