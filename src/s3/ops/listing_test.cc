#include "s3/ops/listing.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "s3/ops/arguments.h"
#include "s3/ops/object_listing.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {
namespace {

TEST(Listing, UrlEncodingIsThatOfForms) {
    std::string out;
    append_listing_encoded(out, "a/b c+d*~\xC3\xBC(3).png");
    EXPECT_EQ(out, "a/b+c%2Bd*%7E%C3%BC%283%29.png");
}

TEST(Listing, TokensComeBackAsTheyWere) {
    for (const Position& position :
         {Position{"key", false}, Position{"prefix/", true},
          Position{std::string("\0\xFF", 2), false}, Position{std::string(1024, 'k'), true}}) {
        const auto read = read_token(make_token(position));
        ASSERT_TRUE(read);
        EXPECT_EQ(*read, position);
    }
}

TEST(Listing, ForeignTokensAreRefused) {
    const auto token = [](std::string raw) { return base::base64_encode(base::as_bytes(raw)); };
    EXPECT_FALSE(read_token(""));
    EXPECT_FALSE(read_token("not base64!"));
    EXPECT_FALSE(read_token(token("\x02kkey")));
    EXPECT_FALSE(read_token(token("\x01xkey")));
    EXPECT_FALSE(read_token(token("\x01k")));
    EXPECT_FALSE(read_token(token("\x01k" + std::string(1025, 'k'))));
}

TEST(Listing, AMarkerInsideACommonPrefixSkipsIt) {
    EXPECT_EQ(position_after_key("a/b/c", "", "/"), (Position{"a/", true}));
    EXPECT_EQ(position_after_key("a/b/c", "a/", "/"), (Position{"a/b/", true}));
    EXPECT_EQ(position_after_key("a/", "", "/"), (Position{"a/", true}));
    EXPECT_EQ(position_after_key("a/b", "a/", "/"), (Position{"a/b", false}));
    EXPECT_EQ(position_after_key("x", "a/", "/"), (Position{"x", false}));
    EXPECT_EQ(position_after_key("a--b", "", "--"), (Position{"a--", true}));
    EXPECT_EQ(position_after_key("a/b", "", ""), (Position{"a/b", false}));
}

TEST(Listing, ContentsRow) {
    proto::Current current;
    current.set_size(5);
    current.set_etag("e");
    current.set_checksum_algorithm(proto::CHECKSUM_SHA1);
    current.set_checksum_type(proto::CHECKSUM_TYPE_COMPOSITE);
    const Owner owner{"id", "a<b"};
    std::string out;
    append_contents(out, "k&", current, &owner, false);
    EXPECT_EQ(out,
              "<Contents><Key>k&amp;</Key><LastModified>1970-01-01T00:00:00.000Z</LastModified>"
              "<ETag>&quot;e&quot;</ETag><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>"
              "<ChecksumType>COMPOSITE</ChecksumType><Size>5</Size><Owner><ID>id</ID>"
              "<DisplayName>a&lt;b</DisplayName></Owner><StorageClass>STANDARD</StorageClass>"
              "</Contents>");
    out.clear();
    append_contents(out, "k&", proto::Current(), nullptr, true);
    EXPECT_NE(out.find("<Key>k%26</Key>"), std::string::npos);
    EXPECT_EQ(out.find("<Owner>"), std::string::npos);
}

TEST(Arguments, CountsAndMarkers) {
    EXPECT_EQ(*count_argument("max-keys", std::nullopt, 1000), 1000U);
    EXPECT_EQ(*count_argument("max-keys", "", 1000), 1000U);
    EXPECT_EQ(*count_argument("max-keys", "7", 1000), 7U);
    EXPECT_EQ(*count_argument("max-keys", "2147483647", 1000), 1000U);
    for (const char* text : {"-1", "x", "2147483648", "1.5", " 1"}) {
        EXPECT_FALSE(count_argument("max-keys", text, 1000)) << text;
        EXPECT_FALSE(marker_argument("part-number-marker", text)) << text;
    }
    EXPECT_FALSE(part_number_argument("0"));
    EXPECT_FALSE(part_number_argument("10001"));
    EXPECT_EQ(*part_number_argument("10000"), 10000U);
}

TEST(VersionIds, OneSpellingEach) {
    EXPECT_EQ(version_text(""), "null");
    EXPECT_EQ(version_text(std::string(16, '\0')), "null");
    EXPECT_EQ(version_text(std::string(16, '\x0A')), "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a");
    EXPECT_TRUE(parse_version_text("null")->is_zero());
    EXPECT_EQ(parse_version_text("0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a")->view(),
              std::string(16, '\x0A'));
    EXPECT_FALSE(parse_version_text("00000000000000000000000000000000"));
    EXPECT_FALSE(parse_version_text("nul"));
    EXPECT_FALSE(parse_version_text(""));
}

}  // namespace
}  // namespace hamster::s3::ops
