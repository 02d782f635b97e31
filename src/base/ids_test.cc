#include "base/ids.h"

#include <gtest/gtest.h>

#include <set>

namespace hamster::base {
namespace {

std::array<std::byte, 16> filled(unsigned value) {
    std::array<std::byte, 16> bytes{};
    bytes.fill(static_cast<std::byte>(value));
    return bytes;
}

BlobId blob(std::string_view hex) { return BlobId::from_hex(hex).value_or(BlobId{}); }

TEST(Ids, HexRoundTrip) {
    BlobId id;
    for (std::size_t i = 0; i < 16; ++i) id.raw[i] = static_cast<std::byte>(i * 17);
    EXPECT_EQ(id.hex(), "00112233445566778899aabbccddeeff");
    EXPECT_EQ(BlobId::from_hex(id.hex()), id);
    EXPECT_EQ(BlobId::from_hex("00112233445566778899AABBCCDDEEFF"), id);
}

TEST(Ids, FromHexRefusesOtherLengthsAndCharacters) {
    EXPECT_FALSE(BlobId::from_hex(""));
    EXPECT_FALSE(BlobId::from_hex("00112233445566778899aabbccddeef"));
    EXPECT_FALSE(BlobId::from_hex("00112233445566778899aabbccddeeff00"));
    EXPECT_FALSE(BlobId::from_hex("00112233445566778899aabbccddeefg"));
}

TEST(Ids, BytesRoundTrip) {
    const NodeId id{filled(7)};
    EXPECT_EQ(NodeId::from_bytes(id.view()), id);
    EXPECT_FALSE(NodeId::from_bytes(id.view().substr(1)));
    EXPECT_FALSE(NodeId::from_bytes(std::string(17, 'x')));
    EXPECT_FALSE(NodeId::from_bytes(""));
}

TEST(Ids, OrderIsThatOfTheBytes) {
    BlobId low;
    BlobId high;
    low.raw[15] = std::byte{0xFF};
    high.raw[0] = std::byte{0x80};
    EXPECT_LT(low, high);
    EXPECT_TRUE(BlobId{}.is_zero());
    EXPECT_FALSE(low.is_zero());
}

TEST(Ids, UuidV7Layout) {
    // RFC 9562 appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F at 0x017F22E279B0 ms.
    const BlobId random = blob("ffffffffffff0cc398c4dc0c0c07398f");
    const VersionId id{uuid_v7(0x017F22E279B0, random.raw)};
    EXPECT_EQ(id.hex(), "017f22e279b07cc398c4dc0c0c07398f");
}

TEST(Ids, UuidV7ForcesVersionAndVariant) {
    EXPECT_EQ(VersionId{uuid_v7(0, filled(0xFF))}.hex(), "0000000000007fffbfffffffffffffff");
    EXPECT_EQ(VersionId{uuid_v7(0, filled(0x00))}.hex(), "00000000000070008000000000000000");
}

TEST(Ids, UuidV7OrdersByTime) {
    EXPECT_LT(VersionId{uuid_v7(1000, filled(0xFF))}, VersionId{uuid_v7(1001, filled(0))});
    EXPECT_LT(VersionId{uuid_v7(0xFFFFFFFF, filled(0xFF))},
              VersionId{uuid_v7(0x100000000, filled(0))});
}

TEST(Ids, PartitionIsTheFirstTwelveBits) {
    EXPECT_EQ(partition_of(blob("abcdef00000000000000000000000000")), 0xABC);
    EXPECT_EQ(partition_of(blob("fff00000000000000000000000000000")), 4095);
    EXPECT_EQ(partition_of(blob("000fffffffffffffffffffffffffffff")), 0);
}

TEST(Ids, AnIdMovesToAnotherPartition) {
    const BlobId old = blob("abcdef00000000000000000000000001");
    EXPECT_EQ(in_partition(old, 0x123), blob("123def00000000000000000000000001"));
    EXPECT_EQ(in_partition(old, 0xABC), old);
    EXPECT_EQ(in_partition(old, 4095), blob("fffdef00000000000000000000000001"));
}

TEST(Ids, HashDiffersForDifferentIds) {
    std::set<std::size_t> hashes;
    for (unsigned i = 0; i < 256; ++i) hashes.insert(std::hash<BlobId>{}(BlobId{filled(i)}));
    EXPECT_EQ(hashes.size(), 256U);
}

}  // namespace
}  // namespace hamster::base
