#include "objects/exchange.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "proto/objects.pb.h"

namespace hamster::objects {
namespace {

SliceAddress address_of(int blob, std::uint32_t stripe) {
    SliceAddress address{{{}, base::Slot{2}}, stripe};
    for (std::size_t i = 0; i < 16; ++i) {
        address.shard.blob.raw[i] = static_cast<std::byte>(static_cast<std::size_t>(blob) + i);
    }
    return address;
}

// The bytes as they are sent: a change here is a change of the format.
TEST(Exchange, GoldenBytes) {
    const SliceAddress address = address_of(0x10, 300);
    const std::string read = encode_read(address);
    EXPECT_EQ(base::hex_encode(base::as_bytes(read)),
              "0a10101112131415161718191a1b1c1d1e1f100218ac02");
    const std::string keep = encode_keep({address.shard.blob, address_of(0x20, 0).shard.blob});
    EXPECT_EQ(base::hex_encode(base::as_bytes(keep)),
              "0a10101112131415161718191a1b1c1d1e1f"
              "0a10202122232425262728292a2b2c2d2e2f");
    const std::string slice = encode_slice(address, base::as_bytes("hamster"));
    EXPECT_EQ(base::hex_encode(base::as_bytes(slice)),
              "3aaf87f8f397a0b86642102dec729ece68616d73746572");
}

TEST(Exchange, RequestsComeBack) {
    const SliceAddress address = address_of(7, 4'000'000'000U);
    const auto read = decode_read(encode_read(address));
    EXPECT_TRUE(read == address);
    std::vector<base::BlobId> blobs;
    blobs.reserve(kMaxKeptBlobs);
    for (std::size_t i = 0; i < kMaxKeptBlobs; ++i) {
        blobs.push_back(address_of(static_cast<int>(i % 200), 0).shard.blob);
    }
    const std::string keep = encode_keep(blobs);
    EXPECT_LE(keep.size(), kMaxRequestBytes);
    EXPECT_TRUE(decode_keep(keep) == blobs);
    EXPECT_TRUE(decode_keep("")->empty());
}

TEST(Exchange, BadRequestsAreRefused) {
    EXPECT_EQ(decode_read("\x0a").error().code, Code::kInvalid);
    EXPECT_EQ(decode_read("").error().code, Code::kInvalid);
    EXPECT_EQ(decode_read(std::string(kMaxRequestBytes + 1, '\0')).error().code, Code::kTooLarge);
    proto::ReadSlice far;
    far.set_blob_id(std::string(16, 'b'));
    far.set_slot(256);
    EXPECT_EQ(decode_read(far.SerializeAsString()).error().code, Code::kInvalid);
    proto::KeepBlobs keep;
    keep.add_blob_ids("short");
    EXPECT_EQ(decode_keep(keep.SerializeAsString()).error().code, Code::kInvalid);
    keep.clear_blob_ids();
    for (std::size_t i = 0; i <= kMaxKeptBlobs; ++i) keep.add_blob_ids(std::string(16, 'b'));
    EXPECT_EQ(decode_keep(keep.SerializeAsString()).error().code, Code::kTooLarge);
}

TEST(Exchange, AnswersAreVerified) {
    const SliceAddress address = address_of(7, 3);
    const std::string bytes = "some bytes of a slice";
    const std::string answer = encode_slice(address, base::as_bytes(bytes));
    const auto slice = verify_slice(address, answer);
    ASSERT_TRUE(slice.has_value());
    EXPECT_EQ(base::as_text(*slice), bytes);
    for (std::size_t bit = 0; bit < answer.size() * 8; ++bit) {
        std::string damaged = answer;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        ASSERT_EQ(verify_slice(address, damaged).error().code, Code::kCorrupt) << bit;
    }
    for (std::size_t size = 0; size < answer.size(); ++size) {
        ASSERT_EQ(verify_slice(address, answer.substr(0, size)).error().code, Code::kCorrupt);
    }
    EXPECT_EQ(verify_slice(address, answer + "x").error().code, Code::kCorrupt);
    const std::string endless(kAnswerHeadBytes + shards::kSliceBytes + 1, 'x');
    EXPECT_EQ(verify_slice(address, endless).error().code, Code::kCorrupt);
    // The answer to another question.
    SliceAddress other_slot = address;
    other_slot.shard.slot = base::Slot{1};
    for (const SliceAddress& other : {address_of(8, 3), address_of(7, 2), other_slot}) {
        EXPECT_EQ(verify_slice(other, answer).error().code, Code::kCorrupt);
    }
}

}  // namespace
}  // namespace hamster::objects
