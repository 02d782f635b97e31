#include "rpc/frame.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/encoding.h"
#include "base/hash.h"
#include "rpc/hello.h"

namespace hamster::rpc {
namespace {

const Frame kRequest{.kind = FrameKind::kRequest,
                     .method = Method(0x0203),
                     .call = 0x1122334455667788,
                     .payload = "payload"};

Result<std::optional<Frame>> decode(const std::string& bytes) {
    FrameReader reader;
    for (std::size_t at = 0; at < bytes.size();) {
        const base::MutableBytes room = reader.spare();
        const std::size_t n = std::min(room.size(), bytes.size() - at);
        std::memcpy(room.data(), bytes.data() + at, n);
        reader.received(n);
        at += n;
    }
    return reader.next();
}

Code decode_error_of(const std::string& bytes) {
    auto frame = decode(bytes);
    EXPECT_FALSE(frame.has_value());
    return frame ? Code::kNotFound : frame.error().code;
}

// Makes both checksums of a damaged frame right again.
std::string mend(std::string bytes) {
    auto* const p = reinterpret_cast<std::byte*>(bytes.data());
    const std::uint64_t fields = base::xxh3_64({p, 20});
    base::store_le32(p + 20, static_cast<std::uint32_t>(fields));
    base::store_le64(p + 24, base::xxh3_64({p + 32, bytes.size() - 32}, fields));
    return bytes;
}

TEST(RpcFrame, Golden) {
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_frame(kRequest))),
              "485250010300030288776655443322110700000054b1ff133f0bdb6f5d2e20bf"
              "7061796c6f6164");
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_frame({.kind = FrameKind::kPing}))),
              "485250010700000000000000000000000000000003c3b11ac7b7199305d9ae92");
}

TEST(RpcFrame, GoldenHello) {
    Hello hello{{1, 3}, {}, {}, Lane::kBulk};
    hello.cluster.raw.fill(std::byte{0xC1});
    hello.node.raw.fill(std::byte{0x0E});
    EXPECT_EQ(base::hex_encode(base::as_bytes(encode_hello(hello))),
              "01000300c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c10e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e02");
    EXPECT_EQ(decode_hello(encode_hello(hello)), hello);
    EXPECT_EQ(decode_hello(encode_hello(hello) + "a later field"), hello);
}

TEST(RpcFrame, RoundTrip) {
    for (const std::size_t size : {0UL, 1UL, 31UL, 32UL, 70'000UL, kMaxPayload}) {
        for (int kind = 1; kind <= 8; ++kind) {
            const Frame frame{.kind = static_cast<FrameKind>(kind),
                              .method = Method(0xFFFF),
                              .call = UINT64_MAX,
                              .payload = std::string(size, 'p')};
            auto back = decode(encode_frame(frame));
            ASSERT_TRUE(back.has_value() && back->has_value());
            EXPECT_TRUE(**back == frame);
        }
    }
}

TEST(RpcFrame, EveryPrefixIsNotYetAFrame) {
    const std::string bytes = encode_frame(kRequest);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        auto frame = decode(bytes.substr(0, n));
        ASSERT_TRUE(frame.has_value());
        EXPECT_FALSE(frame->has_value()) << n;
    }
}

TEST(RpcFrame, EveryBitCounts) {
    const std::string bytes = encode_frame(kRequest);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        std::string damaged = bytes;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
        const Code code = decode_error_of(damaged);
        EXPECT_EQ(code, bit / 8 == 3 ? Code::kUnsupported : Code::kCorrupt) << bit;
    }
}

TEST(RpcFrame, FramesFollowEachOther) {
    FrameReader reader;
    std::string bytes;
    for (int i = 0; i < 50; ++i) {
        bytes += encode_frame({.kind = FrameKind::kPost,
                               .call = static_cast<std::uint64_t>(i),
                               .payload = std::string(static_cast<std::size_t>(i) * 1000, 'x')});
    }
    std::uint64_t seen = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const base::MutableBytes room = reader.spare();
        const std::size_t n = std::min({room.size(), bytes.size() - at, std::size_t{777}});
        std::memcpy(room.data(), bytes.data() + at, n);
        reader.received(n);
        at += n;
        for (;;) {
            auto frame = reader.next();
            ASSERT_TRUE(frame.has_value());
            if (!*frame) break;
            EXPECT_EQ((*frame)->call, seen);
            EXPECT_EQ((*frame)->payload.size(), seen * 1000);
            ++seen;
        }
    }
    EXPECT_EQ(seen, 50U);
}

TEST(RpcFrame, Bounds) {
    std::string large = encode_frame(kRequest);
    base::store_le32(reinterpret_cast<std::byte*>(large.data()) + 16,
                     static_cast<std::uint32_t>(kMaxPayload) + 1);
    EXPECT_EQ(decode_error_of(mend(large)), Code::kTooLarge);
    std::string unknown = encode_frame(kRequest);
    for (const char kind : {'\0', '\x09', '\xFF'}) {
        unknown[4] = kind;
        EXPECT_EQ(decode_error_of(mend(unknown)), Code::kUnsupported);
    }
    unknown = encode_frame(kRequest);
    unknown[5] = 7;  // flags: ignored
    EXPECT_TRUE(decode(mend(unknown)).has_value());
}

TEST(RpcHello, WhatIsRefused) {
    const Hello ours{{2, 4}, base::ClusterId{}, base::NodeId{}, Lane::kControl};
    Hello theirs = ours;
    EXPECT_EQ(agree(ours, theirs), 4);
    theirs.versions = {1, 2};
    EXPECT_EQ(agree(ours, theirs), 2);
    theirs.versions = {5, 9};
    EXPECT_EQ(agree(ours, theirs).error().code, Code::kUnsupported);
    theirs.versions = {1, 1};
    EXPECT_EQ(agree(ours, theirs).error().code, Code::kUnsupported);
    theirs = ours;
    theirs.cluster.raw[3] = std::byte{1};
    EXPECT_EQ(agree(ours, theirs).error().code, Code::kDenied);

    const std::string good = encode_hello(ours);
    EXPECT_EQ(decode_hello(good.substr(1)).error().code, Code::kCorrupt);
    EXPECT_EQ(decode_hello(std::string(kMaxHelloBytes + 1, 'x')).error().code, Code::kCorrupt);
    std::string bad = good;
    bad[0] = 9;  // min above max
    EXPECT_EQ(decode_hello(bad).error().code, Code::kCorrupt);
    bad = good;
    bad[36] = 3;
    EXPECT_EQ(decode_hello(bad).error().code, Code::kUnsupported);
}

TEST(RpcHello, Errors) {
    for (int code = 0; code <= static_cast<int>(Code::kDenied); ++code) {
        const Error error{static_cast<Code>(code), "why"};
        EXPECT_EQ(decode_error(encode_error(error)), error);
        EXPECT_EQ(encode_error(error)[0], code + 1);  // the numbers on the wire
    }
    const Error longest{Code::kIo, std::string(5000, 'x')};
    EXPECT_EQ(decode_error(encode_error(longest))->context.size(), kMaxContextBytes);
    EXPECT_EQ(decode_error("").error().code, Code::kCorrupt);
    EXPECT_EQ(decode_error(std::string(2000, 'x')).error().code, Code::kCorrupt);
    EXPECT_EQ(decode_error("\x7Fnews")->code, Code::kUnknownOutcome);
}

}  // namespace
}  // namespace hamster::rpc
