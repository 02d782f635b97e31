// The same over real sockets.
#include <gtest/gtest.h>

#include "rpc/scene.h"
#include "runtime/real/test_loops.h"

namespace hamster::rpc::testing {
namespace {

Task<void> talk(runtime::World* world) {
    Node a(world, 1, {}, "127.0.0.1:0");
    Node b(world, 2, {}, "127.0.0.1:0");
    a.book[b.id] = "127.0.0.1:" + std::to_string(b.listener->port());
    auto answer = co_await a.call(b, kEcho, "hello");
    EXPECT_EQ(answer, "re:hello");
    std::string payload(3'000'000, 'x');
    answer = co_await a.call(b, kEcho, payload);
    EXPECT_EQ(answer, "re:" + payload);
    answer = co_await a.call(b, kHold, "held", milliseconds(30));
    EXPECT_EQ(answer.error().code, Code::kTimeout);
    Asked asked;
    runtime::Gate gate;
    for (int i = 0; i < 200; ++i) {
        runtime::spawn(world->executor, gate, "ask",
                       collect(world, a.call(b, kEcho, std::to_string(i)), &asked));
    }
    co_await gate.close();
    EXPECT_EQ(asked.answers.size(), 200U);
    for (const Answer& one : asked.answers) EXPECT_TRUE(one.has_value());
    EXPECT_EQ(a.dials.size(), 1U);
    co_await Node::stop(&b);
    answer = co_await a.call(b, kEcho, "gone");
    EXPECT_EQ(answer.error().code, Code::kUnavailable);
    co_await Node::stop(&a);
}

TEST(RpcReal, OverSockets) {
    const runtime::real::TempDir dir;
    const auto loops = runtime::real::make_loops(dir.path());
    runtime::real::run_main(*loops, talk(&loops->control()));
}

}  // namespace
}  // namespace hamster::rpc::testing
