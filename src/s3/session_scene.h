// For tests: the front door with a fake dispatcher, over the simulated network.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "runtime/sim/simulator.h"
#include "s3/server.h"
#include "s3/session.h"

namespace hamster::s3::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline const SigningIdentity kAlice{"ALICE", "alice-secret", "us-east-1"};

class FakeCredentials final : public CredentialSource {
  public:
    runtime::Task<Result<std::optional<Credential>>> find(std::string access_key_id) override {
        if (access_key_id != kAlice.access_key_id) co_return std::optional<Credential>();
        Credential credential;
        credential.secret = kAlice.secret;
        credential.identity.name = "alice";
        credential.identity.access_key_id = access_key_id;
        co_return std::optional<Credential>(std::move(credential));
    }
};

// A stored body of equal pieces; the read number `fails_at`, counted from 0, is an error.
class FakeReader final : public objects::BodyReader {
  public:
    static constexpr std::size_t kPiece = 100'000;
    FakeReader(int pieces, int fails_at) : pieces_(pieces), fails_at_(fails_at) {}
    runtime::Task<Result<base::Buffer>> next() override {
        if (at_ == fails_at_) co_return fail(Code::kCorrupt, "a planted error");
        if (at_++ >= pieces_) co_return base::Buffer();
        const std::string text(kPiece, 's');
        co_return base::Buffer::copy_of(base::as_bytes(text));
    }

  private:
    int pieces_;
    int fails_at_;
    int at_ = 0;
};

// What the handler saw, for the tests to look at. Tests run one after the other on one thread.
struct Seen {
    int calls = 0;
    int completed = 0;  // bodies that were read to their verified end
    std::string key;
    std::string body;
    std::string md5;
};
inline Seen seen;

// How long keys that start with "slow" take before anything is read.
inline constexpr seconds kSlow{3};

