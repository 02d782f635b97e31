// Threads for calls that block. Any thread may post; stop() lets the running work finish and drops
// what is queued.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/world.h"

namespace hamster::runtime::real {

class ThreadPool final : public BlockingPool {
  public:
    explicit ThreadPool(std::size_t threads);
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool() override;

    void post(std::move_only_function<void()> work) override;
    // Joins the threads. Called on no thread of the pool; idempotent.
    void stop();

  private:
    void work();

    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<std::move_only_function<void()>> queue_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace hamster::runtime::real
