// Whole connections against a fake dispatcher, over the simulated network: authentication, bodies,
// framing, hang-ups.
#include "s3/session.h"

#include <gtest/gtest.h>

#include "s3/session_scene.h"

namespace hamster::s3 {
namespace {

using namespace testing;

TEST_F(SessionTest, ServesPipelinedRequestsOnOneConnection) {
    const std::string get = signed_request(head("GET", "/bkt/a%20b"), std::string(kEmptySha256));
    const std::string reply = exchange(get + get);
    EXPECT_EQ(seen.calls, 2);
    EXPECT_EQ(seen.key, "a b");
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply;
    EXPECT_TRUE(has(reply, "Content-Length: 14\r\n"));
    EXPECT_TRUE(has(reply, "x-test: a  b\r\n")) << "no value may split the reply";
    EXPECT_TRUE(has(reply, "X-Content-Type-Options: nosniff\r\n"));
    EXPECT_NE(reply.find("content of a b"), reply.rfind("content of a b"));
}

TEST_F(SessionTest, AnswersHeadWithoutBody) {
    const std::string reply =
        exchange(signed_request(head("HEAD", "/bkt/a"), std::string(kEmptySha256)));
    EXPECT_TRUE(has(reply, "Content-Length: 77\r\n"));
    EXPECT_TRUE(reply.ends_with("\r\n\r\n"));
}

TEST_F(SessionTest, HashedBodyMustMatch) {
    const std::string body(300'000, 'x');
    EXPECT_TRUE(exchange(put(body, sha256_hex(body))).starts_with("HTTP/1.1 200"));
    EXPECT_EQ(seen.completed, 1);
    EXPECT_EQ(seen.body, body);
    EXPECT_EQ(seen.md5, crypto::md5(base::as_bytes(body)));
    EXPECT_CODE(exchange(put(body, sha256_hex("other"))), "XAmzContentSHA256Mismatch");
    EXPECT_EQ(seen.completed, 1);
}

TEST_F(SessionTest, ShortBodyIsIncomplete) {
    std::string text = put("abcdef", std::string(kUnsignedPayload));
    text.pop_back();
    exchange(text, true);
    EXPECT_EQ(seen.completed, 0);
}

TEST_F(SessionTest, ContentMd5IsVerified) {
    RequestHead request = head("PUT", "/bkt/key");
    request.headers.push_back(
        {"content-md5", base::base64_encode(base::as_bytes(crypto::md5(base::as_bytes("abc"))))});
    const auto send = [&](const std::string& body) {
        return exchange(
            signed_request(request, std::string(kUnsignedPayload), "Content-Length: 3\r\n") + body);
    };
    EXPECT_TRUE(send("abc").starts_with("HTTP/1.1 200"));
    EXPECT_CODE(send("abd"), "BadDigest");
    request.headers.back().value = "bm90IG1kNQ==";
    EXPECT_CODE(send("abc"), "InvalidDigest");
}

TEST_F(SessionTest, ChecksumHeaderIsVerified) {
    RequestHead request = head("PUT", "/bkt/key");
    request.headers.push_back(
        {"x-amz-checksum-crc32c", base::base64_encode(base::as_bytes(crypto::digest_of(
                                      crypto::DigestKind::kCrc32c, base::as_bytes("abc"))))});
    const auto send = [&](const std::string& body) {
        return exchange(
            signed_request(request, std::string(kUnsignedPayload), "Content-Length: 3\r\n") + body);
    };
    EXPECT_TRUE(send("abc").starts_with("HTTP/1.1 200"));
    EXPECT_CODE(send("abd"), "BadDigest");
}

TEST_F(SessionTest, ContinueIsSentOnlyAfterAuthentication) {
    const std::string expect = "Expect: 100-continue\r\nContent-Length: 3\r\n";
    const std::string good =
        signed_request(head("PUT", "/bkt/key"), std::string(kUnsignedPayload), expect);
    EXPECT_TRUE(exchange(good + "abc").starts_with("HTTP/1.1 200")) << "it did not wait";
    RequestHead bad = head("PUT", "/bkt/key");
    const std::string reply = exchange(wire(bad, expect));
    EXPECT_CODE(reply, "AccessDenied");
    EXPECT_FALSE(has(reply, "100 Continue"));
    EXPECT_TRUE(has(reply, "Connection: close"));
    const std::string waiting = exchange(good, true);
    EXPECT_TRUE(waiting.starts_with("HTTP/1.1 100 Continue\r\n\r\n")) << waiting;
}

TEST_F(SessionTest, RefusesBadSignatures) {
    const std::string hash(kEmptySha256);
    EXPECT_CODE(exchange(wire(head("GET", "/bkt/a"))), "AccessDenied");

    RequestHead request = head("GET", "/bkt/a");
    sign_request(request, kAlice, world.clock.unix_ms(), hash);
    request.raw_path = "/bkt/b";
    EXPECT_CODE(exchange(wire(request)), "SignatureDoesNotMatch");

    request = head("GET", "/bkt/a");
    sign_request(request, {"NOBODY", "x", "us-east-1"}, world.clock.unix_ms(), hash);
    EXPECT_CODE(exchange(wire(request)), "InvalidAccessKeyId");

    request = head("GET", "/bkt/a");
    sign_request(request, {"ALICE", "alice-secret", "eu-west-1"}, world.clock.unix_ms(), hash);
    const std::string region = exchange(wire(request));
    EXPECT_CODE(region, "AuthorizationHeaderMalformed");
    EXPECT_TRUE(has(region, "<Region>us-east-1</Region>"));

    // An unsigned header that would change what the request does.
    request = head("PUT", "/bkt/a");
    sign_request(request, kAlice, world.clock.unix_ms(), hash);
    request.headers.push_back({"x-amz-copy-source", "/other/secret"});
    EXPECT_CODE(exchange(wire(request, "Content-Length: 0\r\n")), "AccessDenied");

    request = head("GET", "/bkt/a");
    sign_request(request, kAlice, world.clock.unix_ms(), hash);
    request.query.push_back({"X-Amz-Algorithm", "AWS4-HMAC-SHA256", true});
    EXPECT_CODE(exchange(wire(request)), "InvalidArgument");
    EXPECT_EQ(seen.calls, 0);
}

TEST_F(SessionTest, ClockSkewIsBounded) {
    const auto at = [&](std::int64_t seconds_off) {
        RequestHead request = head("GET", "/bkt/a");
        const auto ms = static_cast<std::int64_t>(world.clock.unix_ms()) + seconds_off * 1000;
        sign_request(request, kAlice, static_cast<std::uint64_t>(ms), kEmptySha256);
        return exchange(wire(request));
    };
    EXPECT_TRUE(at(14 * 60 + 59).starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(at(-(14 * 60 + 58)).starts_with("HTTP/1.1 200"));
    EXPECT_CODE(at(15 * 60 + 2), "RequestTimeTooSkewed");
    EXPECT_CODE(at(-(15 * 60 + 2)), "RequestTimeTooSkewed");
}

TEST_F(SessionTest, PresignedUrls) {
    const auto get = [&](std::uint64_t expires, std::int64_t age_s = 0,
                         const std::string& extra = {}) {
        RequestHead request = head("GET", "/bkt/a");
        const auto ms = static_cast<std::int64_t>(world.clock.unix_ms()) - age_s * 1000;
        presign_request(request, kAlice, static_cast<std::uint64_t>(ms), expires);
        return exchange(wire(request, extra));
    };
    EXPECT_TRUE(get(1000, 990).starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(get(604'800).starts_with("HTTP/1.1 200"));
    EXPECT_CODE(get(1000, 1002), "AccessDenied");
    EXPECT_CODE(get(604'801), "AuthorizationQueryParametersError");
    EXPECT_CODE(get(0), "AuthorizationQueryParametersError");
    EXPECT_CODE(get(1000, -16 * 60), "AccessDenied");
    EXPECT_CODE(get(1000, 0, "x-amz-acl: private\r\n"), "AccessDenied");
    EXPECT_CODE(get(1000, 0, "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"),
                "AccessDenied");
}

TEST_F(SessionTest, SignedChunks) {
    const std::vector<std::string> data = {std::string(70'000, 'a'), std::string(9000, 'b'), "c"};
    const Chunked good = signed_chunks(world, data);
    EXPECT_TRUE(exchange(good.text()).starts_with("HTTP/1.1 200"));
    EXPECT_EQ(seen.body, data[0] + data[1] + data[2]);
    EXPECT_EQ(seen.completed, 1);

    Chunked wrong = signed_chunks(world, {"aaaa", "bbbb"});
    wrong.chunks[1][wrong.chunks[1].size() - 3] = 'x';
    EXPECT_CODE(exchange(wrong.text()), "SignatureDoesNotMatch");
    Chunked swapped = signed_chunks(world, {"aaaa", "bbbb"});
    std::swap(swapped.chunks[0], swapped.chunks[1]);
    EXPECT_CODE(exchange(swapped.text()), "SignatureDoesNotMatch");
    Chunked doubled = signed_chunks(world, {"aaaa", "bbbb"});
    doubled.chunks[1] = doubled.chunks[0];
    EXPECT_CODE(exchange(doubled.text()), "SignatureDoesNotMatch");
    Chunked dropped = signed_chunks(world, {"aaaa", "bbbb"});
    dropped.chunks.erase(dropped.chunks.begin() + 1);
    exchange(dropped.text(), true);
    Chunked unfinished = signed_chunks(world, {"aaaa", "bbbb"});
    unfinished.chunks.pop_back();
    exchange(unfinished.text(), true);
    EXPECT_EQ(seen.completed, 1);
}

TEST_F(SessionTest, SignedTrailer) {
    const std::vector<std::string> data = {std::string(70'000, 'a'), "b"};
    const std::string crc = base::base64_encode(base::as_bytes(
        crypto::digest_of(crypto::DigestKind::kCrc32c, base::as_bytes(data[0] + data[1]))));
    const std::string trailer = "x-amz-checksum-crc32c:" + crc;
    const Chunked good = signed_chunks(world, data, trailer);
    EXPECT_TRUE(exchange(good.text()).starts_with("HTTP/1.1 200"));
    EXPECT_EQ(seen.body, data[0] + data[1]);
    EXPECT_EQ(seen.completed, 1);

    // Signed as it should be, but not of this body.
    EXPECT_CODE(exchange(signed_chunks(world, data, "x-amz-checksum-crc32c:AAAAAA==").text()),
                "BadDigest");
    const auto broken = [&](std::size_t chunk, const std::string& from, const std::string& to) {
        Chunked out = signed_chunks(world, data, trailer);
        out.chunks[chunk].replace(out.chunks[chunk].find(from), from.size(), to);
        return exchange(out.text());
    };
    EXPECT_CODE(broken(3, crc, "AAAAAA=="), "SignatureDoesNotMatch");
    EXPECT_CODE(broken(1, "b\r\n", "c\r\n"), "SignatureDoesNotMatch");
    EXPECT_CODE(broken(3, "trailer-signature:", "trailer-signaturf:"), "MalformedTrailerError");
    EXPECT_CODE(broken(3, "x-amz-checksum-crc32c:", "x-amz-checksum-sha256:"),
                "MalformedTrailerError");
    Chunked unsigned_end = signed_chunks(world, data, trailer);
    unsigned_end.chunks[3] = trailer + "\r\n\r\n";
    EXPECT_CODE(exchange(unsigned_end.text()), "MalformedTrailerError");
    EXPECT_EQ(seen.completed, 1);
}

TEST_F(SessionTest, UnsignedTrailer) {
    RequestHead request = head("PUT", "/bkt/key");
    request.headers.push_back({"x-amz-decoded-content-length", "3"});
    request.headers.push_back({"x-amz-trailer", "x-amz-checksum-crc32"});
    const std::string crc = base::base64_encode(
        base::as_bytes(crypto::digest_of(crypto::DigestKind::kCrc32, base::as_bytes("abc"))));
    const auto send = [&](const std::string& body) {
        return exchange(signed_request(request, "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                                       "Content-Length: " + std::to_string(body.size()) + "\r\n") +
                        body);
    };
    const std::string data = "3\r\nabc\r\n0\r\n";
    EXPECT_TRUE(
        send(data + "x-amz-checksum-crc32:" + crc + "\r\n\r\n").starts_with("HTTP/1.1 200"));
    EXPECT_EQ(seen.body, "abc");
    EXPECT_CODE(send(data + "x-amz-checksum-crc32:AAAAAA==\r\n\r\n"), "BadDigest");
    EXPECT_CODE(send(data + "\r\n"), "MalformedTrailerError");
    EXPECT_CODE(send(data + "x-amz-checksum-sha1:AAAA\r\n\r\n"), "MalformedTrailerError");
    EXPECT_CODE(send("2\r\nab\r\n0\r\nx-amz-checksum-crc32:" + crc + "\r\n\r\n"), "IncompleteBody");
    EXPECT_CODE(send("ffffffffffffffff\r\nabc"), "IncompleteBody");
    EXPECT_EQ(seen.completed, 1);
}

TEST_F(SessionTest, HangingUpAnywhereIsHarmless) {
    const std::string text = put("abcdefghij", sha256_hex("abcdefghij"));
    for (std::size_t n = 0; n < text.size(); n += 7) exchange(text.substr(0, n), true);
    EXPECT_EQ(seen.completed, 0);
    EXPECT_EQ(server->sessions(), 0u);
    EXPECT_TRUE(exchange(text).starts_with("HTTP/1.1 200"));
    EXPECT_EQ(metrics.gauge("hamster_s3_requests_in_flight", "Requests being executed.").value(),
              0);
}

TEST_F(SessionTest, SlowHeadsAndBodiesTimeOut) {
    EXPECT_CODE(exchange("GET / HTTP/1.1\r\nHost:"), "RequestTimeout");
    std::string text = put("abcdef", std::string(kUnsignedPayload));
    text.pop_back();
    EXPECT_CODE(exchange(text), "RequestTimeout");
    EXPECT_EQ(exchange(""), "");
}

TEST_F(SessionTest, NothingIsServedAfterARefusedBody) {
    RequestHead request = head("PUT", "/bkt/key");
    const std::string smuggled = signed_request(head("GET", "/bkt/x"), std::string(kEmptySha256));
    const std::string body = std::string(kMaxDrainBytes, 'x') + smuggled;
    const std::string reply = exchange(
        wire(request, "Content-Length: " + std::to_string(body.size() + 1) + "\r\n") + body);
    EXPECT_CODE(reply, "AccessDenied");
    EXPECT_EQ(seen.calls, 0);
    // A short one is skipped, and the next request on the connection is served.
    exchange(wire(request, "Content-Length: 3\r\n") + "abc" + smuggled);
    EXPECT_EQ(seen.calls, 1);
}

TEST_F(SessionTest, PostForm) {
    const auto form = [&](const std::string& policy_key, const std::string& range) {
        return exchange(form_upload(world, policy_key, range));
    };
    EXPECT_TRUE(form("up/", "0,100").starts_with("HTTP/1.1 200"));
    EXPECT_EQ(seen.key, "up/a.txt");
    EXPECT_EQ(seen.body, "line\r\n--X not the end");
    EXPECT_EQ(seen.completed, 1);
    EXPECT_CODE(form("other/", "0,100"), "AccessDenied");
    EXPECT_CODE(form("up/", "0,3"), "EntityTooLarge");
    EXPECT_CODE(form("up/", "50,100"), "EntityTooSmall");
    EXPECT_EQ(seen.completed, 1);
}

}  // namespace
}  // namespace hamster::s3
