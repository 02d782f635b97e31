#include "runtime/sync.h"

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace hamster::runtime {

void Gate::enter() {
    HAMSTER_ASSERT(!closed_);
    ++count_;
}

void Gate::leave() {
    HAMSTER_ASSERT(count_ > 0);
    if (--count_ == 0) waiters_.wake_all();
}

Task<void> Gate::close() {
    closed_ = true;
    while (count_ != 0) {
        co_await waiters_.wait();
    }
}

bool Gate::abandoned() { return WaiterRegistry::abandoning(); }

namespace {

[[noreturn]] void task_threw(const char* name, const char* what) {
    std::fprintf(stderr, "hamster: task %s ended with an exception: %s\n", name, what);
    std::abort();
}

Task<void> run_in_gate(Gate* gate, const char* name, Task<void> task) {
    try {
        co_await std::move(task);
    } catch (const std::exception& e) {
        task_threw(name, e.what());
    } catch (...) {
        task_threw(name, "unknown");
    }
    gate->leave();
}

}  // namespace

void spawn(const Executor& executor, Gate& gate, const char* name, Task<void> task) {
    gate.enter();
    asio::co_spawn(executor, run_in_gate(&gate, name, std::move(task)),
                   [name](std::exception_ptr error) {
                       if (error != nullptr) task_threw(name, "while finishing");
                   });
}

void Event::set() {
    set_ = true;
    waiters_.wake_all();
}

Task<void> Event::wait() {
    while (!set_) {
        co_await waiters_.wait();
    }
}

void Signal::notify_all() { waiters_.wake_all(); }

Task<void> Signal::wait() { return waiters_.wait(); }

bool Semaphore::try_acquire(std::size_t n) {
    if (!wanted_.empty() || units_ < n) return false;
    units_ -= n;
    return true;
}

Task<void> Semaphore::acquire(std::size_t n) {
    if (try_acquire(n)) co_return;
    wanted_.push_back(n);
    co_await waiters_.wait();
}

void Semaphore::release(std::size_t n) {
    units_ += n;
    while (!wanted_.empty() && wanted_.front() <= units_) {
        units_ -= wanted_.front();
        wanted_.pop_front();
        waiters_.wake_one();
    }
}

}  // namespace hamster::runtime
