// Calls, posts, limits and greetings, over the simulated network.
#include "rpc/connection.h"

#include <gtest/gtest.h>

#include "rpc/scene.h"

namespace hamster::rpc::testing {
namespace {

class RpcConnection : public Scene {
  protected:
    // A listener in place of node 9, with `raw` behind it.
    void listen_raw(Raw* raw) {
        listener = world.network.listen(address_of(node_id(9)), nullptr).value();
        runtime::spawn(world.executor, gate, "raw", accept_raw(listener.get(), raw));
    }
    // What node `to` says to a stranger who writes `bytes`.
    std::vector<Frame> told(const Node& to, std::string bytes) {
        Raw raw{.bytes = std::move(bytes)};
        runtime::spawn(world.executor, gate, "raw", dial_raw(&world, to.id, &raw));
        EXPECT_TRUE(sim.run_until([&] { return raw.ended; }, seconds(60)));
        return std::move(raw.heard);
    }
    // The one Refuse frame in `heard`.
    static Error refusal(const std::vector<Frame>& heard) {
        EXPECT_EQ(heard.size(), 1U);
        if (heard.size() != 1) return {Code::kNotFound, ""};
        EXPECT_EQ(heard[0].kind, FrameKind::kRefuse);
        return decode_error(heard[0].payload).value();
    }
    Task<Answer> call_nine(Node& from, runtime::Micros within = seconds(30)) {
        return from.peers->call(node_id(9), Lane::kControl, kEcho, "x", world.clock.now() + within);
    }
    std::unique_ptr<runtime::Listener> listener;
};

TEST_F(RpcConnection, AnswersAndErrors) {
    Node& a = node(1);
    Node& b = node(2);
    EXPECT_EQ(get(a.call(b, kEcho, "hello")), "re:hello");
    EXPECT_EQ(get(a.call(b, kEcho, "")), "re:");
    EXPECT_EQ(get(a.call(b, kFail, "lost the race")).error(),
              (Error{Code::kConflict, "lost the race"}));
    EXPECT_EQ(get(b.call(a, kEcho, "back")), "re:back");
    EXPECT_EQ(b.handler.callers, std::set{a.id});
    EXPECT_EQ(a.dials.size(), 1U);
    EXPECT_TRUE(a.peers->is_connected(b.id, Lane::kControl));
    EXPECT_FALSE(a.peers->is_connected(b.id, Lane::kBulk));
}

TEST_F(RpcConnection, InParallelAndOutOfOrder) {
    Node& a = node(1);
    Node& b = node(2);
    for (const int ms : {900, 500, 700, 100, 300}) ask(a.call(b, kSlow, std::to_string(ms)));
    ASSERT_TRUE(await_answers(5));
    EXPECT_EQ(asked.order,
              (std::vector<std::string>{"re:100", "re:300", "re:500", "re:700", "re:900"}));
    EXPECT_EQ(a.dials.size(), 1U);
}

TEST_F(RpcConnection, DeadlinesAreKeptExactly) {
    Node& a = node(1);
    Node& b = node(2);
    ASSERT_TRUE(get(a.call(b, kEcho, "warm")).has_value());
    const Time began = world.clock.now();
    for (const int ms : {2000, 30, 31, 450}) ask(a.call(b, kSlow, "5000", milliseconds(ms)));
    ask(a.call(b, kSlow, "3000", seconds(4)));
    ask(a.call(b, kEcho, "too late", milliseconds(0)));
    ASSERT_TRUE(await_answers(6));
    const std::vector<int> expected{0, 30, 31, 450, 2000};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(asked.answers[i].error().code, Code::kTimeout);
        EXPECT_EQ(asked.times[i], began + milliseconds(expected[i]));
    }
    EXPECT_EQ(asked.answers[5], "re:3000");
    sim.run_for(seconds(10));  // the late answers find nobody
    EXPECT_EQ(get(a.call(b, kEcho, "still there")), "re:still there");
    EXPECT_EQ(a.dials.size(), 1U);
    EXPECT_EQ(b.handler.runs.count("too late"), 0U);
}

TEST_F(RpcConnection, DeadlineWhileNobodyGreets) {
    Node& a = node(1);
    Raw raw{.bytes = "", .reads = false};
    listen_raw(&raw);
    const Time began = world.clock.now();
    ask(call_nine(a, milliseconds(40)));
    ask(call_nine(a));
    ASSERT_TRUE(await_answers(2));
    EXPECT_EQ(asked.answers[0].error().code, Code::kTimeout);
    EXPECT_LE(asked.times[0], began + milliseconds(110));
    EXPECT_EQ(asked.answers[1].error().code, Code::kUnavailable);
    EXPECT_LE(asked.times[1], began + milliseconds(5200));
}

TEST_F(RpcConnection, LargestPayloads) {
    Node& a = node(1);
    Node& b = node(2);
    auto answer = get(a.call(b, kEcho, std::string(kMaxPayload - 3, 'p')));
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->size(), kMaxPayload);
    EXPECT_EQ(get(a.call(b, kEcho, std::string(kMaxPayload + 1, 'p'))).error().code,
              Code::kTooLarge);
    EXPECT_FALSE(a.peers->post(b.id, Lane::kControl, kEcho, std::string(kMaxPayload + 1, 'p')));
    EXPECT_EQ(get(a.call(b, kLarge, std::to_string(kMaxPayload + 1))).error().code,
              Code::kTooLarge);
    EXPECT_EQ(get(a.call(b, kLarge, std::to_string(kMaxPayload)))->size(), kMaxPayload);
    EXPECT_EQ(a.dials.size(), 1U);
}

