#include "runtime/real/pool.h"

#include <pthread.h>

#include <utility>

#include "base/assert.h"

namespace hamster::runtime::real {

ThreadPool::ThreadPool(std::size_t threads) {
    HAMSTER_ASSERT(threads > 0);
    for (std::size_t i = 0; i < threads; ++i) {
        threads_.emplace_back([this] { work(); });
        pthread_setname_np(threads_.back().native_handle(), "blocking");
    }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::post(std::move_only_function<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(work));
    }
    filled_.notify_one();
}

void ThreadPool::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    filled_.notify_all();
    for (auto& thread : threads_) {
        thread.join();
    }
    threads_.clear();
    queue_.clear();  // frames that waited for it go back to their loops, to be destroyed there
}

void ThreadPool::work() {
    for (;;) {
        std::move_only_function<void()> next;
        {
            std::unique_lock lock(mutex_);
            filled_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
            if (stopping_) return;
            next = std::move(queue_.front());
            queue_.pop_front();
        }
        next();
    }
}

}  // namespace hamster::runtime::real
