#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "runtime/sim/simulator.h"
#include "runtime/sync.h"

namespace hamster::runtime::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using StreamPtr = std::unique_ptr<Stream>;

MutableBytes into(std::string* text) {
    return {reinterpret_cast<std::byte*>(text->data()), text->size()};
}

Task<void> echo_one(StreamPtr stream) {
    for (;;) {
        std::string chunk(1000, '\0');
        auto n = co_await stream->read_some(into(&chunk));
        if (!n || *n == 0) break;
        std::vector<Bytes> pieces{base::as_bytes(chunk).first(*n)};
        auto written = co_await stream->write(std::move(pieces));
        if (!written) break;
    }
    co_await stream->shutdown();
}

Task<void> serve(World* world, Gate* gate, Listener* listener) {
    for (;;) {
        auto stream = co_await listener->accept();
        if (!stream) co_return;
        spawn(world->executor, *gate, "echo", echo_one(std::move(*stream)));
    }
}

// An echo server as a node has it.
struct Server {
    explicit Server(World* on) : world(on) {
        auto made = world->network.listen("0.0.0.0:7000", nullptr);
        EXPECT_TRUE(made.has_value());
        listener = std::move(*made);
        spawn(world->executor, gate, "serve", serve(world, &gate, listener.get()));
    }
    World* world;
    std::unique_ptr<Listener> listener;
    Gate gate;
};

Task<void> send(Stream* stream, std::string content) {
    std::vector<Bytes> pieces{base::as_bytes(content)};
    auto written = co_await stream->write(std::move(pieces));
    EXPECT_TRUE(written.has_value());
    co_await stream->shutdown();
}

Task<void> echo_client(World* world, std::size_t size, std::set<std::size_t>* chunks) {
    auto stream = co_await world->network.connect("a:7000", Time::never());
    EXPECT_TRUE(stream.has_value());
    std::string sent(size, '\0');
    world->random.fill(into(&sent));
    Gate gate;
    spawn(world->executor, gate, "send", send(stream->get(), sent));
    std::string received;
    for (;;) {
        std::string chunk(4096, '\0');
        auto n = co_await (*stream)->read_some(into(&chunk));
        EXPECT_TRUE(n.has_value());
        if (!n || *n == 0) break;
        chunks->insert(*n);
        received += chunk.substr(0, *n);
    }
    EXPECT_EQ(received, sent);
    co_await gate.close();
}

TEST(SimNetwork, BytesArriveInOrderInAnyChunks) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    auto server = std::make_unique<Server>(&machine.boot());
    std::set<std::size_t> chunks;
    sim.run(echo_client(&sim.harness(), 1'000'000, &chunks));
    EXPECT_GT(chunks.size(), 100U);
    machine.crash([&] { server.reset(); });
}

Task<void> connect_to_nobody(World* world) {
    auto stream = co_await world->network.connect("nobody:1", Time::never());
    EXPECT_EQ(stream.error().code, Code::kUnavailable);
    auto late = co_await world->network.connect("nobody:1", world->clock.now());
    EXPECT_EQ(late.error().code, Code::kTimeout);
}

TEST(SimNetwork, NobodyThere) {
    Simulator sim(1);
    sim.run(connect_to_nobody(&sim.harness()));
}

Task<void> read_until_error(World* world, Code* code, bool* connected) {
    auto stream = co_await world->network.connect("a:7000", Time::never());
    EXPECT_TRUE(stream.has_value());
    *connected = true;
    std::string chunk(10, '\0');
    auto n = co_await (*stream)->read_some(into(&chunk));
    EXPECT_FALSE(n.has_value());
    *code = n.error().code;
}

TEST(SimNetwork, CrashResetsConnectionsOfThePeer) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    auto server = std::make_unique<Server>(&machine.boot());
    Code code = Code::kNotFound;
    bool connected = false;
    Gate gate;
    spawn(sim.harness().executor, gate, "client",
          read_until_error(&sim.harness(), &code, &connected));
    EXPECT_TRUE(sim.run_until([&] { return connected; }, seconds(1)));
    sim.run_for(milliseconds(10));
    machine.crash([&] { server.reset(); });
    sim.run(gate.close(), seconds(1));
    EXPECT_EQ(code, Code::kClosed);
    sim.run(connect_to_nobody(&sim.harness()));
    auto second = std::make_unique<Server>(&machine.boot());
    std::set<std::size_t> chunks;
    sim.run(echo_client(&sim.harness(), 1000, &chunks));
    machine.crash([&] { second.reset(); });
}

