// The pure parts of the load generator.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "base/encoding.h"
#include "cli/bench_histogram.h"
#include "cli/bench_options.h"
#include "cli/bench_plan.h"
#include "cli/bench_process.h"
#include "cli/bench_reply.h"
#include "cli/bench_report.h"
#include "cli/bench_resolve.h"
#include "cli/verbs.h"
#include "crypto/digest.h"

namespace hamster::cli::bench {
namespace {

const char* test_environment(const char* name) {
    const std::string_view text = name;
    if (text == "AWS_ACCESS_KEY_ID") return "someone";
    if (text == "AWS_SECRET_ACCESS_KEY") return "something secret";
    return nullptr;
}

Result<Options> options_from(const std::vector<std::string>& words) {
    std::ostringstream ignored;
    const Console console{ignored, ignored, test_environment};
    std::vector<std::string> line = {"bench"};
    line.insert(line.end(), words.begin(), words.end());
    TRY_ASSIGN(const Match match, find_verb(verbs(), line));
    TRY_ASSIGN(const Args args, parse(*match.verb, std::span(line).subspan(match.words)));
    return options_of(args, console);
}

TEST(BenchHistogram, QuantilesAreExactWhenSmallAndCloseWhenLarge) {
    Histogram small;
    for (std::uint64_t v = 1; v <= 100; ++v) small.record(v);
    EXPECT_EQ(small.quantile(0.5), 50U);
    EXPECT_EQ(small.quantile(0.99), 99U);
    EXPECT_EQ(small.quantile(1), 100U);
    EXPECT_DOUBLE_EQ(small.mean(), 50.5);
    for (std::uint64_t v = 1; v < (1ULL << 62); v = v * 3 + 1) {
        Histogram one;
        one.record(v);
        one.record(UINT64_MAX);
        EXPECT_GE(one.quantile(0.5), v);
        EXPECT_LE(one.quantile(0.5) - v, v / 100) << v;
    }
    EXPECT_EQ(Histogram().quantile(0.5), 0U);
}

TEST(BenchHistogram, MergeIsTheSameAsRecordingInOne) {
    Histogram a;
    Histogram b;
    Histogram both;
    for (std::uint64_t v = 0; v < 10'000; v += 7) {
        (v % 2 == 0 ? a : b).record(v);
        both.record(v);
    }
    a.merge(b);
    EXPECT_EQ(a.count(), both.count());
    EXPECT_EQ(a.max(), both.max());
    for (const double q : {0.01, 0.5, 0.9, 0.999}) EXPECT_EQ(a.quantile(q), both.quantile(q));
}

TEST(BenchOptions, Sizes) {
    EXPECT_EQ(parse_size("0"), 0U);
    EXPECT_EQ(parse_size("512"), 512U);
    EXPECT_EQ(parse_size("4KiB"), 4096U);
    EXPECT_EQ(parse_size("64M"), 64U << 20);
    EXPECT_EQ(parse_size("5GiB"), 5ULL << 30);
    for (const std::string_view bad :
         {"", "KiB", "-1", "4kib", "4 KiB", "6GiB", "1TiB", "1.5M", "18446744073709551615GiB"}) {
        EXPECT_FALSE(parse_size(bad)) << bad;
    }
    EXPECT_EQ(size_text(4096), "4 KiB");
    EXPECT_EQ(size_text(1000), "1000 B");
    EXPECT_EQ(size_text(0), "0 B");
}

TEST(BenchOptions, Durations) {
    using namespace std::chrono_literals;
    EXPECT_EQ(parse_duration("500ms"), 500ms);
    EXPECT_EQ(parse_duration("10s"), 10s);
    EXPECT_EQ(parse_duration("10"), 10s);
    EXPECT_EQ(parse_duration("5m"), 5min);
    EXPECT_EQ(parse_duration("2d"), 48h);
    for (const std::string_view bad : {"", "0s", "-1s", "10 s", "1w", "99999999999999h"}) {
        EXPECT_FALSE(parse_duration(bad)) << bad;
    }
}

TEST(BenchOptions, Endpoints) {
    const auto plain = parse_endpoint("http://127.0.0.1:9000");
    ASSERT_TRUE(plain);
    EXPECT_FALSE(plain->tls);
    EXPECT_EQ(plain->host_header(), "127.0.0.1:9000");
    const auto secure = parse_endpoint("https://s3.example.com/");
    ASSERT_TRUE(secure);
    EXPECT_EQ(secure->port, 443);
    EXPECT_EQ(secure->host_header(), "s3.example.com");
    const auto v6 = parse_endpoint("http://[::1]:9000");
    ASSERT_TRUE(v6);
    EXPECT_EQ(v6->host, "::1");
    EXPECT_EQ(v6->host_header(), "[::1]:9000");
    for (const std::string_view bad :
         {"", "127.0.0.1:9000", "ftp://x", "http://", "http://x:0", "http://x:70000",
          "http://x/path", "http://[::1", "http://[::1]x"}) {
        EXPECT_FALSE(parse_endpoint(bad)) << bad;
    }
}

TEST(BenchOptions, DefaultsAndContradictions) {
    const auto put = options_from({"put"});
    ASSERT_TRUE(put) << put.error().context;
    EXPECT_EQ(put->access_key_id, "someone");
    EXPECT_EQ(put->objects, 0U);
    EXPECT_EQ(put->size, 4096U);
    const auto get = options_from({"get", "-size", "64MiB"});
    ASSERT_TRUE(get);
    EXPECT_EQ(get->objects, 16U);
    const auto remove = options_from({"delete", "-objects=50"});
    ASSERT_TRUE(remove);
    EXPECT_EQ(remove->requests, 50U);
    EXPECT_TRUE(options_from({"get", "-reuse"})->keep);
    EXPECT_FALSE(options_from({"got"}));
    EXPECT_FALSE(options_from({"put", "-reuse"}));
    EXPECT_FALSE(options_from({"put", "-path", "/x"}));
    EXPECT_FALSE(options_from({"delete", "-objects", "10", "-requests", "11"}));
    EXPECT_FALSE(options_from({"get", "-clients", "0"}));
    EXPECT_FALSE(options_from({"get", "-clients", "many"}));
}

// Feeds `reply` in pieces of `step` bytes as a connection would; answers the content.
std::string body_of(std::string_view reply, std::size_t step, bool has_body = true) {
    const auto head = parse_head(reply);
    EXPECT_TRUE(head && *head);
    BodyReader reader(**head, has_body);
    std::string content;
    std::string waiting;
    std::string_view rest = reply.substr((*head)->bytes);
    while (!reader.is_done()) {
        const auto piece = reader.next(base::as_bytes(waiting));
        if (!piece) return "error";
        content += base::as_text(piece->content);
        waiting.erase(0, piece->taken);
        if (piece->taken > 0) continue;
        if (rest.empty()) return reader.is_until_close() ? content : "more needed";
        waiting += rest.substr(0, step);
        rest.remove_prefix(std::min(step, rest.size()));
    }
    return content;
}

TEST(BenchReply, BodiesHoweverTheyArrive) {
    for (const std::size_t step : {1U, 2U, 3U, 7U, 1000U}) {
        EXPECT_EQ(body_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", step), "hello");
        EXPECT_EQ(body_of("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                          "3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n",
                          step),
                  "abc0123456789");
        EXPECT_EQ(body_of("HTTP/1.1 200 OK\r\n\r\nto the end", step), "to the end");
        EXPECT_EQ(body_of("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", step),
                  "more needed");
        EXPECT_EQ(
            body_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", step),
            "error");
    }
    EXPECT_EQ(body_of("HTTP/1.1 204 No Content\r\n\r\n", 1), "");
    EXPECT_EQ(body_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 1, false), "");
}

TEST(BenchReply, Heads) {
    const auto head = parse_head("HTTP/1.1 503 Slow Down\r\nConnection: close\r\nX: y\r\n\r\nbody");
    ASSERT_TRUE(head && *head);
    EXPECT_EQ((*head)->status, 503U);
    EXPECT_FALSE((*head)->keep_alive);
    EXPECT_EQ((*head)->bytes, 51U);
    EXPECT_FALSE(*parse_head("HTTP/1.1 200 OK\r\n"));
    EXPECT_FALSE(parse_head("SSH-2.0-x\r\n\r\n"));
    EXPECT_FALSE(parse_head("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"));
    EXPECT_FALSE(parse_head("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"));
    EXPECT_FALSE(parse_head(std::string(100'000, 'x')));
}

TEST(BenchReply, Xml) {
    constexpr std::string_view kXml = "<A><Contents><Key>a&amp;b</Key></Contents><Contents/></A>";
    EXPECT_EQ(xml_text(kXml, "Key"), "a&amp;b");
    EXPECT_EQ(xml_unescape(xml_text(kXml, "Key")), "a&b");
    EXPECT_EQ(xml_text(kXml, "None"), "");
    EXPECT_EQ(xml_text("<Key>open", "Key"), "");
    EXPECT_EQ(count_of(kXml, "<Contents>"), 1U);
}

TEST(BenchRequest, ContentIsTheSameHoweverItIsCutAndMatchesItsHash) {
    const Content content((3 << 20) + 77, true);
    for (const std::uint64_t object : {0U, 1U, 15U, 16U}) {
        std::string whole;
        std::string cut;
        while (whole.size() < content.size()) {
            whole += base::as_text(content.at(object, whole.size(), content.size() - whole.size()));
        }
        while (cut.size() < content.size()) {
            const std::uint64_t n = std::min<std::uint64_t>(99'991, content.size() - cut.size());
            cut += base::as_text(content.at(object, cut.size(), n));
        }
        EXPECT_TRUE(whole == cut);
        EXPECT_EQ(whole.size(), content.size());
        EXPECT_EQ(base::hex_encode(base::as_bytes(crypto::sha256(base::as_bytes(whole)))),
                  content.sha256(object));
    }
    EXPECT_NE(content.sha256(0), content.sha256(1));
    EXPECT_EQ(content.sha256(0), content.sha256(16));
    EXPECT_EQ(Content(10, false).sha256(0), "UNSIGNED-PAYLOAD");
}

// The same signature as the signer of the s3 room computes by the book.
TEST(BenchRequest, SignsAsS3Does) {
    constexpr std::uint64_t kNow = 1795358630123;
    auto options = options_from({"get", "-endpoint", "http://127.0.0.1:9000"});
    ASSERT_TRUE(options);
    Signer signer(*options);
    Request request;
    request.method = "POST";
    request.path = "/bucket/a%20key";
    request.query = "delete=";
    request.body = "body";
    for (const std::string md5 : {"", "CY9rzUYh03PK3k6DJie09g=="}) {
        request.content_md5 = md5;
        std::string wire;
        signer.append_head(&wire, request, s3::kUnsignedPayload, kNow);
        s3::RequestHead head;
        head.method = "POST";
        head.raw_path = request.path;
        head.query = {{"delete", "", true}};
        head.headers = {{"host", "127.0.0.1:9000"}};
        if (!md5.empty()) head.headers.push_back({"content-md5", md5});
        s3::sign_request(head, {"someone", "something secret", "us-east-1"}, kNow,
                         s3::kUnsignedPayload);
        EXPECT_NE(wire.find("authorization: " + std::string(*head.header("authorization"))),
                  std::string::npos)
            << wire;
        EXPECT_NE(wire.find("content-length: 4\r\n"), std::string::npos);
        EXPECT_TRUE(wire.ends_with("\r\n\r\n"));
    }
}

TEST(BenchPlan, PreparesAndCleansEachObjectOnce) {
    const auto options = options_from({"get", "-objects", "2500", "-prefix", "a<b/"});
    ASSERT_TRUE(options);
    Plan prepare(&*options, Phase::kPrepare, 0, options->objects);
    Client client(0);
    std::set<std::string> made;
    while (const auto request = prepare.next(&client)) {
        EXPECT_EQ(request->method, "PUT");
        made.insert(request->path);
    }
    EXPECT_EQ(made.size(), 2500U);
    Plan clean(&*options, Phase::kClean, 500, 2500);
    std::size_t keys = 0;
    std::size_t requests = 0;
    while (const auto request = clean.next(&client)) {
        keys += count_of(request->body, "<Key>a&lt;b/");
        ++requests;
    }
    EXPECT_EQ(keys, 2000U);
    EXPECT_EQ(requests, 2U);
}

TEST(BenchPlan, MixedKeepsItsSharesAndDeletesOnlyWhatItHasPut) {
    const auto options = options_from({"mixed", "-objects", "100", "-requests", "100000"});
    ASSERT_TRUE(options);
    Plan plan(&*options, Phase::kMeasure, 0, options->objects);
    Client client(3);
    std::map<Op, int> count;
    std::set<std::uint64_t> alive;
    while (const auto request = plan.next(&client)) {
        ++count[request->op];
        if (request->op == Op::kPut) EXPECT_TRUE(alive.insert(request->object).second);
        if (request->op == Op::kDelete) EXPECT_EQ(alive.erase(request->object), 1U);
        if (request->op == Op::kGet) EXPECT_LT(request->object, 100U);
        EXPECT_LT(request->object, plan.objects_end());
    }
    EXPECT_NEAR(count[Op::kGet], 45'000, 1000);
    EXPECT_NEAR(count[Op::kPut], 30'000, 1000);
    EXPECT_NEAR(count[Op::kStat], 15'000, 1000);
    EXPECT_NEAR(count[Op::kDelete], 10'000, 1000);
}

TEST(BenchPlan, ListingWalksOnAndStartsOver) {
    const auto options =
        options_from({"list", "-objects", "100", "-clients", "2", "-prefix", "p/"});
    ASSERT_TRUE(options);
    const Plan reader(&*options, Phase::kMeasure, 0, 100);
    Plan plan(&*options, Phase::kMeasure, 0, 100);
    Client client(1);
    EXPECT_EQ(plan.next(&client)->query,
              "list-type=2&max-keys=1000&prefix=p%2F&start-after=p%2F0000000050");
    EXPECT_EQ(reader.take_listing(&client,
                                  "<Contents></Contents><Contents></Contents>"
                                  "<NextContinuationToken>x/&amp;=</NextContinuationToken>"),
              2U);
    EXPECT_EQ(plan.next(&client)->query,
              "continuation-token=x%2F%26%3D&list-type=2&max-keys=1000&prefix=p%2F");
    EXPECT_EQ(reader.take_listing(&client, "<Contents></Contents>"), 1U);
    EXPECT_EQ(plan.next(&client)->query, "list-type=2&max-keys=1000&prefix=p%2F");
}

TEST(BenchProcess, ReadsWhatLinuxWrites) {
    EXPECT_EQ(cpu_ticks("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 100 23 0 0"), 123U);
    EXPECT_EQ(cpu_ticks("nothing"), std::nullopt);
    EXPECT_EQ(status_bytes("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS"), 1U << 20);
    EXPECT_EQ(status_bytes("Name:\tx\n", "VmRSS"), std::nullopt);
    EXPECT_FALSE(use_of(0));
    EXPECT_TRUE(use_of(1));
}

TEST(BenchReport, CountsAndTellsErrors) {
    const auto options = options_from({"get"});
    ASSERT_TRUE(options);
    Report report;
    report.elapsed_us = 2'000'000;
    for (int i = 0; i < 2000; ++i) report.tally.latency_us[0].record(1500);
    report.tally.errors["503 SlowDown"] = 3;
    report.tally.bytes = 4 << 20;
    report.own_cpu_us = 10'000;
    const std::string text = report_text(*options, report);
    for (const std::string_view expected :
         {"requests/s      1,000\n", "MiB/s           2.0\n", "3 x 503 SlowDown", "p50 1.500",
          "generator CPU   5.0 us/request"}) {
        EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
    }
    const std::string json = report_json(*options, report);
    EXPECT_NE(json.find("\"503 SlowDown\":3"), std::string::npos);
    EXPECT_NE(json.find("\"requests\":2000"), std::string::npos);
}

TEST(BenchResolve, AddressesNeedNoResolver) {
    EXPECT_EQ(resolve("127.0.0.1", 9000), "127.0.0.1:9000");
    EXPECT_EQ(resolve("::1", 80), "[::1]:80");
    EXPECT_EQ(resolve("localhost", 80), "127.0.0.1:80");
}

}  // namespace
}  // namespace hamster::cli::bench
