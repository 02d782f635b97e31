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

base::NodeId node_of(int n) {
    base::NodeId node;
    node.raw.fill(static_cast<std::byte>(n));
    return node;
}

PullOrder pull_order() {
    BlobPlace blob{address_of(0x10, 0).shard.blob, {1'000'000, {{2, 1}, 262'144}}, {}};
    blob.shards.push_back({base::Slot{0}, node_of(0xA0)});
    blob.shards.push_back({base::Slot{2}, node_of(0xA2)});
    return {blob, base::Slot{1}};
}

TEST(Exchange, GoldenBytesOfWrites) {
    const SliceWrite first{address_of(0x10, 0), 524'288, false};
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_write(first, base::as_bytes("hamster")))),
              "0a10101112131415161718191a1b1c1d1e1f10022080802031c40350b59434ae"
              "6c39c03ca09b5552ce1e420768616d73746572");
    const SliceWrite end{address_of(0x10, 3), 0, true};
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_write(end, {}))),
              "0a10101112131415161718191a1b1c1d1e1f10021803280131650b7bafc2e9b2"
              "c839b1aae5adaf5c0f2b");
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_abandon(end.address.shard))),
              "0a10101112131415161718191a1b1c1d1e1f1002");
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_pull(pull_order()))),
              "0a480a10101112131415161718191a1b1c1d1e1f10c0843d1802200128808010"
              "32121210a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0321408021210a2a2a2a2a2a2"
              "a2a2a2a2a2a2a2a2a2a21001");
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_remove({end.address.shard.blob}))),
              "0a10101112131415161718191a1b1c1d1e1f");
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_in_use({end.address.shard.blob}))),
              "0a10101112131415161718191a1b1c1d1e1f");
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

TEST(Exchange, WritesComeBackAsTheyWere) {
    for (const std::size_t size : {0UL, 1UL, 127UL, 128UL, 16'383UL, 16'384UL, 262'144UL}) {
        const std::string bytes(size, 'h');
        const SliceWrite write{address_of(9, 77), 1ULL << 40U, true};
        const std::string sent = encode_write(write, base::as_bytes(bytes));
        EXPECT_LE(sent.size(), kMaxWriteBytes);
        const auto got = decode_write(sent);
        ASSERT_TRUE(got.has_value());
        EXPECT_EQ(got->slice, bytes);
        EXPECT_EQ(got->write.address, write.address);
        EXPECT_EQ(got->write.shard_bytes, write.shard_bytes);
        EXPECT_TRUE(got->write.is_last);
        proto::WriteSlice message;  // any protobuf library reads it
        ASSERT_TRUE(message.ParseFromString(sent));
        EXPECT_EQ(message.slice(), bytes);
    }
}

TEST(Exchange, DamagedWritesAreRefused) {
    const SliceWrite write{address_of(9, 77), 0, false};
    const std::string sent = encode_write(write, base::as_bytes("some bytes of a slice"));
    for (std::size_t bit = 0; bit < sent.size() * 8; ++bit) {
        std::string damaged = sent;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
        const auto got = decode_write(damaged);
        // What the hash does not cover is the length of the shard, which is a hint, and the end.
        if (got) EXPECT_TRUE(got->slice == "some bytes of a slice") << bit;
        if (got) EXPECT_TRUE(got->write.address == write.address) << bit;
    }
    proto::WriteSlice empty;
    empty.set_blob_id(std::string(16, 'b'));
    EXPECT_EQ(decode_write(empty.SerializeAsString()).error().code, Code::kInvalid);
    empty.set_is_last(true);
    EXPECT_EQ(decode_write(empty.SerializeAsString()).error().code, Code::kCorrupt);
    empty.set_slice(std::string(shards::kSliceBytes + 1, 'x'));
    EXPECT_EQ(decode_write(empty.SerializeAsString()).error().code, Code::kTooLarge);
    EXPECT_EQ(decode_write(std::string(kMaxWriteBytes + 1, '\0')).error().code, Code::kTooLarge);
}

TEST(Exchange, OrdersComeBackAndBadOnesAreRefused) {
    const PullOrder order = pull_order();
    EXPECT_TRUE(decode_pull(encode_pull(order)) == order);
    PullOrder wrong = order;
    wrong.slot = base::Slot{3};
    EXPECT_EQ(decode_pull(encode_pull(wrong)).error().code, Code::kInvalid);
    wrong = order;
    wrong.blob.shards.back().slot = base::Slot{3};
    EXPECT_EQ(decode_pull(encode_pull(wrong)).error().code, Code::kInvalid);
    for (const Shape& shape :
         {Shape{0, {{2, 1}, 262'144}}, Shape{5, {{0, 1}, 262'144}}, Shape{5, {{2, 1}, 0}},
          Shape{5, {{2, 1}, 262'145}}, Shape{5, {{30, 3}, 262'144}}}) {
        wrong = order;
        wrong.blob.shards.clear();
        wrong.blob.shape = shape;
        EXPECT_EQ(decode_pull(encode_pull(wrong)).error().code, Code::kCorrupt);
    }
    const shards::ShardId shard = address_of(3, 0).shard;
    EXPECT_TRUE(decode_abandon(encode_abandon(shard)) == shard);
    EXPECT_EQ(decode_abandon("").error().code, Code::kInvalid);
    const std::vector<base::BlobId> blobs{shard.blob, address_of(4, 0).shard.blob};
    EXPECT_TRUE(decode_remove(encode_remove(blobs)) == blobs);
    EXPECT_TRUE(decode_in_use(encode_in_use(blobs)) == blobs);
    EXPECT_TRUE(decode_in_use("")->empty());
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
