#include "crypto/digest.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/encoding.h"
#include "base/property_test.h"

namespace hamster::crypto {
namespace {

using base::as_bytes;
using base::expect_property;

std::string hex(const std::string& raw) { return base::hex_encode(as_bytes(raw)); }
std::string unhex(std::string_view text) {
    return base::hex_decode(text).value_or("not hexadecimal");
}

constexpr DigestKind kAll[] = {DigestKind::kMd5,   DigestKind::kSha1,   DigestKind::kSha256,
                               DigestKind::kCrc32, DigestKind::kCrc32c, DigestKind::kCrc64Nvme};

TEST(Digest, Rfc1321Md5) {
    EXPECT_EQ(hex(md5({})), "d41d8cd98f00b204e9800998ecf8427e");
    EXPECT_EQ(hex(md5(as_bytes("abc"))), "900150983cd24fb0d6963f7d28e17f72");
    EXPECT_EQ(hex(md5(as_bytes("message digest"))), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(Digest, Fips180Sha) {
    EXPECT_EQ(hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(hex(sha1({})), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hex(sha256(as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hex(sha256(as_bytes(std::string(1000000, 'a')))),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, CrcsAreBigEndian) {
    EXPECT_EQ(hex(digest_of(DigestKind::kCrc32, as_bytes("123456789"))), "cbf43926");
    EXPECT_EQ(hex(digest_of(DigestKind::kCrc32c, as_bytes("123456789"))), "e3069283");
    EXPECT_EQ(hex(digest_of(DigestKind::kCrc64Nvme, as_bytes("123456789"))), "ae8b14860a799888");
}

TEST(Digest, SizesAndKinds) {
    for (const DigestKind kind : kAll) {
        EXPECT_EQ(digest_of(kind, as_bytes("x")).size(), digest_size(kind));
    }
    EXPECT_FALSE(is_crc(DigestKind::kSha256));
    EXPECT_TRUE(is_crc(DigestKind::kCrc32));
    EXPECT_TRUE(is_crc(DigestKind::kCrc64Nvme));
}

TEST(Digest, FinishStartsAfresh) {
    for (const DigestKind kind : kAll) {
        Digest digest(kind);
        digest.update(as_bytes("first"));
        EXPECT_EQ(digest.finish(), digest_of(kind, as_bytes("first")));
        digest.update(as_bytes("second"));
        EXPECT_EQ(digest.finish(), digest_of(kind, as_bytes("second")));
        EXPECT_EQ(digest.finish(), digest_of(kind, {}));
    }
}

// A context that goes back to the pool half way must not leak its bytes into the next digest.
TEST(Digest, AbandonedDigestsLeaveNoTrace) {
    for (const DigestKind kind : kAll) {
        const std::string want = digest_of(kind, as_bytes("abc"));
        {
            Digest abandoned(kind);
            abandoned.update(as_bytes("garbage"));
        }
        EXPECT_EQ(digest_of(kind, as_bytes("abc")), want);
    }
}

TEST(Digest, ManyAtOnceAndMoves) {
    std::vector<Digest> digests;
    for (int i = 0; i < 200; ++i) {
        digests.emplace_back(kAll[i % 6]);
        digests.back().update(as_bytes(std::to_string(i)));
    }
    for (int i = 0; i < 200; ++i) {
        Digest moved = std::move(digests[static_cast<std::size_t>(i)]);
        moved.update(as_bytes("!"));
        EXPECT_EQ(moved.kind(), kAll[i % 6]);
        EXPECT_EQ(moved.finish(), digest_of(kAll[i % 6], as_bytes(std::to_string(i) + "!")));
    }
}

TEST(Digest, PiecesEqualTheWhole) {
    expect_property([](const std::vector<std::string>& pieces) {
        for (const DigestKind kind : kAll) {
            Digest digest(kind);
            std::string whole;
            for (const std::string& piece : pieces) {
                digest.update(as_bytes(piece));
                whole += piece;
            }
            RC_ASSERT(digest.finish() == digest_of(kind, as_bytes(whole)));
        }
    });
}

TEST(Digest, CombineCrc) {
    expect_property([](const std::string& a, const std::string& b) {
        for (const DigestKind kind :
             {DigestKind::kCrc32, DigestKind::kCrc32c, DigestKind::kCrc64Nvme}) {
            const std::string crc_a = digest_of(kind, as_bytes(a));
            const std::string crc_b = digest_of(kind, as_bytes(b));
            RC_ASSERT(combine_crc(kind, as_bytes(crc_a), as_bytes(crc_b), b.size()) ==
                      digest_of(kind, as_bytes(a + b)));
        }
    });
}

TEST(DigestDeathTest, CombineOnlyCrcs) {
    const std::string raw(16, 'x');
    EXPECT_DEATH((void)combine_crc(DigestKind::kMd5, as_bytes(raw), as_bytes(raw), 1), "is_crc");
    EXPECT_DEATH((void)combine_crc(DigestKind::kCrc32, as_bytes(raw), as_bytes(raw), 1), "size");
}

// RFC 4231: cases 1, 2, 3, 6 (a key longer than a block) and 7.
TEST(Hmac, Rfc4231) {
    const auto mac = [](const std::string& key, const std::string& data) {
        return hex(hmac_sha256(as_bytes(key), as_bytes(data)));
    };
    EXPECT_EQ(mac(std::string(20, '\x0b'), "Hi There"),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(mac("Jefe", "what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(mac(std::string(20, '\xaa'), std::string(50, '\xdd')),
              "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    EXPECT_EQ(
        mac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    EXPECT_EQ(mac(std::string(131, '\xaa'),
                  "This is a test using a larger than block-size key and a larger than block-size "
                  "data. The key needs to be hashed before being used by the HMAC algorithm."),
              "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

// The example of "Deriving a signing key" in the documentation of signature version 4.
TEST(Hmac, SignatureVersion4Key) {
    std::string key = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    for (const std::string_view part : {"20120215", "us-east-1", "iam", "aws4_request"}) {
        key = hmac_sha256(as_bytes(key), as_bytes(part));
    }
    EXPECT_EQ(hex(key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
}

TEST(EqualConstantTime, Values) {
    EXPECT_TRUE(equal_constant_time(as_bytes("abc"), as_bytes("abc")));
    EXPECT_TRUE(equal_constant_time({}, {}));
    EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abd")));
    EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("ab")));
    EXPECT_FALSE(equal_constant_time(as_bytes("abc"), {}));
    EXPECT_FALSE(equal_constant_time(as_bytes(unhex("00")), as_bytes(unhex("80"))));
}

}  // namespace
}  // namespace hamster::crypto
