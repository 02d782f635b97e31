// Hashes, signatures, XML, HTTP heads and protobuf: what one core spends on them.
//   ninja -C build/release hamster-micro-bench && build/release/hamster-micro-bench
#include <benchmark/benchmark.h>

#include <string>
#include <utility>

#include "base/encoding.h"
#include "base/hash.h"
#include "crypto/crc.h"
#include "crypto/digest.h"
#include "proto/commands.pb.h"
#include "runtime/prng.h"
#include "s3/auth_header.h"
#include "s3/http_parser.h"
#include "s3/sigv4.h"
#include "s3/xml.h"

namespace hamster {
namespace {

constexpr std::uint64_t kNow = 1795358630123;

std::string random_text(std::size_t n) {
    std::string text(n, '\0');
    runtime::Prng prng(n);
    prng.fill({reinterpret_cast<std::byte*>(text.data()), text.size()});
    return text;
}

template <class Fn>
void over_bytes(benchmark::State& state, Fn fn) {
    const std::string text = random_text(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(fn(base::as_bytes(text)));
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}

void md5(benchmark::State& state) {
    over_bytes(state, [](base::Bytes b) { return crypto::md5(b); });
}
void sha1(benchmark::State& state) {
    over_bytes(state, [](base::Bytes b) { return crypto::sha1(b); });
}
void sha256(benchmark::State& state) {
    over_bytes(state, [](base::Bytes b) { return crypto::sha256(b); });
}
void crc32(benchmark::State& state) {
    over_bytes(state, [](base::Bytes b) { return crypto::crc32(0, b); });
}
void crc32c(benchmark::State& state) {
    over_bytes(state, [](base::Bytes b) { return crypto::crc32c(0, b); });
}
void crc64nvme(benchmark::State& state) {
    over_bytes(state, [](base::Bytes b) { return crypto::crc64nvme(0, b); });
}
void xxh3_64(benchmark::State& state) {
    over_bytes(state, [](base::Bytes b) { return base::xxh3_64(b); });
}
void xxh3_128(benchmark::State& state) {
    over_bytes(state, [](base::Bytes b) { return base::xxh3_128(b).low; });
}
constexpr std::int64_t kPage = 4 << 10;
constexpr std::int64_t kMiB = 1 << 20;
BENCHMARK(md5)->Arg(kPage)->Arg(kMiB);
BENCHMARK(sha1)->Arg(kMiB);
BENCHMARK(sha256)->Arg(kPage)->Arg(kMiB);
BENCHMARK(crc32)->Arg(kMiB);
BENCHMARK(crc32c)->Arg(kMiB);
BENCHMARK(crc64nvme)->Arg(kPage)->Arg(kMiB);
BENCHMARK(xxh3_64)->Arg(kPage)->Arg(kMiB);
BENCHMARK(xxh3_128)->Arg(kMiB);

void hmac_sha256(benchmark::State& state) {
    const std::string key = random_text(32);
    const std::string text = random_text(150);
    for (auto _ : state) {
        benchmark::DoNotOptimize(crypto::hmac_sha256(base::as_bytes(key), base::as_bytes(text)));
    }
}
BENCHMARK(hmac_sha256);

// A signed GET as the wire carries it.
std::string signed_request() {
    s3::RequestHead head;
    head.method = "GET";
    head.raw_path = "/bucket/some/key-0000012345";
    head.headers = {{"host", "127.0.0.1:9000"}};
    s3::sign_request(head, {"hamster", "keep-this-one-secret", "us-east-1"}, kNow,
                     s3::kEmptySha256);
    std::string wire = "GET " + s3::target_of(head) + " HTTP/1.1\r\n";
    for (const s3::Header& header : head.headers) {
        wire += header.name + ": " + header.value + "\r\n";
    }
    return wire + "\r\n";
}

void parse_request_head(benchmark::State& state) {
    const std::string wire = signed_request();
    for (auto _ : state) benchmark::DoNotOptimize(s3::parse_head(wire));
}
BENCHMARK(parse_request_head);

// What a server does for each request once it has the secret; `cached`: the signing key, too.
void sigv4_verify(benchmark::State& state) {
    const bool is_cached = state.range(0) == 1;
    const auto parsed = s3::parse_head(signed_request());
    const s3::RequestHead& head = (*parsed)->head;
    s3::SigningKeyCache cache;
    for (auto _ : state) {
        auto claim = s3::parse_authorization(*head.header("authorization"));
        const std::vector<std::string_view> names(claim->signed_headers.begin(),
                                                  claim->signed_headers.end());
        const std::string canonical = s3::canonical_request(head, names, s3::kEmptySha256);
        const std::string text =
            s3::string_to_sign(*head.header("x-amz-date"), claim->scope, canonical);
        const std::string key = is_cached
                                    ? cache.get("hamster", "keep-this-one-secret", claim->scope)
                                    : s3::signing_key("keep-this-one-secret", claim->scope);
        const std::string signature = s3::sign(key, text);
        if (!crypto::equal_constant_time(base::as_bytes(signature),
                                         base::as_bytes(claim->signature))) {
            state.SkipWithError("the signature is wrong");
        }
    }
}
BENCHMARK(sigv4_verify)->ArgName("cached")->Arg(0)->Arg(1);

void xml_listing(benchmark::State& state) {
    constexpr int kKeys = 1000;
    for (auto _ : state) {
        s3::XmlWriter xml(400 << 10);
        xml.open_root("ListBucketResult");
        for (int i = 0; i < kKeys; ++i) {
            xml.open("Contents");
            xml.element("Key", "some/prefix/key-0000012345");
            xml.element("LastModified", base::iso8601(kNow + static_cast<std::uint64_t>(i)));
            xml.element("ETag", "&quot;9e107d9d372bb6826bd81d3542a419d6&quot;");
            xml.element("Size", std::uint64_t{4096});
            xml.element("StorageClass", "STANDARD");
            xml.close();
        }
        xml.close();
        benchmark::DoNotOptimize(std::move(xml).take());
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * kKeys);
}
BENCHMARK(xml_listing);

proto::Command put_command() {
    proto::Command command;
    command.set_request_id(random_text(16));
    command.set_stamp_ms(kNow);
    proto::PutObject* put = command.mutable_put_object();
    put->set_bucket_id(random_text(16));
    put->set_key("some/prefix/key-0000012345");
    put->add_new_blobs()->set_blob_id(random_text(16));
    return command;
}

void proto_encode(benchmark::State& state) {
    const proto::Command command = put_command();
    std::string out;
    for (auto _ : state) {
        out.clear();
        benchmark::DoNotOptimize(command.AppendToString(&out));
    }
}
BENCHMARK(proto_encode);

void proto_decode(benchmark::State& state) {
    const std::string text = put_command().SerializeAsString();
    for (auto _ : state) {
        proto::Command command;
        benchmark::DoNotOptimize(command.ParseFromString(text));
    }
}
BENCHMARK(proto_decode);

}  // namespace
}  // namespace hamster

BENCHMARK_MAIN();
