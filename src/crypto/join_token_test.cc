#include "crypto/join_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/property_test.h"
#include "crypto/counting_key_source.h"
#include "crypto/crc.h"
#include "crypto/digest.h"

namespace hamster::crypto {
namespace {

using base::as_bytes;
using testing::HasSubstr;

TokenTerms golden_terms() {
    TokenTerms terms;
    terms.cluster.raw.fill(std::byte{0xC1});
    terms.ca.raw.fill(std::byte{0xCA});
    terms.expires_ms = 1'800'000'000'000;
    terms.addresses = {"127.0.0.1:7946", "[2001:db8::1]:7946"};
    return terms;
}

JoinToken golden_token() {
    CountingKeySource random;
    auto token = mint(&random, golden_terms());
    EXPECT_TRUE(token);
    return *token;
}

// The golden token of docs/formats/join-token.md, made with another implementation.
constexpr std::string_view kGolden =
    "hamster1.QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl9gYWJjZGVmZ2hpamtsbW5vwcHBwcHBwcH"
    "BwcHBwcHBwQAAAaMYXFAAysrKysrKysrKysrKysrKysrKysrKysrKysrKysrKysoCDjEyNy4wLjAuMTo3OTQ"
    "2ElsyMDAxOmRiODo6MV06Nzk0NugBzfs";
constexpr std::string_view kGoldenHash =
    "6f8c40508471ed66a982c13dd5275455008ec1cd33fdbd2351a5d8c8f1574564";

// A token whose checksum is right around whatever is inside.
std::string sealed(std::string bytes) {
    base::put_be32(bytes, crc32c(0, as_bytes(bytes)));
    return "hamster1." + base::base64url_encode(as_bytes(bytes));
}
// The inside of the golden token, without its checksum.
std::string golden_bytes() {
    std::string bytes = base::base64url_decode(kGolden.substr(9)).value_or("");
    bytes.resize(bytes.size() - 4);
    return bytes;
}
constexpr std::size_t kCountAt = 16 + 32 + 16 + 8 + 32;

void expect_refused(std::string_view text, std::string_view why) {
    const auto token = decode(text);
    ASSERT_FALSE(token) << text;
    EXPECT_EQ(token.error().code, Code::kInvalid);
    EXPECT_THAT(token.error().context, HasSubstr(std::string(why))) << text;
}

TEST(JoinToken, Golden) {
    EXPECT_EQ(encode(golden_token()), kGolden);
    const auto decoded = decode(kGolden);
    ASSERT_TRUE(decoded) << decoded.error().context;
    EXPECT_TRUE(*decoded == golden_token());
    EXPECT_EQ(decoded->terms.addresses[1], "[2001:db8::1]:7946");
    EXPECT_EQ(base::hex_encode(stored(*decoded).secret_hash), kGoldenHash);
}

TEST(JoinToken, WhiteSpaceAroundItIsIgnored) {
    const auto decoded = decode(" \t\r\n" + std::string(kGolden) + "\r\n");
    ASSERT_TRUE(decoded);
    EXPECT_TRUE(*decoded == golden_token());
}

TEST(JoinToken, EveryTamperedByteIsRefused) {
    for (std::size_t at = 0; at < kGolden.size(); ++at) {
        for (unsigned value = 0; value < 256; ++value) {
            std::string damaged(kGolden);
            if (damaged[at] == static_cast<char>(value)) continue;
            damaged[at] = static_cast<char>(value);
            // White space at either end hides the character that it replaced.
            const auto decoded = decode(damaged);
            ASSERT_FALSE(decoded) << at << " " << value;
            ASSERT_EQ(decoded.error().code, Code::kInvalid);
        }
    }
}

TEST(JoinToken, EveryTruncationIsRefused) {
    for (std::size_t size = 0; size < kGolden.size(); ++size) {
        EXPECT_FALSE(decode(kGolden.substr(0, size))) << size;
        EXPECT_FALSE(decode(kGolden.substr(kGolden.size() - size))) << size;
    }
    expect_refused(kGolden.substr(0, kGolden.size() - 4), "cut off or mistyped; copy it again");
    expect_refused(std::string(kGolden) + "AAAA", "cut off or mistyped");
    expect_refused(std::string(kGolden) + std::string(kGolden), "cut off or mistyped");
}

TEST(JoinToken, SaysWhatToDo) {
    const std::string golden(kGolden);
    expect_refused("", "is empty; run `hamster token`");
    expect_refused(" \n", "is empty");
    expect_refused("AKIAIOSFODNN7EXAMPLE", "does not start with hamster1.; run `hamster token`");
    expect_refused("hamster.1", "does not start with hamster1.");
    expect_refused("hamsterx." + golden.substr(9), "does not start with hamster1.");
    expect_refused("Hamster1." + golden.substr(9), "does not start with hamster1.");
    expect_refused("hamster2." + golden.substr(9), "upgrade this node");
    expect_refused("hamster10." + golden.substr(9), "upgrade this node");
    expect_refused("hamster1.", "cut off");
    expect_refused(golden.substr(0, 60) + "\n" + golden.substr(60), "on one line");
    expect_refused(golden + "=", "mistyped");
    expect_refused("hamster1." + std::string(kMaxTokenText, 'A'), "too long");
}

TEST(JoinToken, BoundsInsideAreChecked) {
    const std::string bytes = golden_bytes();
    ASSERT_TRUE(decode(sealed(bytes)));
    const std::string fixed = bytes.substr(0, kCountAt);
    const std::string address = std::string("\x0e") + "127.0.0.1:7946";
    std::string nine = fixed + '\x09';
    for (int i = 0; i < 9; ++i) nine += address;
    std::string no_cluster = bytes;
    std::fill_n(no_cluster.begin() + 48, 16, '\0');
    for (const std::string& bad :
         {std::string(), bytes.substr(0, kCountAt), fixed + '\0', fixed + '\x01',
          fixed + "\x01" + address.substr(0, 5), fixed + "\x02" + address,
          fixed + "\x01" + address + address, fixed + "\x01" + address + "x",
          fixed + std::string("\x01\x00", 2), fixed + std::string("\x01\xff", 2) + address, nine,
          fixed + "\x01\x05" + "a:123", no_cluster}) {
        expect_refused(sealed(bad), "malformed; run `hamster token`");
    }
    EXPECT_TRUE(decode(sealed(fixed + "\x01" + address)));
}

TEST(JoinToken, TheLongestFits) {
    CountingKeySource random;
    TokenTerms terms = golden_terms();
    terms.addresses.assign(kMaxTokenAddresses,
                           "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535");
    terms.expires_ms = ~0ULL;
    const auto token = mint(&random, terms);
    ASSERT_TRUE(token);
    const std::string text = encode(*token);
    EXPECT_LE(text.size(), kMaxTokenText);
    const auto decoded = decode(text);
    ASSERT_TRUE(decoded);
    EXPECT_TRUE(*decoded == *token);
}

TEST(JoinToken, MintRefusesWhatIsNoAddress) {
    CountingKeySource random;
    TokenTerms terms = golden_terms();
    for (const std::string_view good : {"1.2.3.4:1", "255.255.255.255:65535", "[::1]:7946"}) {
        terms.addresses = {std::string(good)};
        EXPECT_TRUE(mint(&random, terms)) << good;
    }
    for (const std::string_view bad :
         {"",
          ":",
          "1.2.3.4",
          "1.2.3.4:",
          "1.2.3.4:0",
          "1.2.3.4:65536",
          "1.2.3.4:07946",
          "1.2.3.4:-1",
          "1.2.3:80",
          "1.2.3.256:80",
          "host:80",
          "::1:80",
          "[::1]",
          "[1.2.3.4]:80",
          "[::1:80",
          "::1]:80",
          "[]:80",
          "[fe80::1%eth0]:80",
          " 1.2.3.4:80",
          "1.2.3.4:80 ",
          "[:80",
          "1.2.3.4\0:80",
          "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:7946"}) {
        terms.addresses = {std::string(bad)};
        const auto token = mint(&random, terms);
        ASSERT_FALSE(token) << bad;
        EXPECT_EQ(token.error().code, Code::kInvalid);
    }
    terms.addresses = {std::string("1.2.3.4\0:80", 11)};
    EXPECT_FALSE(mint(&random, terms));
    terms.addresses = {};
    EXPECT_FALSE(mint(&random, terms));
    terms.addresses.assign(kMaxTokenAddresses + 1, "1.2.3.4:80");
    EXPECT_FALSE(mint(&random, terms));
}

TEST(JoinToken, OnlyTheRightSecretMatches) {
    const JoinToken token = golden_token();
    const StoredToken kept = stored(token);
    EXPECT_EQ(kept.id, token.proof.id);
    EXPECT_EQ(kept.expires_ms, token.terms.expires_ms);
    EXPECT_TRUE(matches(kept, token.proof));
    for (std::size_t bit = 0; bit < 256; ++bit) {
        TokenProof other = token.proof;
        other.secret.raw[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        EXPECT_FALSE(matches(kept, other)) << bit;
    }
    TokenProof other = token.proof;
    other.id.raw[3] ^= std::byte{1};
    EXPECT_FALSE(matches(kept, other));
    // The hash depends on the id: it cannot be filed under another one.
    StoredToken moved = kept;
    moved.id = other.id;
    EXPECT_FALSE(matches(moved, other));
}

TEST(JoinToken, TwoAreNeverAlike) {
    OsKeySource random;
    const auto a = mint(&random, golden_terms());
    const auto b = mint(&random, golden_terms());
    ASSERT_TRUE(a && b);
    EXPECT_NE(a->proof.id, b->proof.id);
    EXPECT_FALSE(a->proof.secret == b->proof.secret);
    EXPECT_FALSE(matches(stored(*a), b->proof));
}

TEST(JoinToken, AnyTextIsSurvived) {
    base::expect_property([](const std::string& text) {
        RC_ASSERT(!decode(text));
        const auto token = decode(sealed(golden_bytes().substr(0, kCountAt) + text));
        if (token) RC_ASSERT(decode(encode(*token)).has_value());
    });
}

}  // namespace
}  // namespace hamster::crypto
