// For tests: nodes that talk over the simulated (or the real) network.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rpc/peers.h"
#include "runtime/sim/simulator.h"

namespace hamster::rpc::testing {

using base::NodeId;
using runtime::Task;
using runtime::Time;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Answer = Result<std::string>;

inline constexpr Method kEcho{1};
inline constexpr Method kSlow{2};   // the payload begins with so many milliseconds
inline constexpr Method kFail{3};   // kConflict, the payload as context
inline constexpr Method kHold{4};   // until the handler is released
inline constexpr Method kLarge{5};  // an answer of so many bytes

inline NodeId node_id(int number) {
    NodeId id;
    id.raw[15] = static_cast<std::byte>(number);
    return id;
}
inline base::ClusterId cluster_id(int number) {
    base::ClusterId id;
    id.raw[0] = static_cast<std::byte>(number);
    return id;
}
inline std::string address_of(NodeId id) {
    return "10.0.0." + std::to_string(std::to_integer<int>(id.raw[15])) + ":7946";
}

class TestHandler final : public Handler {
  public:
    explicit TestHandler(runtime::World* world) : world_(world) {}
    Task<Answer> on_call(NodeId from, Method method, std::string payload) override {
        ++runs[payload];
        callers.insert(from);
        if (method == kSlow) co_await world_->clock.sleep(milliseconds(std::stoll(payload)));
        if (method == kHold) co_await release.wait();
        if (method == kFail) co_return fail(Code::kConflict, payload);
        if (method == kLarge) co_return std::string(std::stoull(payload), 'x');
        co_return "re:" + payload;
    }
    void on_post(NodeId from, Method, std::string payload) override {
        callers.insert(from);
        posts.push_back(std::move(payload));
    }
    bool admits(NodeId node) override { return !removed.contains(node); }
    void on_met(NodeId node) override { met.push_back(node); }
    void on_cut(NodeId node) override { cuts.push_back(node); }

    std::map<std::string, int> runs;  // by payload
    std::vector<std::string> posts;
    std::set<NodeId> callers;
    std::set<NodeId> removed;
    std::vector<NodeId> met;
    std::vector<NodeId> cuts;
    runtime::Event release;

  private:
    runtime::World* world_;
};

struct Node {
    using Tweak = std::function<void(Endpoint*)>;
    Node(runtime::World* on, int number, const Tweak& tweak = {}, std::string listen_on = {})
        : world(on), id(node_id(number)), handler(on) {
        Endpoint endpoint{.world = on, .handler = &handler, .cluster = cluster_id(1), .node = id};
        endpoint.verify = [](runtime::Stream&, const Hello& hello) -> Result<NodeId> {
            return hello.node;
        };
        if (tweak) tweak(&endpoint);
        peers =
            std::make_unique<Peers>(endpoint, [this](NodeId to, Lane) { return dial(this, to); });
        if (listen_on.empty()) listen_on = address_of(id);
        listener = world->network.listen(listen_on, nullptr).value();
        runtime::spawn(world->executor, gate, "accept", accept(this));
    }
    static Task<Result<StreamPtr>> dial(Node* node, NodeId to) {
        const Time now = node->world->clock.now();
        node->dials.push_back(now);
        const auto known = node->book.find(to);
        std::string address = known == node->book.end() ? address_of(to) : known->second;
        auto stream = co_await node->world->network.connect(std::move(address), now + seconds(1));
        CO_TRY(stream);
        if (node->wrap) co_return node->wrap(std::move(*stream));
        co_return stream;
    }
    static Task<void> accept(Node* node) {
        for (;;) {
            auto stream = co_await node->listener->accept();
            if (!stream) co_return;
            node->peers->serve(std::move(*stream));
        }
    }
    static Task<void> stop(Node* node) {
        node->handler.release.set();
        node->listener->close();
        co_await node->peers->stop();
        co_await node->gate.close();
    }
    Task<Answer> call(const Node& to, Method method, std::string payload,
                      runtime::Micros within = seconds(10)) {
        return peers->call(to.id, Lane::kControl, method, std::move(payload),
                           world->clock.now() + within);
    }

