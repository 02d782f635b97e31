#include "base/encoding.h"

#include <gtest/gtest.h>

#include "base/property_test.h"

namespace hamster::base {
namespace {

TEST(Hex, KnownValues) {
    EXPECT_EQ(hex_encode({}), "");
    EXPECT_EQ(hex_encode(as_bytes(std::string_view("\x00\x7f\xff", 3))), "007fff");
    EXPECT_EQ(hex_decode("007FfF"), std::string("\x00\x7f\xff", 3));
    EXPECT_EQ(hex_decode(""), "");
}

TEST(Hex, Refuses) {
    for (const std::string_view bad : {"0", "0g", "g0", " 0", "0x", "001"}) {
        EXPECT_FALSE(hex_decode(bad)) << bad;
    }
}

TEST(Base64, Rfc4648Vectors) {
    const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                     {"f", "Zg=="},
                                                                     {"fo", "Zm8="},
                                                                     {"foo", "Zm9v"},
                                                                     {"foob", "Zm9vYg=="},
                                                                     {"fooba", "Zm9vYmE="},
                                                                     {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, text] : vectors) {
        EXPECT_EQ(base64_encode(as_bytes(plain)), text);
        EXPECT_EQ(base64_decode(text), plain);
    }
    EXPECT_EQ(base64_encode(as_bytes("\xff\xef\xbf")), "/++/");
}

TEST(Base64, RefusesWhatIsNotCanonical) {
    for (const std::string_view bad :
         {"Z", "Zg", "Zg=", "Zg===", "====", "=", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "Zm9v\n",
          "Zm-v", "Zm_v", "Z===", "=Zg=", "Zg=a"}) {
        EXPECT_FALSE(base64_decode(bad)) << bad;
    }
}

TEST(Base64Url, KnownValues) {
    const std::pair<std::string_view, std::string_view> vectors[] = {
        {"", ""},        {"f", "Zg"},        {"fo", "Zm8"},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg"}, {"\xff\xef\xbf", "_--_"}};
    for (const auto& [plain, text] : vectors) {
        EXPECT_EQ(base64url_encode(as_bytes(plain)), text);
        EXPECT_EQ(base64url_decode(text), plain);
    }
}

TEST(Base64Url, RefusesWhatIsNotCanonical) {
    for (const std::string_view bad : {"Z", "Zg==", "Zg=", "Zh", "Zm9", "Zm9vY", "Zm 9", "Zm9v\n",
                                       "Zm+v", "Zm/v", "=", "Zm9v="}) {
        EXPECT_FALSE(base64url_decode(bad)) << bad;
    }
}

TEST(Uri, Encode) {
    EXPECT_EQ(uri_encode("AZaz09-._~", false), "AZaz09-._~");
    EXPECT_EQ(uri_encode("a b/c+d*", false), "a%20b%2Fc%2Bd%2A");
    EXPECT_EQ(uri_encode("a/b", true), "a/b");
    EXPECT_EQ(uri_encode("\xe2\x82\xac", false), "%E2%82%AC");
    EXPECT_EQ(uri_encode(std::string_view("\0", 1), false), "%00");
}

TEST(Uri, Decode) {
    EXPECT_EQ(uri_decode("a%20b%2fc%2B+"), "a b/c++");
    EXPECT_EQ(uri_decode("a+b%2B", true), "a b+");
    for (const std::string_view bad : {"%", "%2", "a%", "%zz", "%2g", "%%20"}) {
        EXPECT_FALSE(uri_decode(bad)) << bad;
    }
}

TEST(Utf8, Accepts) {
    for (const std::string_view good :
         {"", "abc", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
          "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xe2\x82\xac z"}) {
        EXPECT_TRUE(is_valid_utf8(good)) << hex_encode(as_bytes(good));
    }
    EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
}

TEST(Utf8, Refuses) {
    for (const std::string_view bad :
         {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x7f", "\xe0\x9f\xbf", "\xe2\x82",
          "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
          "\xf5\x80\x80\x80", "\xff", "\xfe", "a\xe2\x82", "\xe2\x82\x28", "\xf0\x90\x80\xc0"}) {
        EXPECT_FALSE(is_valid_utf8(bad)) << hex_encode(as_bytes(bad));
    }
}

TEST(ParseU64, Values) {
    EXPECT_EQ(parse_u64("0"), 0U);
    EXPECT_EQ(parse_u64("10"), 10U);
    EXPECT_EQ(parse_u64("18446744073709551615"), UINT64_MAX);
    for (const std::string_view bad : {"", "00", "01", "+1", "-1", " 1", "1 ", "1a", "0x1",
                                       "18446744073709551616", "99999999999999999999999"}) {
        EXPECT_FALSE(parse_u64(bad)) << bad;
    }
}

TEST(Integers, Layout) {
    std::string out;
    put_be16(out, 0x0102);
    put_be32(out, 0x03040506);
    put_be64(out, 0x0708090A0B0C0D0E);
    EXPECT_EQ(hex_encode(as_bytes(out)), "0102030405060708090a0b0c0d0e");
    EXPECT_EQ(get_be16(out.data()), 0x0102);
    EXPECT_EQ(get_be32(out.data() + 2), 0x03040506U);
    EXPECT_EQ(get_be64(out.data() + 6), 0x0708090A0B0C0D0EU);
    std::array<std::byte, 12> little{};
    store_le32(little.data(), 0x01020304);
    store_le64(little.data() + 4, 0x05060708090A0B0C);
    EXPECT_EQ(hex_encode(little), "040302010c0b0a0908070605");
    EXPECT_EQ(load_le32(little.data()), 0x01020304U);
    EXPECT_EQ(load_le64(little.data() + 4), 0x05060708090A0B0CU);
}

TEST(EncodingProperties, RoundTrips) {
    expect_property(
        [](const std::string& s) { RC_ASSERT(hex_decode(hex_encode(as_bytes(s))) == s); });
    expect_property(
        [](const std::string& s) { RC_ASSERT(base64_decode(base64_encode(as_bytes(s))) == s); });
    expect_property([](const std::string& s) {
        RC_ASSERT(base64url_decode(base64url_encode(as_bytes(s))) == s);
    });
    expect_property([](const std::string& s, bool keep) {
        RC_ASSERT(uri_decode(uri_encode(s, keep)) == s);
        RC_ASSERT(uri_decode(uri_encode(s, keep), true) == s);
    });
    expect_property([](std::uint64_t n) { RC_ASSERT(parse_u64(std::to_string(n)) == n); });
    expect_property([](std::uint64_t a, std::uint64_t b) {
        std::string x;
        std::string y;
        put_be64(x, a);
        put_be64(y, b);
        RC_ASSERT((x < y) == (a < b));  // big endian orders as the numbers do
        RC_ASSERT(get_be64(x.data()) == a);
    });
}

// Whatever decodes is the one text of its value.
TEST(EncodingProperties, Base64IsCanonical) {
    const auto alphabet =
        rc::gen::container<std::string>(rc::gen::elementOf(std::string("ABab01+/=Zg")));
    expect_property([alphabet] {
        const std::string text = *alphabet;
        const std::optional<std::string> value = base64_decode(text);
        if (value) RC_ASSERT(base64_encode(as_bytes(*value)) == text);
    });
}

}  // namespace
}  // namespace hamster::base
