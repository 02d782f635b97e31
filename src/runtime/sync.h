// Waiting: Gate, Event, Semaphore, Queue, when_all. Everything here belongs to one loop and must
// be used on it only. All of it waits on one kind of list (waiter.h), so that a simulated crash
// can destroy every waiter of a node without resuming it.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "runtime/task.h"
#include "runtime/waiter.h"

namespace hamster::runtime {

// Counts running tasks. close() waits until the last has left; entering a closed gate asserts.
class Gate {
  public:
    Gate() = default;
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    ~Gate() { HAMSTER_ASSERT(count_ == 0 || abandoned(), count_); }

    // False once close() was called: the caller must not start new work.
    [[nodiscard]] bool is_open() const { return !closed_; }
    void enter();
    void leave();
    [[nodiscard]] std::size_t count() const { return count_; }
    Task<void> close();

  private:
    // True while a simulated crash tears a node down: frames died without leaving.
    static bool abandoned();
    std::size_t count_ = 0;
    bool closed_ = false;
    WaiterList waiters_;
};

// Starts `task` on `executor` (the gate's own loop) inside `gate`. An escaped exception aborts;
// `name` (a literal) says which task it was. The only way to start background work.
void spawn(const Executor& executor, Gate& gate, const char* name, Task<void> task);

// Set once; wait() returns at once when it is set already.
class Event {
  public:
    void set();
    void reset() { set_ = false; }
    [[nodiscard]] bool is_set() const { return set_; }
    Task<void> wait();

  private:
    bool set_ = false;
    WaiterList waiters_;
};

// A condition to be re-checked after each wake-up: wait() suspends until the next notify_all().
class Signal {
  public:
    void notify_all();
    Task<void> wait();

  private:
    WaiterList waiters_;
};

// Counts units of a bounded resource, first come first served.
class Semaphore {
  public:
    explicit Semaphore(std::size_t units) : units_(units) {}
    Task<void> acquire(std::size_t n);
    bool try_acquire(std::size_t n);
    void release(std::size_t n);
    [[nodiscard]] std::size_t available() const { return units_; }

  private:
    std::size_t units_;
    std::deque<std::size_t> wanted_;  // parallel to waiters_
    WaiterList waiters_;
};

// Bounded queue. push() waits while full; pop() waits while empty and answers nullopt once the
// queue is closed and drained. push() after close() drops the item and answers false.
template <class T>
class Queue {
  public:
    explicit Queue(std::size_t limit) : limit_(limit) {}
    Task<bool> push(T item) {
        while (items_.size() >= limit_ && !closed_) {
            co_await room_.wait();
        }
        if (closed_) co_return false;
        items_.push_back(std::move(item));
        filled_.notify_all();
        co_return true;
    }
    Task<std::optional<T>> pop() {
        while (items_.empty() && !closed_) {
            co_await filled_.wait();
        }
        if (items_.empty()) co_return std::nullopt;
        std::optional<T> item(std::move(items_.front()));
        items_.pop_front();
        room_.notify_all();
        co_return item;
    }
    void close() {
        closed_ = true;
        room_.notify_all();
        filled_.notify_all();
    }
    [[nodiscard]] std::size_t size() const { return items_.size(); }

  private:
    std::size_t limit_;
    bool closed_ = false;
    std::deque<T> items_;
    Signal room_;
    Signal filled_;
};

// Runs all tasks at once on the caller's loop; returns when every one has finished, results in
// order. An escaped exception aborts.
template <class T>
Task<std::vector<T>> when_all(std::vector<Task<T>> tasks);

}  // namespace hamster::runtime

#include "runtime/when_all.inl"
