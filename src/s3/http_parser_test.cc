#include "s3/http_parser.h"

#include <gtest/gtest.h>

namespace hamster::s3 {
namespace {

S3Result<std::optional<ParsedHead>> parse(std::string_view text) { return parse_head(text); }

ErrorCode error_of(std::string_view text) {
    const auto parsed = parse_head(text);
    if (parsed) {
        ADD_FAILURE() << "accepted: " << text;
        return ErrorCode::kInternalError;
    }
    return parsed.error().code;
}

TEST(HttpParser, ParsesARequest) {
    const std::string_view text =
        "PUT /b/k%20ey?partNumber=1&uploadId=a%2Bb+c&x HTTP/1.1\r\n"
        "Host: h:9000\r\nContent-Length: 12\r\nX-Amz-Meta-A:  v 1 \r\nx-amz-meta-a: v2\r\n"
        "Expect: 100-continue\r\n\r\nbody";
    const auto parsed = parse(text);
    ASSERT_TRUE(parsed.has_value());
    ASSERT_TRUE(parsed->has_value());
    const RequestHead& head = (*parsed)->head;
    EXPECT_EQ((*parsed)->bytes, text.size() - 4);
    EXPECT_EQ(head.method, "PUT");
    EXPECT_EQ(head.raw_path, "/b/k%20ey");
    EXPECT_EQ(*head.param("uploadId"), "a+b c");
    EXPECT_TRUE(head.has_param("x"));
    EXPECT_EQ(*head.content_length, 12u);
    EXPECT_EQ(*head.header("x-amz-meta-a"), "v 1,v2");
    EXPECT_TRUE(head.expect_continue);
    EXPECT_TRUE(head.keep_alive);
}

TEST(HttpParser, WaitsForTheWholeHead) {
    const std::string text = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for (std::size_t n = 0; n < text.size(); ++n) {
        const auto parsed = parse(std::string_view(text).substr(0, n));
        ASSERT_TRUE(parsed.has_value()) << n;
        EXPECT_FALSE(parsed->has_value()) << n;
    }
    EXPECT_TRUE(parse(text)->has_value());
}

TEST(HttpParser, RefusesWhatTwoParsersCouldReadDifferently) {
    const auto bad = [](std::string_view lines) {
        return error_of("PUT /b/k HTTP/1.1\r\nHost: h\r\n" + std::string(lines) + "\r\n");
    };
    const auto code = ErrorCode::kBadRequest;
    EXPECT_EQ(bad("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), code);
    EXPECT_EQ(bad("Content-Length: 3\r\nContent-Length: 3\r\n"), code);
    EXPECT_EQ(bad("Content-Length: 3, 3\r\n"), code);
    EXPECT_EQ(bad("Content-Length: +3\r\n"), code);
    EXPECT_EQ(bad("Content-Length: -3\r\n"), code);
    EXPECT_EQ(bad("Content-Length: 0x3\r\n"), code);
    EXPECT_EQ(bad("Content-Length: 03\r\n"), code);
    EXPECT_EQ(bad("Content-Length: 99999999999999999999999\r\n"), code);
    EXPECT_EQ(bad("Content-Length: \r\n"), code);
    EXPECT_EQ(bad("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), code);
    EXPECT_EQ(bad("A: b\r\n folded\r\n"), code);
    EXPECT_EQ(bad("A : b\r\n"), code);
    EXPECT_EQ(bad("A\r\n"), code);
    EXPECT_EQ(bad(": b\r\n"), code);
    EXPECT_EQ(bad("A: b\nC: d\r\n"), code);
    EXPECT_EQ(bad("A: b\rC: d\r\n"), code);
    EXPECT_EQ(bad(std::string_view("A: b\0c\r\n", 8)), code);
    EXPECT_EQ(bad("Host: other\r\n"), code);
    EXPECT_EQ(bad("Authorization: a\r\nAuthorization: b\r\n"), code);
    EXPECT_EQ(bad("x-amz-date: a\r\nX-Amz-Date: a\r\n"), code);
    EXPECT_EQ(bad("Expect: something\r\n"), code);
    EXPECT_EQ(error_of("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), code);
    EXPECT_EQ(error_of("GET / HTTP/1.1\r\n\r\n"), code);  // no Host
    EXPECT_EQ(error_of("GET / HTTP/1.1\nHost: h\n\n"), code);
    EXPECT_EQ(error_of("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), code);
    EXPECT_EQ(error_of("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), code);
    EXPECT_EQ(error_of("G\x01T / HTTP/1.1\r\nHost: h\r\n\r\n"), code);
    EXPECT_EQ(error_of("\x16\x03\x01\r\n\r\n"), code);
    EXPECT_EQ(bad("Transfer-Encoding: gzip, chunked\r\n"), ErrorCode::kNotImplemented);
}

TEST(HttpParser, RefusesTargetsItCannotRead) {
    const auto target = [](std::string_view t) {
        return error_of("GET " + std::string(t) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    };
    EXPECT_EQ(target("*"), ErrorCode::kInvalidUri);
    EXPECT_EQ(target("h:80"), ErrorCode::kInvalidUri);
    EXPECT_EQ(target("/a?b=%zz"), ErrorCode::kInvalidUri);
    EXPECT_EQ(target("/a?b=%ff"), ErrorCode::kInvalidUri);
    EXPECT_EQ(target("/a#b"), ErrorCode::kInvalidUri);
    EXPECT_EQ(target("http://other/a"), ErrorCode::kInvalidUri);
    const auto absolute = parse("GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_TRUE(absolute && *absolute);
    EXPECT_EQ((*absolute)->head.raw_path, "/a");
}

TEST(HttpParser, BoundsTheHead) {
    const std::string large = "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(kMaxHeadBytes, 'a');
    EXPECT_EQ(error_of(large), ErrorCode::kRequestHeaderSectionTooLarge);
    EXPECT_EQ(error_of(large + "\r\n\r\n"), ErrorCode::kRequestHeaderSectionTooLarge);
    std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
    for (std::size_t i = 0; i < kMaxHeaders; ++i) many += "a" + std::to_string(i) + ": b\r\n";
    EXPECT_EQ(error_of(many + "\r\n"), ErrorCode::kRequestHeaderSectionTooLarge);
}

TEST(HttpParser, OldClientsCloseByDefault) {
    const auto old = parse("GET / HTTP/1.0\r\n\r\n");
    ASSERT_TRUE(old && *old);
    EXPECT_FALSE((*old)->head.keep_alive);
    const auto kept = parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    ASSERT_TRUE(kept && *kept);
    EXPECT_TRUE((*kept)->head.keep_alive);
    const auto closing = parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n");
    ASSERT_TRUE(closing && *closing);
    EXPECT_FALSE((*closing)->head.keep_alive);
}

}  // namespace
}  // namespace hamster::s3