TEST_F(RpcConnection, PostsArriveInOrder) {
    Node& a = node(1);
    Node& b = node(2);
    for (int i = 0; i < 500; ++i) {
        EXPECT_TRUE(a.peers->post(b.id, Lane::kControl, kEcho, std::to_string(i)));
    }
    EXPECT_TRUE(sim.run_until([&] { return b.handler.posts.size() == 500; }, seconds(10)));
    for (std::size_t i = 0; i < 500; ++i) EXPECT_EQ(b.handler.posts[i], std::to_string(i));
}

TEST_F(RpcConnection, CallsInFlightAreBounded) {
    Node& a = node(1, [](Endpoint* e) { e->limits.max_calls = 3; });
    Node& b = node(2);
    for (int i = 0; i < 4; ++i) ask(a.call(b, kHold, std::to_string(i)));
    const Time began = world.clock.now();
    ASSERT_TRUE(await_answers(1));
    EXPECT_EQ(asked.answers[0].error().code, Code::kUnavailable);
    EXPECT_EQ(asked.times[0], began);  // immediately
    sim.run_for(seconds(1));
    EXPECT_EQ(b.handler.runs.size(), 3U);
    b.handler.release.set();
    ASSERT_TRUE(await_answers(4));
    for (std::size_t i = 1; i < 4; ++i) EXPECT_TRUE(asked.answers[i].has_value());
}

TEST_F(RpcConnection, RequestsBeingServedAreBounded) {
    Node& a = node(1);
    Node& b = node(2, [](Endpoint* e) {
        e->limits.max_served = 2;
        e->limits.max_served_bytes = 1000;
    });
    for (int i = 0; i < 3; ++i) ask(a.call(b, kHold, std::to_string(i)));
    ASSERT_TRUE(await_answers(1));
    EXPECT_EQ(asked.answers[0].error().code, Code::kUnavailable);
    EXPECT_EQ(b.handler.runs.size(), 2U);
    b.handler.release.set();
    ASSERT_TRUE(await_answers(3));
    EXPECT_EQ(get(a.call(b, kEcho, std::string(1001, 'x'))).error().code, Code::kUnavailable);
    EXPECT_TRUE(get(a.call(b, kEcho, std::string(1000, 'x'))).has_value());
}

