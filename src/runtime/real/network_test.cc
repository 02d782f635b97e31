#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "runtime/real/test_loops.h"

namespace hamster::runtime::real {
namespace {

using std::chrono::seconds;
using StreamPtr = std::unique_ptr<Stream>;

// A self-signed certificate for 127.0.0.1 and `name`, as PEM files in `dir`.
void make_certificate(const std::string& dir, const std::string& name, long serial) {
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    X509* const cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME* const subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    const std::string names = "DNS:" + name + ",IP:127.0.0.1";
    X509_EXTENSION* const alt =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    X509_add_ext(cert, alt, -1);
    X509_EXTENSION_free(alt);
    EXPECT_GT(X509_sign(cert, key, EVP_sha256()), 0);
    std::FILE* out = std::fopen((dir + "/cert.pem").c_str(), "w");
    PEM_write_X509(out, cert);
    std::fclose(out);
    out = std::fopen((dir + "/key.pem").c_str(), "w");
    PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(out);
    X509_free(cert);
    EVP_PKEY_free(key);
}

Task<void> echo(StreamPtr stream) {
    std::string chunk(40'000, '\0');
    for (;;) {
        auto n = co_await stream->read_some(into(&chunk));
        if (!n || *n == 0) break;
        // Several small pieces and the rest: they must come out in order.
        const Bytes all = base::as_bytes(chunk).first(*n);
        const std::size_t cut = std::min<std::size_t>(10, all.size());
        std::vector<Bytes> pieces{all.first(cut / 2), Bytes(), all.subspan(cut / 2, cut - cut / 2),
                                  all.subspan(cut)};
        auto written = co_await stream->write(std::move(pieces));
        if (!written) break;
    }
    co_await stream->shutdown();
}

Task<void> serve(World* world, Gate* gate, Listener* listener) {
    for (;;) {
        auto stream = co_await listener->accept();
        if (!stream) {
            EXPECT_EQ(stream.error().code, Code::kClosed);
            co_return;
        }
        EXPECT_TRUE((*stream)->peer().starts_with("127.0.0.1:"));
        spawn(world->executor, *gate, "echo", echo(std::move(*stream)));
    }
}

Task<void> send(Stream* stream, std::string content) {
    std::vector<Bytes> pieces{base::as_bytes(content)};
    auto written = co_await stream->write(std::move(pieces));
    expect_ok(written);
    co_await stream->shutdown();
}

Task<void> exchange(World* world, StreamPtr stream, std::size_t size) {
    std::string sent(size, '\0');
    world->random.fill(into(&sent));
    Gate gate;
    spawn(world->executor, gate, "send", send(stream.get(), sent));
    std::string received;
    std::string chunk(100'000, '\0');
    for (;;) {
        auto n = co_await stream->read_some(into(&chunk));
        expect_ok(n);
        if (!n || *n == 0) break;
        received.append(chunk, 0, *n);
    }
    EXPECT_TRUE(received == sent) << received.size() << " of " << sent.size();
    co_await gate.close();
}

Task<void> talk_plainly(World* world) {
    auto listener = world->network.listen("127.0.0.1:0", nullptr);
    expect_ok(listener);
    Gate gate;
    spawn(world->executor, gate, "serve", serve(world, &gate, listener->get()));
    const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
    for (const std::size_t size : {0U, 1U, 100'000U, 20'000'000U}) {
        auto stream = co_await world->network.connect(address, world->clock.now() + seconds(60));
        expect_ok(stream);
        EXPECT_EQ((*stream)->peer(), address);
        co_await exchange(world, std::move(*stream), size);
    }
    (*listener)->close();
    co_await gate.close();
}

TEST(RealNetwork, EchoesInOrder) {
    auto loops = make_loops("");
    run_main(*loops, talk_plainly(&loops->control()));
}

Task<void> meet_obstacles(World* world) {
    auto listener = world->network.listen("127.0.0.1:0", nullptr);
    expect_ok(listener);
    const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
    auto same = world->network.listen(address, nullptr);  // loops share a port
    expect_ok(same);
    EXPECT_EQ(world->network.listen("nonsense", nullptr).error().code, Code::kInvalid);
    (*listener)->close();
    (*same)->close();
    auto closed = co_await (*listener)->accept();
    EXPECT_EQ(closed.error().code, Code::kClosed);
    auto refused = co_await world->network.connect(address, Time::never());
    EXPECT_EQ(refused.error().code, Code::kUnavailable);
    auto late = co_await world->network.connect(address, world->clock.now());
    EXPECT_EQ(late.error().code, Code::kTimeout);
}

TEST(RealNetwork, Obstacles) {
    auto loops = make_loops("");
    run_main(*loops, meet_obstacles(&loops->control()));
}

Task<void> close_from(World* world, Stream* stream, Event* reading) {
    co_await reading->wait();
    co_await world->clock.sleep(Micros(1000));
    stream->close();
}

Task<void> time_out(World* world) {
    auto listener = world->network.listen("127.0.0.1:0", nullptr);
    expect_ok(listener);
    const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
    auto stream = co_await world->network.connect(address, Time::never());
    expect_ok(stream);
    std::string chunk(10, '\0');
    (*stream)->set_deadline(world->clock.now() + Micros(1000));
    auto late = co_await (*stream)->read_some(into(&chunk));
    EXPECT_EQ(late.error().code, Code::kTimeout);
    auto still = co_await (*stream)->read_some(into(&chunk));
    EXPECT_EQ(still.error().code, Code::kTimeout);
    (*stream)->set_deadline(Time::never());
    Gate gate;
    Event reading;
    spawn(world->executor, gate, "close", close_from(world, stream->get(), &reading));
    reading.set();
    auto closed = co_await (*stream)->read_some(into(&chunk));
    EXPECT_EQ(closed.error().code, Code::kClosed);
    co_await gate.close();
}

TEST(RealNetwork, DeadlineAndCloseEndAPendingRead) {
    auto loops = make_loops("");
    run_main(*loops, time_out(&loops->control()));
}

Task<std::string> certificate_serial(World* world, TlsTarget target) {
    auto stream = co_await world->network.connect_tls(target, Time::never());
    co_return stream ? "ok" : stream.error().context;
}

Task<void> talk_securely(World* world, std::string dir) {
    make_certificate(dir, "first.example", 1);
    auto tls = world->network.load_tls(dir + "/cert.pem", dir + "/key.pem");
    expect_ok(tls);
    auto listener = world->network.listen("127.0.0.1:0", tls->get());
    expect_ok(listener);
    Gate gate;
    spawn(world->executor, gate, "serve", serve(world, &gate, listener->get()));
    const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
    TlsTarget target{
        .address = address, .server_name = "first.example", .ca_path = dir + "/cert.pem"};
    for (const std::size_t size : {0U, 1U, 100'000U, 20'000'000U}) {
        auto stream = co_await world->network.connect_tls(target, world->clock.now() + seconds(60));
        expect_ok(stream);
        EXPECT_TRUE((*stream)->is_tls());
        co_await exchange(world, std::move(*stream), size);
    }
    // Connections keep the certificate they began with; new ones get the new one.
    auto old = co_await world->network.connect_tls(target, Time::never());
    expect_ok(old);
    make_certificate(dir, "second.example", 2);
    expect_ok((*tls)->reload());
    co_await exchange(world, std::move(*old), 10'000);
    auto by_address = target;
    by_address.server_name = "127.0.0.1";
    by_address.ca_path = dir + "/./cert.pem";  // read again
    const std::string renewed = co_await certificate_serial(world, by_address);
    EXPECT_EQ(renewed, "ok");
    by_address.server_name = "first.example";
    const std::string other_name = co_await certificate_serial(world, by_address);
    EXPECT_NE(other_name, "ok");
    auto unverified = by_address;
    unverified.verify = false;
    const std::string any = co_await certificate_serial(world, unverified);
    EXPECT_EQ(any, "ok");
    std::remove((dir + "/key.pem").c_str());
    EXPECT_EQ((*tls)->reload().error().code, Code::kInvalid);
    const std::string kept = co_await certificate_serial(world, unverified);
    EXPECT_EQ(kept, "ok");
    (*listener)->close();
    co_await gate.close();
}

TEST(RealNetwork, TlsEchoesVerifiesAndReloads) {
    const TempDir dir;
    auto loops = make_loops("");
    run_main(*loops, talk_securely(&loops->control(), dir.path()));
}

Task<void> talk_nonsense(World* world, std::string dir) {
    make_certificate(dir, "first.example", 1);
    auto tls = world->network.load_tls(dir + "/cert.pem", dir + "/key.pem");
    auto listener = world->network.listen("127.0.0.1:0", tls->get());
    expect_ok(listener);
    const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
    auto client = co_await world->network.connect(address, Time::never());
    expect_ok(client);
    std::vector<Bytes> pieces{base::as_bytes("GET / HTTP/1.1\r\n\r\n")};
    auto sent = co_await (*client)->write(std::move(pieces));
    expect_ok(sent);
    auto server = co_await (*listener)->accept();
    expect_ok(server);
    std::string chunk(10, '\0');
    auto refused = co_await (*server)->read_some(into(&chunk));
    EXPECT_EQ(refused.error().code, Code::kClosed);
    std::vector<Bytes> more{base::as_bytes("x")};
    auto not_again = co_await (*server)->write(std::move(more));
    EXPECT_EQ(not_again.error().code, Code::kClosed);
    // A client that leaves in the middle of a handshake, and one that stays silent.
    auto second = co_await world->network.connect(address, Time::never());
    auto left = co_await (*listener)->accept();
    (*second)->close();
    auto nothing = co_await (*left)->read_some(into(&chunk));
    EXPECT_EQ(nothing.error().code, Code::kClosed);
    auto third = co_await world->network.connect(address, Time::never());
    auto silent = co_await (*listener)->accept();
    (*silent)->set_deadline(world->clock.now() + Micros(1000));
    auto late = co_await (*silent)->read_some(into(&chunk));
    EXPECT_EQ(late.error().code, Code::kTimeout);
    EXPECT_TRUE(third.has_value());
}

TEST(RealNetwork, TlsRefusesNonsense) {
    const TempDir dir;
    auto loops = make_loops("");
    run_main(*loops, talk_nonsense(&loops->control(), dir.path()));
}

Task<Result<int>> work_on(World* there, int n) {
    co_await there->clock.sleep(Micros(10));
    auto blocking = [n] { return Result<int>(n + 1); };
    auto done = co_await run_blocking(&there->pool, blocking);
    co_return done;
}

Task<void> hop(Loops* loops) {
    World& control = loops->control();
    for (int i = 0; i < 200; ++i) {
        for (World* const io : loops->io()) {
            auto result = co_await run_on(io->executor, work_on(io, i));
            EXPECT_EQ(result, i + 1);
        }
    }
    EXPECT_NE(control.random.next(), control.random.next());
}

TEST(RealLoops, TasksHopBetweenLoops) {
    auto loops = make_loops("", 3);
    run_main(*loops, hop(loops.get()));
}

Task<int> wait_for_signals(World* world, std::vector<int>* seen, Signal* arrived) {
    ::raise(SIGHUP);
    while (seen->empty()) {
        co_await arrived->wait();
    }
    ::raise(SIGTERM);
    while (seen->size() < 2) {
        co_await arrived->wait();
    }
    EXPECT_GT(world->clock.unix_ms(), 1'700'000'000'000U);
    co_return 7;
}

TEST(RealLoops, SignalsReachTheCallbackAndTheExitCodeIsReturned) {
    auto loops = make_loops("");
    std::vector<int> seen;
    Signal arrived;
    const int code =
        loops->run(wait_for_signals(&loops->control(), &seen, &arrived), [&](int signal) {
            seen.push_back(signal);
            arrived.notify_all();
        });
    EXPECT_EQ(code, 7);
    EXPECT_EQ(seen, (std::vector<int>{SIGHUP, SIGTERM}));
}

Task<void> hang(World* world) {
    Gate gate;  // never left: the frame dies with its loop
    spawn(world->executor, gate, "sleeper", world->clock.sleep(std::chrono::hours(1)));
    co_await gate.close();
}

Task<void> leave_something_behind(World* world, World* io, Gate* gate) {
    spawn(io->executor, *gate, "hanging", hang(io));
    co_await world->clock.sleep(Micros(1000));
}

TEST(RealLoops, SuspendedTasksAreDestroyedAtTheEnd) {
    auto gate = std::make_unique<Gate>();
    auto loops = make_loops("");
    run_main(*loops, leave_something_behind(&loops->control(), loops->io()[0], gate.get()));
    loops.reset();
    WaiterRegistry::abandoning() = true;
    gate.reset();
    WaiterRegistry::abandoning() = false;
}

}  // namespace
}  // namespace hamster::runtime::real
