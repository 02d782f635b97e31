// Dialling, back-off, removal, death of a peer; and many seeds of all of it at once.
#include "rpc/peers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "rpc/scene.h"

namespace hamster::rpc::testing {
namespace {

using RpcPeers = Scene;

TEST_F(RpcPeers, BulkDoesNotDelayControl) {
    sim.set_network_faults({.max_latency_us = 100'000});
    Node& a = node(1);
    Node& b = node(2);
    ASSERT_TRUE(get(a.call(b, kEcho, "warm")).has_value());
    for (int i = 0; i < 4; ++i) {
        ask(a.peers->call(b.id, Lane::kBulk, kEcho, std::string(3'000'000, 'x'), Time::never()));
    }
    sim.run_for(milliseconds(400));
    const Time began = world.clock.now();
    EXPECT_TRUE(get(a.call(b, kEcho, "heartbeat")).has_value());
    EXPECT_LE(world.clock.now(), began + milliseconds(200));
    EXPECT_LT(asked.answers.size(), 4U);
    ASSERT_TRUE(await_answers(4));
    EXPECT_EQ(a.dials.size(), 2U);
}

// Calls every 5 ms for 20 s to a node that is not there.
Task<void> insist(Node* from, NodeId to, int* failures) {
    const Time until = from->world->clock.now() + seconds(20);
    while (from->world->clock.now() < until) {
        auto answer = co_await from->peers->call(to, Lane::kControl, kEcho, "x", until);
        *failures += !answer;
        co_await from->world->clock.sleep(milliseconds(5));
    }
}

TEST_F(RpcPeers, BackOff) {
    Node& a = node(1);
    int failures = 0;
    sim.run(insist(&a, node_id(9), &failures));
    EXPECT_GT(failures, 1000);
    EXPECT_FALSE(a.peers->post(node_id(9), Lane::kControl, kEcho, "x"));
    ASSERT_GT(a.dials.size(), 10U);
    ASSERT_LT(a.dials.size(), 40U);
    // 5 ms between the calls, and 4 ms for a refused dial.
    EXPECT_LE(a.dials[1] - a.dials[0], milliseconds(20));
    for (std::size_t i = 2; i < a.dials.size(); ++i) {
        const auto full =
            std::min(milliseconds(50) * (1 << std::min<std::size_t>(i - 2, 6)), milliseconds(2000));
        EXPECT_GE(a.dials[i] - a.dials[i - 1], full / 2) << i;
        EXPECT_LE(a.dials[i] - a.dials[i - 1], full + milliseconds(20)) << i;
    }
    // Two seconds later at most, a node that has come is found.
    Node& c = node(9);
    sim.run_for(seconds(2));
    EXPECT_TRUE(get(a.call(c, kEcho, "x")).has_value());
    EXPECT_FALSE(a.peers->trouble(c.id, Lane::kControl).has_value());
}

// A node that comes back is used from the moment it shows itself, on every lane.
TEST_F(RpcPeers, WhoShowsItselfIsDialledAtOnce) {
    Node& a = node(1);
    int failures = 0;
    sim.run(insist(&a, node_id(9), &failures));
    Node& c = node(9);
    EXPECT_EQ(get(a.call(c, kEcho, "1")).error().code, Code::kUnavailable);
    EXPECT_TRUE(get(c.peers->call(a.id, Lane::kBulk, kEcho, "2", Time::never())).has_value());
    const std::size_t dials = a.dials.size();
    EXPECT_TRUE(get(a.call(c, kEcho, "3")).has_value());
    EXPECT_EQ(a.dials.size(), dials + 1);
}

// Once for each time it does: one that cannot be dialled is left alone as before.
TEST_F(RpcPeers, WhoShowsItselfButCannotBeDialledIsNotHammered) {
    Node& a = node(1);
    Node& b = node(2);
    a.book[b.id] = "nowhere:1";
    EXPECT_TRUE(get(b.peers->call(a.id, Lane::kBulk, kEcho, "1", Time::never())).has_value());
    int failures = 0;
    sim.run(insist(&a, b.id, &failures));
    EXPECT_GT(failures, 1000);
    EXPECT_LT(a.dials.size(), 40U);
}

TEST_F(RpcPeers, PeerThatAcceptsAndClosesIsNotHammered) {
    Node& a = node(1);
    Node& b = node(2);
    b.handler.removed.insert(a.id);
    int failures = 0;
    sim.run(insist(&a, b.id, &failures));
    EXPECT_LT(a.dials.size(), 40U);
    EXPECT_EQ(a.peers->trouble(b.id, Lane::kControl)->code, Code::kDenied);
    EXPECT_TRUE(b.handler.runs.empty());
}

// Who does not know where a peer is speaks over what the peer dialled.
TEST_F(RpcPeers, WhatThePeerDialledCarriesBothWays) {
    Node& a = node(1);
    Node& b = node(2);
    a.book[b.id] = "nowhere:1";
    EXPECT_EQ(get(a.call(b, kEcho, "1")).error().code, Code::kUnavailable);
    EXPECT_TRUE(get(b.call(a, kEcho, "2")).has_value());
    EXPECT_TRUE(get(a.call(b, kEcho, "3")).has_value());
    EXPECT_TRUE(a.peers->post(b.id, Lane::kControl, kEcho, "4"));
    EXPECT_EQ(a.dials.size(), 1U);
    EXPECT_EQ(get(a.peers->call(b.id, Lane::kBulk, kEcho, "5", Time::never())).error().code,
              Code::kUnavailable);
}

TEST_F(RpcPeers, ForgetCutsCallsInFlight) {
    Node& a = node(1);
    Node& b = node(2);
    Node& c = node(3);
    ask(a.call(b, kHold, "1"));
    ask(a.peers->call(b.id, Lane::kBulk, kHold, "2", Time::never()));
    ask(b.call(a, kHold, "3"));
    ask(a.call(c, kHold, "4"));
    sim.run_for(seconds(1));
    ASSERT_TRUE(asked.answers.empty());
    const Time began = world.clock.now();
    a.handler.removed.insert(b.id);
    a.peers->forget(b.id);
    ASSERT_TRUE(await_answers(3));
    EXPECT_EQ(asked.times[0], began);
    EXPECT_EQ(asked.times[1], began);
    EXPECT_LE(asked.times[2], began + milliseconds(10));
    for (const Answer& answer : asked.answers) EXPECT_EQ(answer.error().code, Code::kUnavailable);
    EXPECT_EQ(get(a.call(b, kEcho, "x")).error().code, Code::kDenied);
    EXPECT_FALSE(a.peers->post(b.id, Lane::kBulk, kEcho, "x"));
    EXPECT_EQ(get(b.call(a, kEcho, "x")).error().code, Code::kUnavailable);
    EXPECT_EQ(a.handler.runs.count("x"), 0U);
    c.handler.release.set();
    ASSERT_TRUE(await_answers(4));
    EXPECT_EQ(asked.answers[3], "re:4");
    a.handler.release.set();
    EXPECT_TRUE(sim.run_until([&] { return a.peers->connections() == 1; }, seconds(1)));
}

TEST_F(RpcPeers, MembershipIsAskedForEveryRequest) {
    Node& a = node(1);
    Node& b = node(2);
    ASSERT_TRUE(get(a.call(b, kEcho, "before")).has_value());
    b.handler.removed.insert(a.id);
    EXPECT_EQ(get(a.call(b, kEcho, "after")).error().code, Code::kUnavailable);
    EXPECT_EQ(b.handler.runs.count("after"), 0U);
    b.handler.removed.clear();
    sim.run_for(seconds(2));
    ASSERT_TRUE(get(a.call(b, kEcho, "again")).has_value());
    b.handler.removed.insert(a.id);
    EXPECT_TRUE(a.peers->post(b.id, Lane::kControl, kEcho, "post"));
    sim.run_for(seconds(1));
    EXPECT_TRUE(b.handler.posts.empty());
    EXPECT_FALSE(a.peers->is_connected(b.id, Lane::kControl));
}

// One that is held by a machine that dies, one that comes after its next start.
TEST(RpcDeath, PeerDiesInMidCall) {
    Scene scene;
    Node& a = scene.node(1);
    runtime::sim::Machine& machine = scene.sim.machine("b");
    auto b = std::make_unique<Node>(&machine.boot(), 2);
    const NodeId to = b->id;
    for (int i = 0; i < 5; ++i) scene.ask(a.call(*b, kHold, std::to_string(i)));
    scene.sim.run_for(seconds(1));
    ASSERT_TRUE(scene.asked.answers.empty());
    EXPECT_EQ(b->handler.runs.size(), 5U);
    const Time began = scene.world.clock.now();
    machine.crash([&] { b.reset(); });
    ASSERT_TRUE(scene.await_answers(5));
    EXPECT_LE(scene.world.clock.now(), began + milliseconds(10));
    for (const Answer& answer : scene.asked.answers) {
        EXPECT_EQ(answer.error().code, Code::kUnavailable);
    }
    b = std::make_unique<Node>(&machine.boot(), 2);
    EXPECT_EQ(scene.get(a.peers->call(to, Lane::kControl, kEcho, "x", Time::never())), "re:x");
    machine.crash([&] { b.reset(); });
}

// Without a call under way: who has nothing to say learns it as well.
TEST(RpcDeath, APeerThatDiesIsNoticedAtOnce) {
    Scene scene;
    Node& a = scene.node(1);
    runtime::sim::Machine& machine = scene.sim.machine("b");
    auto b = std::make_unique<Node>(&machine.boot(), 2);
    const NodeId to = b->id;
    for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
        EXPECT_TRUE(scene.get(a.peers->call(to, lane, kEcho, "x", Time::never())).has_value());
    }
    EXPECT_TRUE(a.handler.cuts.empty());
    EXPECT_EQ(a.handler.met, std::vector<NodeId>(2, to));
    EXPECT_EQ(b->handler.met, std::vector<NodeId>(2, a.id));
    machine.crash([&] { b.reset(); });
    scene.sim.run_for(milliseconds(10));
    EXPECT_EQ(a.handler.cuts, std::vector<NodeId>(2, to));
    EXPECT_FALSE(a.peers->is_connected(to, Lane::kBulk));
}

// One seed: three nodes, one of which may crash and come back; resets and delays at random.
struct Storm {
    explicit Storm(std::uint64_t seed) : scene(seed), random(scene.sim.random()) {
        scene.sim.set_network_faults(
            {.reset_ppm = static_cast<std::uint32_t>(random.below(3) * random.below(20'000)),
             .max_latency_us = 1 + static_cast<std::int64_t>(random.below(200'000))});
        a = &scene.node(1);
        b = &scene.node(2);
        machine = &scene.sim.machine("c");
        boot();
    }
    // The node that may die talks too.
    void boot() {
        c = std::make_unique<Node>(&machine->boot(), 3);
        runtime::spawn(c->world->executor, c->gate, "chatter", chatter(c.get(), a->id));
    }
    static Task<void> chatter(Node* from, NodeId to) {
        for (;;) {
            const Time deadline = from->world->clock.now() + milliseconds(300);
            from->peers->post(to, Lane::kControl, kEcho, "chatter");
            auto answer = co_await from->peers->call(to, Lane::kBulk, kSlow, "20", deadline);
            if (!answer) co_await from->world->clock.sleep(milliseconds(20));
        }
    }
    // Asserts that each call ends once, in time, and with nothing but its own answer.
    static Task<void> one(Storm* storm, Node* from, NodeId to, int number) {
        runtime::Clock& clock = from->world->clock;
        co_await clock.sleep(runtime::Micros(storm->draw(10'000'000)));
        const bool slow = storm->draw(2) == 0;
        const std::string payload =
            fmt::format("{} of {}", slow ? storm->draw(2000) : 0, number) +
            std::string(static_cast<std::size_t>(storm->draw(3) == 0 ? storm->draw(100'000) : 0),
                        'x');
        const Time deadline = clock.now() + runtime::Micros(storm->draw(3'000'000));
        const Lane lane = storm->draw(2) == 0 ? Lane::kControl : Lane::kBulk;
        if (storm->draw(4) == 0) from->peers->post(to, lane, kEcho, payload);
        auto answer = co_await from->peers->call(to, lane, slow ? kSlow : kEcho, payload, deadline);
        EXPECT_LE(clock.now(), deadline);
        ++storm->ended;
        if (answer) {
            ++storm->good;
            EXPECT_EQ(*answer, "re:" + payload);
        } else {
            EXPECT_TRUE(answer.error().code == Code::kTimeout ||
                        answer.error().code == Code::kUnavailable);
            if (answer.error().code == Code::kTimeout) EXPECT_GE(clock.now(), deadline);
        }
    }
    std::int64_t draw(std::uint64_t bound) {
        return static_cast<std::int64_t>(random.below(bound));
    }
    void run() {
        for (int i = 0; i < kCalls; ++i) {
            Node* const from = draw(2) == 0 ? a : b;
            NodeId to = draw(2) == 0 ? c->id : (from == a ? b : a)->id;
            runtime::spawn(scene.world.executor, scene.gate, "call", one(this, from, to, i));
        }
        if (draw(2) == 0) {
            scene.sim.run_for(runtime::Micros(draw(10'000'000)));
            machine->crash([&] { c.reset(); });
            scene.sim.run_for(runtime::Micros(draw(5'000'000)));
            boot();
        }
        EXPECT_TRUE(scene.sim.run_until([&] { return ended == kCalls; }, seconds(30)));
        scene.sim.set_network_faults({});
        scene.sim.run_for(seconds(8));
        EXPECT_EQ(scene.get(a->call(*c, kEcho, "calm")), "re:calm");
        EXPECT_EQ(scene.get(b->call(*a, kEcho, "calm")), "re:calm");
        for (const Node* node : {a, b, c.get()}) {
            for (const auto& [payload, times] : node->handler.runs) {
                if (payload == "20") continue;  // of the chatter
                EXPECT_LE(times, 1) << payload.substr(0, 20);
            }
        }
        machine->crash([&] { c.reset(); });
        scene.finish();
        hash = scene.sim.trace_hash();
    }

    static constexpr int kCalls = 60;
    Scene scene;
    runtime::Random& random;
    Node* a;
    Node* b;
    runtime::sim::Machine* machine;
    std::unique_ptr<Node> c;
    int ended = 0;
    int good = 0;
    std::uint64_t hash = 0;
};

TEST(RpcStorm, EveryCallIsAnsweredOnce) {
    int good = 0;
    int all = 0;
    for (std::uint64_t seed = 0; seed < 250; ++seed) {
        SCOPED_TRACE(seed);
        Storm storm(seed);
        storm.run();
        good += storm.good;
        all += Storm::kCalls;
        if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(good, all / 4);
    EXPECT_LT(good, all);
}

TEST(RpcStorm, SameSeedSameTrace) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Storm first(seed);
        first.run();
        Storm second(seed);
        second.run();
        EXPECT_EQ(first.hash, second.hash) << seed;
    }
}

}  // namespace
}  // namespace hamster::rpc::testing