TEST_F(RpcConnection, QueuedBytesAreBounded) {
    Node& a = node(1, [](Endpoint* e) { e->limits.max_queued_bytes = 3'000'000; });
    Raw raw{.bytes = hello_frame(9), .reads = false};
    listen_raw(&raw);
    int taken = 0;
    for (int i = 0; i < 20; ++i) {
        sim.run_for(milliseconds(50));
        taken += a.peers->post(node_id(9), Lane::kControl, kEcho, std::string(1'000'000, 'x'));
    }
    EXPECT_EQ(taken, 2);  // one is being written, none has left
    const Time began = world.clock.now();
    ask(a.peers->call(node_id(9), Lane::kControl, kEcho, std::string(1'000'000, 'x'),
                      began + seconds(60)));
    ASSERT_TRUE(await_answers(1));
    EXPECT_EQ(asked.answers[0].error().code, Code::kUnavailable);
    EXPECT_EQ(asked.times[0], began);
    ask(call_nine(a));  // a small one finds room, and ends with the silent connection
    ASSERT_TRUE(await_answers(2));
    EXPECT_EQ(asked.answers[1].error().code, Code::kUnavailable);
    EXPECT_LE(world.clock.now(), began + milliseconds(5200));
}

TEST_F(RpcConnection, PeerThatNeverReadsAnswersIsCutOff) {
    Node& a = node(1, [](Endpoint* e) { e->limits.max_queued_bytes = 1'000'000; });
    Raw raw{.bytes = hello_frame(2), .reads = false};
    for (int i = 1; i <= 5000; ++i) {
        raw.bytes += encode_frame({.kind = FrameKind::kRequest,
                                   .method = kFail,
                                   .call = static_cast<std::uint64_t>(i),
                                   .payload = std::string(2000, 'e')});
    }
    runtime::spawn(world.executor, gate, "raw", dial_raw(&world, a.id, &raw));
    EXPECT_TRUE(sim.run_until([&] { return raw.ended; }, seconds(60)));
    EXPECT_TRUE(sim.run_until([&] { return a.peers->connections() == 0; }, seconds(4)));
}

TEST_F(RpcConnection, IdleConnectionsAreKeptAliveAndSilentOnesClosed) {
    Node& a = node(1);
    Node& b = node(2);
    ASSERT_TRUE(get(a.call(b, kEcho, "one")).has_value());
    sim.run_for(seconds(600));
    EXPECT_TRUE(a.peers->is_connected(b.id, Lane::kControl));
    EXPECT_EQ(a.dials.size(), 1U);

    Raw raw{.bytes = hello_frame(9)};
    listen_raw(&raw);
    const Time began = world.clock.now();
    ask(call_nine(a));
    ASSERT_TRUE(await_answers(1));
    EXPECT_EQ(asked.answers[0].error().code, Code::kUnavailable);
    EXPECT_GE(world.clock.now(), began + seconds(5));
    EXPECT_LE(world.clock.now(), began + milliseconds(5200));
    EXPECT_TRUE(sim.run_until([&] { return raw.ended; }, seconds(1)));
    int pings = 0;
    for (const Frame& frame : raw.heard) pings += frame.kind == FrameKind::kPing;
    EXPECT_EQ(pings, 4);
}

TEST_F(RpcConnection, OtherClustersAndVersionsAreToldWhy) {
    Node& a = node(1, [](Endpoint* e) { e->versions = {2, 3}; });
    Error error = refusal(told(a, hello_frame(2, 7, {2, 3})));
    EXPECT_EQ(error.code, Code::kDenied);
    EXPECT_NE(error.context.find("belongs to cluster " + cluster_id(1).hex()), std::string::npos);
    error = refusal(told(a, hello_frame(2, 1, {4, 5})));
    EXPECT_EQ(error.code, Code::kUnsupported);
    EXPECT_NE(error.context.find("speaks versions 2 to 3"), std::string::npos);
    std::string frame = hello_frame(2);
    frame[3] = 2;  // another version of frames
    EXPECT_EQ(refusal(told(a, frame)).code, Code::kUnsupported);

    Node& b = node(2);  // speaks version 1
    EXPECT_EQ(get(b.call(a, kEcho, "x")).error().code, Code::kUnavailable);
    const auto trouble = b.peers->trouble(a.id, Lane::kControl);
    ASSERT_TRUE(trouble.has_value());
    EXPECT_EQ(trouble->code, Code::kUnsupported);
    EXPECT_NE(trouble->context.find("speaks versions 2 to 3"), std::string::npos);
}