Task<void> read_with_deadline(World* world) {
    auto stream = co_await world->network.connect("a:7000", Time::never());
    EXPECT_TRUE(stream.has_value());
    const Time deadline = world->clock.now() + milliseconds(500);
    (*stream)->set_deadline(deadline);
    (*stream)->set_deadline(deadline + milliseconds(200));  // a later one replaces it
    std::string chunk(10, '\0');
    auto n = co_await (*stream)->read_some(into(&chunk));
    EXPECT_EQ(n.error().code, Code::kTimeout);
    EXPECT_GE(world->clock.now(), deadline + milliseconds(200));
    EXPECT_LE(world->clock.now(), deadline + seconds(1));
}

TEST(SimNetwork, DeadlinesAreHonoured) {
    Simulator sim(1);
    Machine& machine = sim.machine("a");
    auto server = std::make_unique<Server>(&machine.boot());
    sim.run(read_with_deadline(&sim.harness()));
    machine.crash([&] { server.reset(); });
}

Task<void> accept_and_hold(Listener* listener, StreamPtr* held) {
    auto stream = co_await listener->accept();
    EXPECT_TRUE(stream.has_value());
    *held = std::move(*stream);
}

Task<void> write_a_lot(World* world, std::string address, bool* done, Code* code) {
    auto stream = co_await world->network.connect(std::move(address), Time::never());
    EXPECT_TRUE(stream.has_value());
    std::string content;
    content.resize(10'000'000, 'x');
    std::vector<Bytes> pieces{base::as_bytes(content)};
    auto written = co_await (*stream)->write(std::move(pieces));
    *done = true;
    if (!written) *code = written.error().code;
}

TEST(SimNetwork, WritersWaitForReadersAndLearnOfClose) {
    Simulator sim(1);
    World& world = sim.harness();
    auto listener = world.network.listen("127.0.0.1:0", nullptr);
    ASSERT_TRUE(listener.has_value());
    StreamPtr held;
    bool done = false;
    Code code = Code::kNotFound;
    Gate gate;
    spawn(world.executor, gate, "accept", accept_and_hold(listener->get(), &held));
    const std::string address = "127.0.0.1:" + std::to_string((*listener)->port());
    spawn(world.executor, gate, "writer", write_a_lot(&world, address, &done, &code));
    sim.run_for(seconds(60));
    ASSERT_NE(held, nullptr);
    EXPECT_FALSE(done);
    held->close();
    sim.run(gate.close(), seconds(1));
    EXPECT_TRUE(done);
    EXPECT_EQ(code, Code::kClosed);
}

TEST(SimNetwork, RandomResets) {
    Simulator sim(1);
    sim.set_network_faults({.reset_ppm = 1'000'000});
    Machine& machine = sim.machine("a");
    auto server = std::make_unique<Server>(&machine.boot());
    Code code = Code::kNotFound;
    bool connected = false;
    sim.run(read_until_error(&sim.harness(), &code, &connected));
    EXPECT_EQ(code, Code::kClosed);
    machine.crash([&] { server.reset(); });
}

TEST(SimNetwork, AddressesAreExclusiveBetweenMachines) {
    Simulator sim(1);
    World& a = sim.machine("a").boot();
    World& b = sim.machine("b").boot();
    auto first = a.network.listen("10.0.0.1:80", nullptr);
    auto second = a.network.listen("10.0.0.1:80", nullptr);
    auto other = b.network.listen("10.0.0.1:80", nullptr);
    EXPECT_TRUE(first.has_value());
    EXPECT_TRUE(second.has_value());
    EXPECT_EQ(other.error().code, Code::kConflict);
    EXPECT_EQ(b.network.listen("nonsense", nullptr).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace hamster::runtime::sim
