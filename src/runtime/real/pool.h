// Threads for calls that block. Any thread may post; stop() lets the running work finish and drops
// what is queued.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/world.h"

namespace hamster::runtime::real {

class ThreadPool final : public BlockingPool {
  public:
    // `computing`: of the threads, how many may calculate at the same time; at least 1.
    ThreadPool(std::size_t threads, std::size_t computing);
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() override;

    void post(std::move_only_function<void()> work, WorkKind kind) override;
    // Joins the threads. Called on no thread of the pool; idempotent.
    void stop();

  private:
    struct Job {
        std::move_only_function<void()> work;
        bool computes = false;
        std::uint64_t number = 0;  // in order of arrival
    };
    void run();
    std::optional<Job> next();  // under mutex_

    const std::size_t max_computing_;
    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<Job> waits_;
    std::deque<Job> computes_;
    std::uint64_t posted_ = 0;
    std::size_t computing_ = 0;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace hamster::runtime::real