TEST_F(RpcConnection, ClaimsMustBeWhatTheTransportVerified) {
    Node& a = node(1, [](Endpoint* e) {
        e->verify = [](runtime::Stream&, const Hello& hello) -> Result<NodeId> {
            if (hello.node == node_id(4)) return fail(Code::kDenied, "no certificate");
            return node_id(3);
        };
    });
    Node& b = node(2);
    EXPECT_EQ(get(b.call(a, kEcho, "x")).error().code, Code::kUnavailable);
    EXPECT_EQ(b.peers->trouble(a.id, Lane::kControl)->code, Code::kDenied);
    EXPECT_EQ(refusal(told(a, hello_frame(4))).context, "no certificate");
    Node& c = node(3);
    EXPECT_TRUE(get(c.call(a, kEcho, "x")).has_value());
    EXPECT_EQ(a.handler.callers, std::set{c.id});
    // Who is dialled must be who answers; the wrong one is told too.
    c.book[node_id(5)] = address_of(b.id);
    EXPECT_EQ(
        get(c.peers->call(node_id(5), Lane::kControl, kEcho, "secret", Time::never())).error().code,
        Code::kUnavailable);
    EXPECT_EQ(c.peers->trouble(node_id(5), Lane::kControl)->code, Code::kDenied);
    EXPECT_TRUE(b.handler.runs.empty());
}

TEST_F(RpcConnection, NonsenseEndsTheConnection) {
    Node& a = node(1);
    EXPECT_TRUE(told(a, "GET / HTTP/1.1\r\nHost: somebody-else\r\n\r\n").empty());
    EXPECT_EQ(refusal(told(a, encode_frame({.kind = FrameKind::kPing}))).code, Code::kCorrupt);
    const std::string hello = hello_frame(2);
    const std::vector<std::string> wrong{
        hello,                                                                  // a second one
        encode_frame({.kind = FrameKind::kAnswer, .call = 1, .payload = "x"}),  // to nothing
        encode_frame({.kind = FrameKind::kError, .call = 0}),
        std::string(64, '\0'),
    };
    for (const std::string& bytes : wrong) {
        const std::vector<Frame> heard = told(a, hello + bytes);  // comes back: it was closed
        ASSERT_LE(heard.size(), 1U);
        EXPECT_TRUE(heard.empty() || heard[0].kind == FrameKind::kHello);
    }
    EXPECT_TRUE(sim.run_until([&] { return a.peers->connections() == 0; }, seconds(1)));
}

TEST_F(RpcConnection, StrangersMustGreetInTime) {
    Node& a = node(1);
    const Time began = world.clock.now();
    EXPECT_TRUE(told(a, hello_frame(2).substr(0, 40)).empty());
    EXPECT_GE(world.clock.now(), began + seconds(5));
    EXPECT_LE(world.clock.now(), began + milliseconds(5300));
}

TEST_F(RpcConnection, StopAnswersWhatIsInFlight) {
    Node& a = node(1);
    Node& b = node(2);
    ask(a.call(b, kHold, "x"));
    sim.run_for(seconds(1));
    sim.run(Node::stop(&a), seconds(1));
    ASSERT_TRUE(await_answers(1));
    EXPECT_EQ(asked.answers[0].error().code, Code::kUnavailable);
    EXPECT_EQ(get(a.call(b, kEcho, "x")).error().code, Code::kUnavailable);
    nodes.erase(nodes.begin());
}

}  // namespace
}  // namespace hamster::rpc::testing