    runtime::World* world;
    NodeId id;
    TestHandler handler;
    std::map<NodeId, std::string> book;        // addresses other than address_of()
    std::function<StreamPtr(StreamPtr)> wrap;  // around what it dials
    std::vector<Time> dials;
    std::unique_ptr<Peers> peers;
    std::unique_ptr<runtime::Listener> listener;
    runtime::Gate gate;
};

// Answers that may still be on their way.
struct Asked {
    std::vector<Answer> answers;
    std::vector<std::string> order;  // results, as they came
    std::vector<Time> times;
};
inline Task<void> collect(runtime::World* world, Task<Answer> call, Asked* into) {
    auto answer = co_await std::move(call);
    into->order.push_back(answer ? *answer : answer.error().context);
    into->times.push_back(world->clock.now());
    into->answers.push_back(std::move(answer));
}

// Nodes on the harness, which never crashes.
class Scene : public ::testing::Test {
  public:
    explicit Scene(std::uint64_t seed = 1) : sim(seed) {}
    ~Scene() override { finish(); }
    void TestBody() override {}

    Node& node(int number, const Node::Tweak& tweak = {}) {
        nodes.push_back(std::make_unique<Node>(&sim.harness(), number, tweak));
        return *nodes.back();
    }
    void finish() {
        for (auto& one : nodes) sim.run(Node::stop(one.get()), seconds(60));
        sim.run(gate.close(), seconds(60));
        nodes.clear();
    }
    // Starts a call; its answer is added to `asked`.
    void ask(Task<Answer> call) {
        runtime::spawn(world.executor, gate, "ask", collect(&world, std::move(call), &asked));
    }
    bool await_answers(std::size_t n, runtime::Micros limit = seconds(60)) {
        return sim.run_until([&] { return asked.answers.size() >= n; }, limit);
    }
    Answer get(Task<Answer> call) {
        Asked one;
        runtime::spawn(world.executor, gate, "get", collect(&world, std::move(call), &one));
        sim.run_until([&] { return one.answers.size() == 1; }, seconds(60));
        EXPECT_EQ(one.answers.size(), 1U);
        return one.answers.at(0);
    }

    runtime::sim::Simulator sim;
    runtime::World& world = sim.harness();
    std::vector<std::unique_ptr<Node>> nodes;
    runtime::Gate gate;
    Asked asked;
};

// The other end, spoken by hand: writes `bytes`, then reads frames until the stream ends or an
// error, or forever does neither when `reads` is false.
struct Raw {
    std::string bytes;
    bool reads = true;
    std::vector<Frame> heard{};
    bool ended = false;
    StreamPtr stream{};
};
inline Task<void> speak(Raw* raw) {
    std::vector<base::Bytes> pieces{base::as_bytes(raw->bytes)};
    auto written = co_await raw->stream->write(std::move(pieces));
    FrameReader reader;
    while (written && raw->reads) {
        auto n = co_await raw->stream->read_some(reader.spare());
        if (!n || *n == 0) break;
        reader.received(*n);
        for (;;) {
            auto frame = reader.next();
            if (!frame || !*frame) break;
            raw->heard.push_back(std::move(**frame));
        }
    }
    raw->ended = true;
}
inline Task<void> dial_raw(runtime::World* world, NodeId to, Raw* raw) {
    auto stream = co_await world->network.connect(address_of(to), Time::never());
    EXPECT_TRUE(stream.has_value());
    if (!stream) co_return;
    raw->stream = std::move(*stream);
    co_await speak(raw);
}
inline Task<void> accept_raw(runtime::Listener* listener, Raw* raw) {
    auto stream = co_await listener->accept();
    if (!stream) co_return;
    raw->stream = std::move(*stream);
    co_await speak(raw);
}

inline std::string hello_frame(int node, int cluster = 1, VersionRange versions = {}) {
    const Hello hello{versions, cluster_id(cluster), node_id(node), Lane::kControl};
    return encode_frame({.kind = FrameKind::kHello, .payload = encode_hello(hello)});
}

}  // namespace hamster::rpc::testing
