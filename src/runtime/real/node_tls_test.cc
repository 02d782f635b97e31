#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/real/test_loops.h"

namespace hamster::runtime::real {
namespace {

using std::chrono::seconds;
using StreamPtr = std::unique_ptr<Stream>;
using TlsPtr = std::shared_ptr<const NodeTls>;

std::string key_der(EVP_PKEY* key) {
    PKCS8_PRIV_KEY_INFO* const info = EVP_PKEY2PKCS8(key);
    std::string der(static_cast<std::size_t>(i2d_PKCS8_PRIV_KEY_INFO(info, nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_PKCS8_PRIV_KEY_INFO(info, &out);
    PKCS8_PRIV_KEY_INFO_free(info);
    return der;
}

struct Issued {
    std::string certificate;
    std::string key;
};

// Signed by itself, valid long ago: nothing of it is judged. `padding` bytes make it longer.
Issued issue(const std::string& name, const char* type = "ED25519", std::size_t padding = 0) {
    EVP_PKEY* const key =
        EVP_PKEY_Q_keygen(nullptr, nullptr, type, std::string(type) == "EC" ? "P-256" : nullptr);
    X509* const cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
    X509_gmtime_adj(X509_getm_notAfter(cert), -3600);
    X509_set_pubkey(cert, key);
    X509_NAME* const subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    if (padding > 0) {
        const std::string comment(padding, 'x');
        X509_EXTENSION* const extension =
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_netscape_comment, comment.c_str());
        X509_add_ext(cert, extension, -1);
        X509_EXTENSION_free(extension);
    }
    EXPECT_GT(X509_sign(cert, key, std::string(type) == "EC" ? EVP_sha256() : nullptr), 0);
    std::string der(static_cast<std::size_t>(i2d_X509(cert, nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(der.data());
    i2d_X509(cert, &out);
    Issued issued{.certificate = std::move(der), .key = key_der(key)};
    X509_free(cert);
    EVP_PKEY_free(key);
    return issued;
}

TlsPtr node(const std::string& name, const std::string& ca) {
    Issued own = issue(name);
    return std::make_shared<const NodeTls>(
        NodeTls{.certificate = std::move(own.certificate), .key = std::move(own.key), .ca = ca});
}

// One accepted connection, taken through its handshake.
struct Accepted {
    StreamPtr stream;
    Result<void> shaken;
};

Task<void> accept_one(Listener* listener, Accepted* out, Time deadline) {
    auto stream = co_await listener->accept();
    expect_ok(stream);
    out->stream = std::move(*stream);
    out->stream->set_deadline(deadline);
    EXPECT_TRUE(out->stream->is_tls());
    EXPECT_TRUE(out->stream->peer_certificates().empty());
    out->shaken = co_await out->stream->handshake();
}

// A listener for nodes and what a test needs of it.
struct Scene {
    explicit Scene(World* on) : world(on), tls(node("server", ca)) {
        auto made = world->network.listen_nodes("127.0.0.1:0", tls);
        expect_ok(made);
        listener = std::move(*made);
        address = "127.0.0.1:" + std::to_string(listener->port());
    }
    [[nodiscard]] Time soon() const { return world->clock.now() + seconds(10); }
    void accept(Gate* gate, Accepted* out, Time deadline) const {
        spawn(world->executor, *gate, "accept", accept_one(listener.get(), out, deadline));
    }

    World* world;
    std::string ca = issue("ca").certificate;
    TlsPtr tls;
    std::unique_ptr<Listener> listener;
    std::string address;
};

void run_scene(Task<void> (*test)(Scene*)) {
    auto loops = make_loops("");
    auto scene = std::make_unique<Scene>(&loops->control());
    run_main(*loops, test(scene.get()));
}

Task<void> expect_sent(Stream* from, Stream* to, std::string text) {
    std::vector<Bytes> pieces{base::as_bytes(text)};
    auto written = co_await from->write(std::move(pieces));
    expect_ok(written);
    std::string chunk(100, '\0');
    auto n = co_await to->read_some(into(&chunk));
    expect_ok(n);
    EXPECT_EQ(chunk.substr(0, n ? *n : 0), text);
}

Task<void> meet_as(Scene* scene, TlsPtr client, std::vector<std::string> expected) {
    Accepted accepted;
    Gate gate;
    scene->accept(&gate, &accepted, scene->soon());
    auto stream =
        co_await scene->world->network.connect_node(scene->address, client, scene->soon());
    expect_ok(stream);
    co_await gate.close();
    expect_ok(accepted.shaken);
    EXPECT_TRUE((*stream)->is_tls());
    const std::vector<std::string> servers{scene->tls->certificate, scene->ca};
    EXPECT_EQ((*stream)->peer_certificates(), servers);
    EXPECT_EQ(accepted.stream->peer_certificates(), expected);
    auto again = co_await accepted.stream->handshake();  // nothing is left to do
    expect_ok(again);
    co_await expect_sent(stream->get(), accepted.stream.get(), "from the client");
    co_await expect_sent(accepted.stream.get(), stream->get(), "from the server");
}

Task<void> meet(Scene* scene) {
    const TlsPtr client = node("client", scene->ca);
    const std::vector<std::string> both{client->certificate, scene->ca};
    co_await meet_as(scene, client, both);
    co_await meet_as(scene, client, both);  // not resumed: shown anew
    const TlsPtr alone = node("alone", "");
    const std::vector<std::string> leaf{alone->certificate};
    co_await meet_as(scene, alone, leaf);
    const auto newcomer = std::make_shared<const NodeTls>();
    const std::vector<std::string> nothing;
    co_await meet_as(scene, newcomer, nothing);
}

TEST(NodeTls, EachSideSeesWhatTheOtherShows) { run_scene(meet); }

// Reads until the end; what came.
Task<std::string> read_all(Stream* stream) {
    std::string received;
    std::string chunk(1000, '\0');
    for (;;) {
        auto n = co_await stream->read_some(into(&chunk));
        if (!n || *n == 0) co_return received;
        received.append(chunk, 0, *n);
    }
}

// Sends `bytes` over plain TCP; the server's handshake must fail. Answers what came back.
Task<std::string> send_garbage(Scene* scene, std::string bytes, Accepted* accepted) {
    Gate gate;
    scene->accept(&gate, accepted, scene->soon());
    auto stream = co_await scene->world->network.connect(scene->address, scene->soon());
    expect_ok(stream);
    std::vector<Bytes> pieces{base::as_bytes(bytes)};
    auto written = co_await (*stream)->write(std::move(pieces));
    expect_ok(written);
    co_await gate.close();
    EXPECT_FALSE(accepted->shaken.has_value());
    EXPECT_EQ(accepted->shaken.error().code, Code::kClosed);
    EXPECT_TRUE(accepted->stream->peer_certificates().empty());
    std::string chunk(10, '\0');
    auto nothing = co_await accepted->stream->read_some(into(&chunk));
    EXPECT_EQ(nothing.error().code, Code::kClosed);
    accepted->stream->close();
    std::string answer = co_await read_all(stream->get());
    co_return answer;
}

// At most an alert comes back: type, version, length, level, reason.
void expect_only_alert(const std::string& answer) {
    EXPECT_LE(answer.size(), 7U);
    if (!answer.empty()) EXPECT_EQ(answer[0], 21);
}

Task<void> talk_plainly(Scene* scene) {
    Accepted accepted;
    const std::string answer =
        co_await send_garbage(scene, "GET / HTTP/1.1\r\nHost: here\r\n\r\n", &accepted);
    expect_only_alert(answer);
}

TEST(NodeTls, PlainTcpIsNotAnswered) { run_scene(talk_plainly); }

// The first message of a client that knows nothing newer than TLS 1.2.
std::string old_hello() {
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL* const ssl = SSL_new(context);
    BIO* const out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    EXPECT_EQ(SSL_connect(ssl), -1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(out, &data);
    std::string hello(data, static_cast<std::size_t>(size));
    SSL_free(ssl);
    SSL_CTX_free(context);
    return hello;
}

Task<void> talk_old(Scene* scene) {
    Accepted accepted;
    const std::string answer = co_await send_garbage(scene, old_hello(), &accepted);
    expect_only_alert(answer);
    EXPECT_NE(accepted.shaken.error().context.find("protocol"), std::string::npos)
        << accepted.shaken.error().context;
}

TEST(NodeTls, Tls12IsRefused) { run_scene(talk_old); }

Task<void> leave_early(Scene* scene) {
    Accepted accepted;
    Gate gate;
    scene->accept(&gate, &accepted, scene->soon());
    auto stream = co_await scene->world->network.connect(scene->address, scene->soon());
    const std::string half = old_hello().substr(0, 50);
    std::vector<Bytes> pieces{base::as_bytes(half)};
    auto written = co_await (*stream)->write(std::move(pieces));
    expect_ok(written);
    (*stream)->close();
    co_await gate.close();
    EXPECT_EQ(accepted.shaken.error().code, Code::kClosed);
}

TEST(NodeTls, ClientThatLeavesDuringTheHandshake) { run_scene(leave_early); }

Task<void> accept_plain(Listener* listener, StreamPtr* out, std::string answer) {
    auto stream = co_await listener->accept();
    expect_ok(stream);
    std::string chunk(1000, '\0');
    auto n = co_await (*stream)->read_some(into(&chunk));
    expect_ok(n);
    if (!answer.empty()) {
        std::vector<Bytes> pieces{base::as_bytes(answer)};
        auto written = co_await (*stream)->write(std::move(pieces));
        expect_ok(written);
    }
    if (out != nullptr) *out = std::move(*stream);
}

// Connects as a node to something that is none. `answer`: what that says before it closes.
Task<Code> connect_to_stranger(Scene* scene, StreamPtr* hold, std::string answer, Time deadline) {
    auto listener = scene->world->network.listen("127.0.0.1:0", nullptr);
    expect_ok(listener);
    Gate gate;
    spawn(scene->world->executor, gate, "stranger",
          accept_plain(listener->get(), hold, std::move(answer)));
    const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
    auto stream = co_await scene->world->network.connect_node(address, scene->tls, deadline);
    EXPECT_FALSE(stream.has_value());
    co_await gate.close();
    co_return stream.error().code;
}

Task<void> meet_strangers(Scene* scene) {
    const Code left = co_await connect_to_stranger(scene, nullptr, "", scene->soon());
    EXPECT_EQ(left, Code::kClosed);
    StreamPtr held;
    const Code garbage =
        co_await connect_to_stranger(scene, &held, "HTTP/1.1 400 Bad Request\r\n", scene->soon());
    EXPECT_EQ(garbage, Code::kClosed);
    const Time deadline = scene->world->clock.now() + Micros(50'000);
    const Code silent = co_await connect_to_stranger(scene, &held, "", deadline);
    EXPECT_EQ(silent, Code::kTimeout);
}

TEST(NodeTls, ServerThatLeavesTalksNonsenseOrIsSilent) { run_scene(meet_strangers); }

Task<void> stay_silent(Scene* scene) {
    Accepted accepted;
    Gate gate;
    scene->accept(&gate, &accepted, scene->world->clock.now() + Micros(50'000));
    auto stream = co_await scene->world->network.connect(scene->address, scene->soon());
    expect_ok(stream);
    co_await gate.close();
    EXPECT_EQ(accepted.shaken.error().code, Code::kTimeout);
}

TEST(NodeTls, DeadlineEndsTheHandshake) { run_scene(stay_silent); }

Task<void> show_too_much(Scene* scene) {
    const TlsPtr client = node("client", issue("large", "ED25519", 70'000).certificate);
    Accepted accepted;
    Gate gate;
    scene->accept(&gate, &accepted, scene->soon());
    auto stream =
        co_await scene->world->network.connect_node(scene->address, client, scene->soon());
    co_await gate.close();
    EXPECT_EQ(accepted.shaken.error().code, Code::kClosed);
}

TEST(NodeTls, LongChainsAreRefused) { run_scene(show_too_much); }

Task<std::string> refusal(Scene* scene, std::string certificate, std::string key, std::string ca) {
    auto shared = std::make_shared<const NodeTls>(
        NodeTls{.certificate = std::move(certificate), .key = std::move(key), .ca = std::move(ca)});
    auto listener = scene->world->network.listen_nodes("127.0.0.1:0", shared);
    EXPECT_EQ(listener.error().code, Code::kInvalid);
    auto stream =
        co_await scene->world->network.connect_node(scene->address, shared, scene->soon());
    EXPECT_EQ(stream.error(), listener.error());
    co_return listener.error().context;
}

Task<void> give_nonsense(Scene* scene) {
    const Issued own = issue("own");
    const Issued other = issue("other");
    const Issued curve = issue("curve", "EC");
    std::string said = co_await refusal(scene, "x", own.key, "");
    EXPECT_EQ(said, "the node's certificate is not DER");
    said = co_await refusal(scene, own.certificate + "x", own.key, "");
    EXPECT_EQ(said, "the node's certificate is not DER");
    said = co_await refusal(scene, own.certificate, "", "");
    EXPECT_EQ(said, "the node's key is not Ed25519 in PKCS#8");
    said = co_await refusal(scene, curve.certificate, curve.key, "");
    EXPECT_EQ(said, "the node's key is not Ed25519 in PKCS#8");
    said = co_await refusal(scene, own.certificate, other.key, "");
    EXPECT_EQ(said, "the node's key does not belong to its certificate");
    said = co_await refusal(scene, own.certificate, own.key, other.key);
    EXPECT_EQ(said, "the certificate of the CA is not DER");
    auto none =
        scene->world->network.listen_nodes("127.0.0.1:0", std::make_shared<const NodeTls>());
    EXPECT_EQ(none.error().code, Code::kInvalid);
    auto nowhere = scene->world->network.listen_nodes("nonsense", scene->tls);
    EXPECT_EQ(nowhere.error().code, Code::kInvalid);
}

TEST(NodeTls, MalformedCertificatesAndKeysAreRefused) { run_scene(give_nonsense); }

}  // namespace
}  // namespace hamster::runtime::real