// PutObject and PostObject keep the body, except for "refused", which is turned down unread.
// GetObject of "streamN" streams three pieces and fails at the N-th, if there is one.
inline runtime::Task<S3Result<Reply>> fake_handler(Context* context, const VerifiedRequest* request,
                                                   RequestBody* body) {
    ++seen.calls;
    seen.key = request->key();
    seen.body.clear();
    if (request->key().starts_with("slow")) co_await context->world->clock.sleep(kSlow);
    if (request->key() == "refused") co_return refuse(ErrorCode::kInsufficientStorage);
    if (request->action() == Action::kPutObject || request->action() == Action::kPostObject) {
        body->want_md5();
        std::vector<std::byte> piece(100'000);
        while (true) {
            auto n = co_await body->read(piece);
            if (!n) co_return refuse(ErrorCode::kInternalError);
            if (*n == 0) break;
            seen.body.append(reinterpret_cast<const char*>(piece.data()), *n);
        }
        ++seen.completed;
        seen.md5 = body->md5();
    }
    Reply reply;
    reply.header("x-test", "a\r\nb");
    if (request->action() == Action::kGetObject) {
        reply.body = "content of " + request->key();
        if (request->key().starts_with("stream")) {
            reply.stream = std::make_unique<FakeReader>(3, request->key().back() - '0');
            reply.stream_length = 3 * FakeReader::kPiece;
        }
    }
    if (request->action() == Action::kHeadObject) reply.head_length = 77;
    co_return reply;
}

inline Handler fake_dispatch(Action) { return fake_handler; }

// What a client writes, and how long it waits before it does.
struct Step {
    runtime::Micros after{0};
    std::string text;
};
using Steps = std::vector<Step>;

class SessionTest : public ::testing::Test {
  public:
    ~SessionTest() override { stop(); }

  protected:
    SessionTest() {
        seen = Seen();
        start(ServerOptions());
    }

    void start(ServerOptions options) {
        server = std::make_unique<Server>(&context, &credentials, fake_dispatch, options);
        server->start(world.network.listen("127.0.0.1:9000", nullptr).value());
    }
    void stop() {
        if (server) simulator.run(drain(this, seconds(5)));
        server.reset();
    }
    static runtime::Task<void> drain(SessionTest* t, runtime::Micros limit) {
        co_await t->server->drain(limit);
    }

    // Writes everything before it reads anything, like a client that does not expect a refusal.
    static runtime::Task<void> talk(SessionTest* t, Steps steps, bool half_close,
                                    std::string* reply) {
        const runtime::Time deadline = t->world.clock.now() + seconds(300);
        auto stream = co_await t->world.network.connect("127.0.0.1:9000", deadline);
        EXPECT_TRUE(stream.has_value());
        if (!stream) co_return;
        (*stream)->set_deadline(deadline);
        Result<void> written;
        for (const Step& step : steps) {
            if (step.after.count() > 0) co_await t->world.clock.sleep(step.after);
            std::vector<base::Bytes> pieces{base::as_bytes(step.text)};
            written = co_await (*stream)->write(std::move(pieces));
            if (!written) break;
        }
        if (!written) *reply += "[broken pipe]";
        if (written && half_close) co_await (*stream)->shutdown();
        std::vector<std::byte> piece(65536);
        while (true) {
            auto n = co_await (*stream)->read_some(piece);
            if (!n || *n == 0) break;
            reply->append(reinterpret_cast<const char*>(piece.data()), *n);
        }
        (*stream)->close();
    }
    // Everything the server answers until it closes; idle connections are closed after 30 s.
    std::string exchange(const std::string& text, bool half_close = false) {
        return exchange_steps(Steps{Step{{}, text}}, half_close);
    }
    std::string exchange_steps(Steps steps, bool half_close = false) {
        std::string reply;
        simulator.run(talk(this, std::move(steps), half_close, &reply));
        return reply;
    }
    // Several clients at a time, each on its own connection.
    static runtime::Task<void> talk_all(SessionTest* t, std::vector<Steps> clients,
                                        std::vector<std::string>* replies) {
        runtime::Gate gate;
        for (std::size_t i = 0; i < clients.size(); ++i) {
            runtime::spawn(t->world.executor, gate, "client",
                           talk(t, clients[i], false, &(*replies)[i]));
        }
        co_await gate.close();
    }
    std::vector<std::string> exchange_all(std::vector<Steps> clients) {
        std::vector<std::string> replies(clients.size());
        simulator.run(talk_all(this, std::move(clients), &replies));
        return replies;
    }

    RequestHead head(const std::string& method, const std::string& path) {
        RequestHead out;
        out.method = method;
        out.raw_path = path;
        out.headers.push_back({"host", "h"});
        return out;
    }
    static std::string wire(const RequestHead& head, const std::string& extra = {}) {
        std::string out = head.method + " " + target_of(head) + " HTTP/1.1\r\n";
        for (const Header& h : head.headers) out += h.name + ": " + h.value + "\r\n";
        return out + extra + "\r\n";
    }
    std::string signed_request(RequestHead out, const std::string& payload_hash,
                               const std::string& extra = {}) {
        sign_request(out, kAlice, world.clock.unix_ms(), payload_hash);
        return wire(out, extra);
    }
    std::string put(const std::string& body, const std::string& hash) {
        return signed_request(head("PUT", "/bkt/key"), hash,
                              "Content-Length: " + std::to_string(body.size()) + "\r\n") +
               body;
    }

    runtime::sim::Simulator simulator{1};
    runtime::World& world = simulator.harness();
    base::Metrics metrics;
    Settings settings;
    Context context{&world, nullptr, &settings, &metrics};
    FakeCredentials credentials;
    std::unique_ptr<Server> server;
};

inline bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}
inline int count(const std::string& text, std::string_view part) {
    int found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

#define EXPECT_CODE(reply, code) EXPECT_TRUE(has(reply, "<Code>" code "</Code>")) << (reply)

// A body in aws-chunked with signed chunks, correct unless the caller breaks it afterwards. The
// trailer, "name:value", is the last chunk's text and signed too.
struct Chunked {
    std::string request;
    std::vector<std::string> chunks;
    [[nodiscard]] std::string text() const {
        std::string out = request;
        for (const std::string& chunk : chunks) out += chunk;
        return out;
    }
};

inline Chunked signed_chunks(runtime::World& world, std::vector<std::string> data,
                             const std::string& trailer = {}) {
    RequestHead head;
    head.method = "PUT";
    head.raw_path = "/bkt/key";
    std::size_t decoded = 0;
    for (const std::string& d : data) decoded += d.size();
    data.emplace_back();
    head.headers = {{"host", "h"}, {"x-amz-decoded-content-length", std::to_string(decoded)}};
    std::string mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
    if (!trailer.empty()) {
        head.headers.push_back({"x-amz-trailer", trailer.substr(0, trailer.find(':'))});
        mode += "-TRAILER";
    }
    const std::uint64_t now = world.clock.unix_ms();
    sign_request(head, kAlice, now, mode);
    const std::string date = base::amz_date(now);
    const Scope scope{date.substr(0, 8), "us-east-1"};
    const std::string key = signing_key(kAlice.secret, scope);
    Chunked out;
    std::string before = parse_authorization(*head.header("authorization")).value().signature;
    for (const std::string& d : data) {
        before = sign(key, chunk_string_to_sign(date, scope, before, sha256_hex(d)));
        out.chunks.push_back(fmt::format("{:x};chunk-signature={}\r\n", d.size(), before));
        if (!d.empty() || trailer.empty()) out.chunks.back() += d + "\r\n";
    }
    if (!trailer.empty()) {
        const std::string signature =
            sign(key, trailer_string_to_sign(date, scope, before, sha256_hex(trailer + "\n")));
        out.chunks.push_back(trailer + "\r\nx-amz-trailer-signature:" + signature + "\r\n\r\n");
    }
    std::size_t length = 0;
    for (const std::string& chunk : out.chunks) length += chunk.size();
    head.headers.push_back({"content-length", std::to_string(length)});
    out.request = head.method + " /bkt/key HTTP/1.1\r\n";
    for (const Header& h : head.headers) out.request += h.name + ": " + h.value + "\r\n";
    out.request += "\r\n";
    return out;
}

// A browser's upload of "line\r\n--X not the end" as up/a.txt, with a policy that admits names
// under `policy_key` and lengths of `range`.
inline std::string form_upload(runtime::World& world, const std::string& policy_key,
                               const std::string& range) {
    const std::uint64_t now = world.clock.unix_ms();
    const std::string date = base::amz_date(now);
    const Scope scope{date.substr(0, 8), "us-east-1"};
    const std::string credential = "ALICE/" + scope.text();
    const std::string policy =
        "{\"expiration\":\"" + base::iso8601(now + 60'000) +
        "\",\"conditions\":[{\"bucket\":\"bkt\"},[\"starts-with\",\"$key\",\"" + policy_key +
        "\"],{\"x-amz-algorithm\":\"AWS4-HMAC-SHA256\"},{\"x-amz-credential\":\"" + credential +
        "\"},{\"x-amz-date\":\"" + date + "\"},[\"content-length-range\"," + range + "]]}";
    const std::string encoded = base::base64_encode(base::as_bytes(policy));
    std::string body;
    const auto field = [&](const std::string& name, const std::string& value) {
        body += "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value +
                "\r\n";
    };
    field("key", "up/${filename}");
    field("x-amz-algorithm", "AWS4-HMAC-SHA256");
    field("x-amz-credential", credential);
    field("x-amz-date", date);
    field("policy", encoded);
    field("x-amz-signature", sign(signing_key(kAlice.secret, scope), encoded));
    body +=
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n"
        "Content-Type: text/plain\r\n\r\nline\r\n--X not the end\r\n--XX--\r\n";
    return "POST /bkt HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=XX\r\n"
           "Content-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace hamster::s3::testing
