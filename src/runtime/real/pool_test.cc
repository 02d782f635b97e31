#include "runtime/real/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>

namespace hamster::runtime::real {
namespace {

TEST(ThreadPool, CalculationsLeaveThreadsForWorkThatWaits) {
    std::latch go(1);
    std::latch waited(1);
    std::latch calculated(3);
    std::atomic<int> at_once{0};
    std::atomic<int> most{0};
    ThreadPool pool(2, 1);
    for (int i = 0; i < 3; ++i) {
        pool.post(
            [&] {
                most = std::max(most.load(), ++at_once);
                go.wait();
                --at_once;
                calculated.count_down();
            },
            WorkKind::kComputes);
    }
    // All calculations are held up, and still this runs.
    pool.post([&] { waited.count_down(); }, WorkKind::kWaits);
    waited.wait();
    go.count_down();
    calculated.wait();
    EXPECT_EQ(most.load(), 1);
}

TEST(ThreadPool, TheOldestJobGoesFirst) {
    std::latch go(1);
    std::latch done(5);
    std::string order;  // of one thread
    ThreadPool pool(1, 1);
    pool.post([&] { go.wait(); }, WorkKind::kWaits);
    for (const char name : {'a', 'B', 'c', 'D', 'e'}) {
        const bool computes = name < 'a';
        pool.post(
            [&order, &done, name] {
                order.push_back(name);
                done.count_down();
            },
            computes ? WorkKind::kComputes : WorkKind::kWaits);
    }
    go.count_down();
    done.wait();
    EXPECT_EQ(order, "aBcDe");
}

}  // namespace
}  // namespace hamster::runtime::real
