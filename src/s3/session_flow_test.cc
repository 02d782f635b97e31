// Whole connections again: what goes on a connection and in which order, refusals while the client
// still sends, limits, and the end of the server.
#include <gtest/gtest.h>

#include "s3/session_scene.h"

namespace hamster::s3 {
namespace {

using namespace testing;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// Version 1 of the AWS CLI, asking for 100-continue and getting a final reply at once, believes
// that reply's status line for all later requests of the connection and then misses their headers.
TEST_F(SessionTest, SaysContinueEvenWhenNoBodyFollows) {
    const std::string put = signed_request(head("PUT", "/bkt/empty"), std::string(kEmptySha256),
                                           "Expect: 100-continue\r\nContent-Length: 0\r\n");
    const std::string get = signed_request(head("GET", "/bkt/a"), std::string(kEmptySha256));
    const std::string reply = exchange(put + get);
    EXPECT_EQ(seen.calls, 2);
    EXPECT_TRUE(reply.starts_with(std::string(kContinue) + "HTTP/1.1 200 OK\r\n")) << reply;
    EXPECT_EQ(count(reply, kContinue), 1);
    EXPECT_EQ(count(reply, "HTTP/1.1 200 OK\r\n"), 2);
    // A refusal that keeps the connection is no different; one that closes it needs nothing.
    const std::string refused = exchange(
        wire(head("PUT", "/bkt/empty"), "Expect: 100-continue\r\nContent-Length: 0\r\n") + get);
    EXPECT_TRUE(refused.starts_with(std::string(kContinue) + "HTTP/1.1 403")) << refused;
    EXPECT_EQ(count(refused, "HTTP/1.1 200 OK\r\n"), 1);
    const std::string last =
        exchange(wire(head("PUT", "/bkt/empty"),
                      "Expect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n"));
    EXPECT_TRUE(last.starts_with("HTTP/1.1 403")) << last;
}

// Clients wait about a second for 100, then send all the same; it must still come before the reply,
// once, and the connection must serve the next request.
TEST_F(SessionTest, AClientThatGaveUpWaitingForContinue) {
    const std::string put = signed_request(head("PUT", "/bkt/slow"), std::string(kUnsignedPayload),
                                           "Expect: 100-continue\r\nContent-Length: 3\r\n");
    const std::string reply =
        exchange_steps({{{}, put}, {seconds(1), "abc"}, {seconds(30), put}, {seconds(1), "def"}});
    const std::string both = std::string(kContinue) + "HTTP/1.1 200 OK\r\n";
    EXPECT_TRUE(reply.starts_with(both)) << reply;
    EXPECT_EQ(count(reply, both), 2) << reply;
    EXPECT_EQ(seen.body, "def");
    EXPECT_EQ(seen.completed, 2);
}

TEST_F(SessionTest, ARefusedBodyIsTakenSoThatTheClientGetsTheAnswer) {
    for (const std::size_t mib : {1U, 8U, 40U}) {
        const std::string body(mib << 20U, 'x');
        const std::string request =
            signed_request(head("PUT", "/bkt/refused"), std::string(kUnsignedPayload),
                           "Content-Length: " + std::to_string(body.size()) + "\r\n");
        const std::string reply = exchange(request + body);
        EXPECT_TRUE(reply.starts_with("HTTP/1.1 507")) << mib << " MiB: " << reply;
        EXPECT_TRUE(has(reply, "Connection: close\r\n"));
    }
    EXPECT_EQ(seen.completed, 0);
}

TEST_F(SessionTest, ARefusedBodyIsNotTakenForEver) {
    const std::string request =
        signed_request(head("PUT", "/bkt/refused"), std::string(kUnsignedPayload),
                       "Content-Length: 1000000000\r\n");
    // More than anybody should send unasked.
    EXPECT_TRUE(has(exchange(request + std::string(80U << 20U, 'x')), "[broken pipe]"));
    // A trickle: cut after half a minute, not after the hour it would take.
    Steps trickle{{{}, request}};
    for (int i = 0; i < 1000; ++i) trickle.push_back({seconds(4), "x"});
    const runtime::Time before = world.clock.now();
    EXPECT_TRUE(has(exchange_steps(trickle), "[broken pipe]"));
    EXPECT_LT(world.clock.now() - before, seconds(60));
    // A pause.
    Steps pause{{{}, request}, {seconds(10), "x"}, {seconds(1), "x"}};
    EXPECT_TRUE(has(exchange_steps(pause), "[broken pipe]"));
    EXPECT_EQ(server->sessions(), 0U);
}

// The chunks of HTTP around those of S3, as SDKs send a body they know the length of only decoded.
TEST_F(SessionTest, TransferEncodingChunked) {
    const std::string data(70'000, 'z');
    const std::string crc = base::base64_encode(
        base::as_bytes(crypto::digest_of(crypto::DigestKind::kCrc32, base::as_bytes(data))));
    const std::string body =
        fmt::format("{:x}\r\n{}\r\n0\r\nx-amz-checksum-crc32:{}\r\n\r\n", data.size(), data, crc);
    RequestHead request = head("PUT", "/bkt/key");
    request.headers.push_back({"x-amz-decoded-content-length", std::to_string(data.size())});
    request.headers.push_back({"x-amz-trailer", "x-amz-checksum-crc32"});
    const std::string put = signed_request(request, "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                                           "Transfer-Encoding: chunked\r\n");
    const std::string get = signed_request(head("GET", "/bkt/a"), std::string(kEmptySha256));
    const auto framed = [&](std::size_t piece) {
        std::string out;
        for (std::size_t at = 0; at < body.size(); at += piece) {
            const std::string part = body.substr(at, piece);
            out += fmt::format("{:x}\r\n{}\r\n", part.size(), part);
        }
        return out + "0\r\n\r\n";
    };
    for (const std::size_t piece : {7U, 1000U, 1U << 20U}) {
        EXPECT_TRUE(exchange(put + framed(piece)).starts_with("HTTP/1.1 200"));
        EXPECT_EQ(seen.body, data);
    }
    const std::string reply = exchange(put + framed(1000) + get);
    EXPECT_EQ(count(reply, "HTTP/1.1 200 OK\r\n"), 2) << reply;

    // Whatever is odd about the framing ends the connection: nothing after it is a request.
    for (const std::string odd : {"5;x=y\r\n1117\r\n", "0x5\r\n11170\r\n", "5\n11170\n", "-1\r\n1",
                                  " 5\r\n11170\r\n", "5\r\n111700\r\n", "\r\n"}) {
        seen = Seen();
        EXPECT_CODE(exchange(put + odd + get), "IncompleteBody");
        EXPECT_EQ(seen.calls, 1) << odd;
        EXPECT_EQ(seen.completed, 0) << odd;
    }
    seen = Seen();
    std::string trailed = framed(1000);
    trailed.insert(trailed.size() - 2, "Trailer: x\r\n");
    exchange(put + trailed + get);
    EXPECT_EQ(seen.calls, 1);
    // A plain body needs its length.
    seen = Seen();
    const std::string plain = signed_request(head("PUT", "/bkt/key"), std::string(kUnsignedPayload),
                                             "Transfer-Encoding: chunked\r\n");
    EXPECT_CODE(exchange(plain + "5\r\nabcde\r\n0\r\n\r\n" + get), "MissingContentLength");
    EXPECT_EQ(seen.calls, 0);
}

TEST_F(SessionTest, StreamsReplies) {
    const auto get = [&](const std::string& path) {
        return signed_request(head("GET", path), std::string(kEmptySha256));
    };
    const std::string reply = exchange(get("/bkt/stream9") + get("/bkt/a"));
    EXPECT_EQ(count(reply, "HTTP/1.1 200 OK\r\n"), 2);
    EXPECT_TRUE(has(reply, "Content-Length: 300000\r\n"));
    EXPECT_TRUE(has(reply, "\r\n\r\n" + std::string(300'000, 's') + "HTTP/1.1 200 OK\r\n"));
}

// Once the head is out, ending the connection is the only way to tell of an error.
TEST_F(SessionTest, AnErrorInTheMiddleOfAReplyEndsTheConnection) {
    const auto get = [&](const std::string& path) {
        return signed_request(head("GET", path), std::string(kEmptySha256));
    };
    for (const char* path : {"/bkt/stream1", "/bkt/stream2"}) {
        const std::string reply = exchange(get(path) + get("/bkt/a"));
        EXPECT_TRUE(has(reply, "Content-Length: 300000\r\n"));
        EXPECT_LT(reply.size(), 300'000U) << path;
        EXPECT_EQ(count(reply, "HTTP/1.1"), 1) << path;
    }
    // Before that it can be said.
    const std::string reply = exchange(get("/bkt/stream0") + get("/bkt/a"));
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 500")) << reply;
    EXPECT_CODE(reply, "InternalError");
    EXPECT_EQ(count(reply, "HTTP/1.1 200 OK\r\n"), 1) << reply;
    EXPECT_EQ(metrics.gauge("hamster_s3_requests_in_flight", "Requests being executed.").value(),
              0);
}

TEST_F(SessionTest, TooManyRequestsAtOnceAreToldToSlowDown) {
    stop();
    ServerOptions options;
    options.max_requests = 2;
    start(options);
    const std::string slow = signed_request(head("GET", "/bkt/slow"), std::string(kEmptySha256));
    const std::string quick = signed_request(head("GET", "/bkt/a"), std::string(kEmptySha256));
    const std::vector<std::string> replies =
        exchange_all({{{{}, slow}}, {{{}, slow}}, {{seconds(1), quick}, {kSlow, quick}}});
    EXPECT_TRUE(replies[0].starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(replies[1].starts_with("HTTP/1.1 200"));
    EXPECT_TRUE(replies[2].starts_with("HTTP/1.1 503")) << replies[2];
    EXPECT_CODE(replies[2], "SlowDown");
    EXPECT_EQ(count(replies[2], "HTTP/1.1 200 OK\r\n"), 1) << "the connection is kept";
    EXPECT_EQ(seen.calls, 3);
}

TEST_F(SessionTest, TooManyConnectionsAreClosed) {
    stop();
    ServerOptions options;
    options.max_connections = 1;
    start(options);
    const std::string slow = signed_request(head("GET", "/bkt/slow"), std::string(kEmptySha256));
    const std::vector<std::string> replies =
        exchange_all({{{{}, slow}}, {{{}, slow}}, {{{}, slow}}});
    EXPECT_EQ(count(replies[0] + replies[1] + replies[2], "HTTP/1.1"), 1);
    EXPECT_EQ(seen.calls, 1);
}

struct Drained {
    std::string busy;  // replies
    std::string idle;
    runtime::Micros took{0};
};

class DrainTest : public SessionTest {
  protected:
    // Drains while one client waits for a slow reply and another one's connection is idle.
    Drained drain_during(const std::string& path, runtime::Micros limit) {
        Drained out;
        simulator.run(run(this, signed_request(head("GET", path), std::string(kEmptySha256)),
                          signed_request(head("GET", "/bkt/a"), std::string(kEmptySha256)), limit,
                          &out));
        server.reset();
        return out;
    }

  private:
    static runtime::Task<void> run(DrainTest* t, std::string busy, std::string idle,
                                   runtime::Micros limit, Drained* out) {
        runtime::Gate gate;
        runtime::spawn(t->world.executor, gate, "busy",
                       talk(t, Steps{{{}, busy + idle}}, false, &out->busy));
        runtime::spawn(t->world.executor, gate, "idle",
                       talk(t, Steps{{{}, idle}}, false, &out->idle));
        co_await t->world.clock.sleep(seconds(1));
        const runtime::Time before = t->world.clock.now();
        co_await drain(t, limit);
        out->took = t->world.clock.now() - before;
        co_await gate.close();
    }
};

TEST_F(DrainTest, LetsARunningRequestFinish) {
    const Drained drained = drain_during("/bkt/slow", seconds(30));
    EXPECT_TRUE(has(drained.busy, "HTTP/1.1 200 OK\r\n")) << drained.busy;
    EXPECT_TRUE(has(drained.busy, "Connection: close\r\n")) << drained.busy;
    EXPECT_TRUE(drained.idle.starts_with("HTTP/1.1 200"));
    EXPECT_EQ(seen.calls, 2) << "nothing new is begun";
    EXPECT_LT(drained.took, kSlow + seconds(1));
}

TEST_F(DrainTest, CutsWhatTakesTooLong) {
    const Drained drained = drain_during("/bkt/slow", seconds(1));
    EXPECT_FALSE(has(drained.busy, "HTTP/1.1 200")) << drained.busy;
    // The handler itself is not interrupted, only its client.
    EXPECT_LT(drained.took, kSlow + seconds(1));
}

TEST_F(SessionTest, CountsByOperationAndStatus) {
    const auto requests = [&](const std::string& operation, const std::string& code) {
        return metrics
            .counter("hamster_s3_requests_total",
                     "Requests answered, by operation and status code.",
                     {{"operation", operation}, {"code", code}})
            .value();
    };
    const std::string get = signed_request(head("GET", "/bkt/stream9"), std::string(kEmptySha256));
    const std::string text = put("abcdef", sha256_hex("abcdef"));
    exchange(get + get + text);
    exchange(put("abcdef", sha256_hex("other")));
    exchange(signed_request(head("PUT", "/bkt/refused"), std::string(kEmptySha256),
                            "Content-Length: 0\r\n"));
    exchange(wire(head("GET", "/bkt/a")));
    exchange("nonsense\r\n\r\n");
    EXPECT_EQ(requests("GetObject", "200"), 2U);
    EXPECT_EQ(requests("PutObject", "200"), 1U);
    EXPECT_EQ(requests("PutObject", "400"), 1U);
    EXPECT_EQ(requests("PutObject", "507"), 1U);
    EXPECT_EQ(requests("Unknown", "403"), 1U);
    EXPECT_EQ(requests("Unknown", "400"), 1U);
    EXPECT_EQ(metrics
                  .histogram("hamster_s3_request_duration_seconds",
                             "From the end of the head to the end of the reply.",
                             {{"operation", "GetObject"}})
                  .count(),
              2U);
    const auto bytes = [&](const char* name, const char* help) {
        return metrics.counter(name, help).value();
    };
    EXPECT_GT(bytes("hamster_s3_sent_bytes_total", "Bytes of replies sent, heads included."),
              600'000U);
    stop();
    EXPECT_EQ(metrics.gauge("hamster_s3_connections", "Open client connections.").value(), 0);
}

}  // namespace
}  // namespace hamster::s3
