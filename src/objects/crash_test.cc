// A PUT interrupted at every I/O boundary: what was acknowledged is there, what was not is there
// as a whole or not at all, and nothing is left on the disk in the end.
#include <gtest/gtest.h>

#include "objects/sim_node.h"

namespace hamster::objects {
namespace {

using runtime::Micros;
using runtime::Task;
using runtime::sim::Simulator;
using testing::kGraceMs;
using testing::pattern_text;
using testing::SimNode;

Options crash_options() {
    Options options;
    options.gc_grace_ms = kGraceMs;
    options.orphan_grace_ms = kGraceMs;
    options.reconcile_interval_ms = 500;
    options.orphan_scan_interval_ms = 1000;
    return options;
}

struct Story {
    std::uint64_t size;
    bool first_acknowledged = false;
    bool second_acknowledged = false;
    bool finished = false;
};

Task<void> write_two(SimNode* node, Story* story) {
    auto first = co_await node->put("first", 1, story->size);
    story->first_acknowledged = first.has_value();
    auto second = co_await node->put("second", 2, story->size);
    story->second_acknowledged = second.has_value();
    auto replaced = co_await node->put("second", 3, story->size + 1);
    (void)replaced;
    story->finished = true;
}

Task<void> check(SimNode* node, Story* story, int* objects) {
    auto first = co_await node->get("first", std::nullopt);
    EXPECT_TRUE(first || first.error().code == Code::kNotFound);
    EXPECT_TRUE(first || !story->first_acknowledged);
    if (first) EXPECT_TRUE(*first == pattern_text(1, {0, story->size}));
    auto second = co_await node->get("second", std::nullopt);
    EXPECT_TRUE(second || second.error().code == Code::kNotFound);
    EXPECT_TRUE(second || !story->second_acknowledged);
    if (second) {
        EXPECT_TRUE(*second == pattern_text(2, {0, story->size}) ||
                    *second == pattern_text(3, {0, story->size + 1}));
    }
    *objects = (first ? 1 : 0) + (second ? 1 : 0);
    co_await node->world->clock.sleep(Micros(static_cast<std::int64_t>(3 * kGraceMs * 1000)));
}

Task<void> open_node(SimNode* node, bool* opened) { *opened = co_await node->open(); }

// True once the crash point lies behind the end of the story.
bool crash_at(std::uint64_t seed, std::uint64_t boundary, std::uint64_t size) {
    Simulator sim(seed);
    auto& machine = sim.machine("a");
    Story story{size};
    auto node = std::make_unique<SimNode>(&machine.boot(), crash_options());
    bool opened = false;
    EXPECT_TRUE(sim.run_on(machine, open_node(node.get(), &opened)) && opened);
    machine.crash_at_io(boundary, [&] { machine.crash([&] { node.reset(); }); });
    const bool survived = sim.run_on(machine, write_two(node.get(), &story));
    if (survived) {
        machine.disarm_crash();
        machine.crash([&] { node.reset(); });
    }

    opened = false;
    node = std::make_unique<SimNode>(&machine.boot(), crash_options());
    EXPECT_TRUE(sim.run_on(machine, open_node(node.get(), &opened)) && opened) << boundary;
    int objects = 0;
    EXPECT_TRUE(sim.run_on(machine, check(node.get(), &story, &objects)));
    // Everything that no object refers to is gone by now.
    EXPECT_EQ(node->shards->stats().shards, static_cast<std::uint64_t>(objects)) << boundary;
    EXPECT_LE(machine.allocated_bytes(), 32U << 20U);
    machine.crash([&] { node.reset(); });
    return survived;
}

void crash_everywhere(std::uint64_t size) {
    for (std::uint64_t boundary = 1;; ++boundary) {
        SCOPED_TRACE(boundary);
        const bool done = crash_at(boundary * 7 + size, boundary, size);
        if (done || ::testing::Test::HasFailure()) break;
        ASSERT_LT(boundary, 2000U);
    }
}

TEST(Crash, SmallBodiesAtEveryBoundary) { crash_everywhere(1000); }
TEST(Crash, StreamedBodiesAtEveryBoundary) { crash_everywhere(700'000); }

}  // namespace
}  // namespace hamster::objects
