#include "runtime/sync.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/sim/simulator.h"

namespace hamster::runtime {
namespace {

using sim::Simulator;
using std::chrono::milliseconds;

Task<void> wait_and_log(Event* event, std::vector<std::string>* log) {
    co_await event->wait();
    log->push_back("woken");
}

Task<void> use_event(World* world, std::vector<std::string>* log) {
    Event event;
    Gate gate;
    spawn(world->executor, gate, "waiter", wait_and_log(&event, log));
    spawn(world->executor, gate, "waiter", wait_and_log(&event, log));
    co_await world->clock.sleep(milliseconds(1));
    log->push_back("set");
    event.set();
    co_await gate.close();
    co_await event.wait();  // set already
    event.reset();
    EXPECT_FALSE(event.is_set());
}

TEST(Sync, EventWakesAllAndStaysSet) {
    Simulator sim(1);
    std::vector<std::string> log;
    sim.run(use_event(&sim.harness(), &log));
    EXPECT_EQ(log, (std::vector<std::string>{"set", "woken", "woken"}));
}

Task<void> hold(World* world, Semaphore* semaphore, std::size_t n, int id, std::vector<int>* log) {
    co_await semaphore->acquire(n);
    log->push_back(id);
    co_await world->clock.sleep(milliseconds(10));
    semaphore->release(n);
}

Task<void> use_semaphore(World* world, std::vector<int>* log) {
    Semaphore semaphore(10);
    Gate gate;
    EXPECT_TRUE(semaphore.try_acquire(1));
    spawn(world->executor, gate, "large", hold(world, &semaphore, 10, 1, log));
    co_await world->clock.sleep(milliseconds(1));
    spawn(world->executor, gate, "small", hold(world, &semaphore, 1, 2, log));
    co_await world->clock.sleep(milliseconds(1));
    EXPECT_TRUE(log->empty());  // the small one does not overtake
    EXPECT_FALSE(semaphore.try_acquire(1));
    semaphore.release(1);
    co_await gate.close();
    EXPECT_EQ(semaphore.available(), 10U);
}

TEST(Sync, SemaphoreIsFirstComeFirstServed) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        Simulator sim(seed);
        std::vector<int> log;
        sim.run(use_semaphore(&sim.harness(), &log));
        EXPECT_EQ(log, (std::vector<int>{1, 2}));
    }
}

Task<void> produce(Queue<int>* queue, int from, int to) {
    for (int i = from; i < to; ++i) {
        const bool pushed = co_await queue->push(i);
        EXPECT_TRUE(pushed);
        EXPECT_LE(queue->size(), 3U);
    }
}

Task<void> consume(Queue<int>* queue, std::vector<int>* out) {
    for (;;) {
        auto item = co_await queue->pop();
        if (!item) co_return;
        out->push_back(*item);
    }
}

Task<void> use_queue(World* world, std::vector<int>* out) {
    Queue<int> queue(3);
    Gate producers;
    Gate consumers;
    spawn(world->executor, producers, "producer", produce(&queue, 0, 50));
    spawn(world->executor, producers, "producer", produce(&queue, 50, 100));
    spawn(world->executor, consumers, "consumer", consume(&queue, out));
    spawn(world->executor, consumers, "consumer", consume(&queue, out));
    co_await producers.close();
    queue.close();
    co_await consumers.close();
    const bool pushed = co_await queue.push(1);
    EXPECT_FALSE(pushed);
}

TEST(Sync, QueueIsBoundedAndDrains) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        Simulator sim(seed);
        std::vector<int> out;
        sim.run(use_queue(&sim.harness(), &out));
        std::ranges::sort(out);
        ASSERT_EQ(out.size(), 100U);
        EXPECT_EQ(out.front(), 0);
        EXPECT_EQ(out.back(), 99);
    }
}

Task<int> later(World* world, int value) {
    co_await world->clock.sleep(milliseconds(100 - value));
    co_return value;
}

Task<void> gather(World* world) {
    std::vector<Task<int>> tasks;
    tasks.reserve(10);
    for (int i = 0; i < 10; ++i) {
        tasks.push_back(later(world, i));
    }
    const Time before = world->clock.now();
    auto results = co_await when_all(std::move(tasks));
    EXPECT_EQ(results, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(world->clock.now() - before, milliseconds(100));
}

TEST(Sync, WhenAllRunsTogetherAndKeepsOrder) {
    Simulator sim(1);
    sim.run(gather(&sim.harness()));
}

Task<void> tick(World* world, int* ticks) {
    co_await world->clock.sleep(milliseconds(5));
    ++*ticks;
}

Task<void> use_gate(World* world) {
    Gate gate;
    int ticks = 0;
    spawn(world->executor, gate, "tick", tick(world, &ticks));
    EXPECT_EQ(gate.count(), 1U);
    EXPECT_TRUE(gate.is_open());
    co_await gate.close();
    EXPECT_EQ(ticks, 1);
    EXPECT_FALSE(gate.is_open());
}

TEST(Sync, GateWaitsForItsTasks) {
    Simulator sim(1);
    sim.run(use_gate(&sim.harness()));
}

TEST(SyncDeathTest, GateWithTasksInsideMustNotDie) {
    EXPECT_DEATH(
        {
            Gate gate;
            gate.enter();
        },
        "count_ == 0");
}

Task<void> throw_something() {
    throw std::runtime_error("oops");
    co_return;
}

TEST(SyncDeathTest, EscapedExceptionNamesTheTask) {
    EXPECT_DEATH(
        {
            Simulator sim(1);
            Gate gate;
            spawn(sim.harness().executor, gate, "thrower", throw_something());
            sim.run_for(milliseconds(1));
        },
        "task thrower ended with an exception: oops");
}

TEST(Random, BelowStaysBelowAndFillCoversEverything) {
    Simulator sim(1);
    Random& random = sim.random();
    std::vector<int> seen(7);
    for (int i = 0; i < 7000; ++i) {
        ++seen.at(random.below(7));
    }
    for (const int count : seen) {
        EXPECT_GT(count, 800);
    }
    std::string text(13, '\0');
    random.fill(MutableBytes(reinterpret_cast<std::byte*>(text.data()), text.size()));
    EXPECT_NE(text.substr(8), std::string(5, '\0'));
}

}  // namespace
}  // namespace hamster::runtime
