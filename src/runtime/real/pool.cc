#include "runtime/real/pool.h"

#include <pthread.h>

#include <utility>

#include "base/assert.h"

namespace hamster::runtime::real {

ThreadPool::ThreadPool(std::size_t threads, std::size_t computing) : max_computing_(computing) {
    HAMSTER_ASSERT(threads > 0 && computing > 0, threads, computing);
    for (std::size_t i = 0; i < threads; ++i) {
        threads_.emplace_back([this] { run(); });
        pthread_setname_np(threads_.back().native_handle(), "blocking");
    }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::post(std::move_only_function<void()> work, WorkKind kind) {
    {
        const std::lock_guard lock(mutex_);
        const bool computes = kind == WorkKind::kComputes;
        (computes ? computes_ : waits_).push_back({std::move(work), computes, posted_++});
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
    computes_.clear();
    waits_.clear();  // frames that waited for it go back to their loops, to be destroyed there
}

// The oldest job that may run: neither kind waits for ever behind the other.
std::optional<ThreadPool::Job> ThreadPool::next() {
    const bool may_compute = !computes_.empty() && computing_ < max_computing_;
    if (waits_.empty() && !may_compute) return std::nullopt;
    const bool computes =
        may_compute && (waits_.empty() || computes_.front().number < waits_.front().number);
    auto& queue = computes ? computes_ : waits_;
    Job job = std::move(queue.front());
    queue.pop_front();
    if (computes) ++computing_;
    return job;
}

void ThreadPool::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        std::optional<Job> job = next();
        if (!job) {
            filled_.wait(lock);
            continue;
        }
        lock.unlock();
        job->work();
        job->work = nullptr;
        lock.lock();
        // Whoever finishes a calculation looks for the next one himself: no wake-up is needed.
        if (job->computes) --computing_;
    }
}

}  // namespace hamster::runtime::real
