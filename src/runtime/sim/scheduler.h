// The heart of the simulator: ready handlers, timers, virtual time, one random stream, the trace.
// One thread. Handlers belong to an incarnation (a life of a machine, or the harness); discarding
// an incarnation destroys everything queued for it without running any of it.
#pragma once

#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/prng.h"
#include "runtime/waiter.h"
#include "runtime/world.h"

namespace hamster::runtime::sim {

using Action = std::move_only_function<void()>;

class Scheduler;

// One life of a machine. Kept alive by executors that refer to it; `scheduler` becomes null when
// it has ended.
struct Incarnation {
    Incarnation(Scheduler* owner, std::uint32_t number) : scheduler(owner), id(number) {}

    Scheduler* scheduler;
    std::uint32_t id;
    std::size_t references = 0;
    std::size_t frames = 0;  // spawned coroutines that have not finished
    bool paused = false;
    std::deque<Action> parked;  // became ready while it was paused
    WaiterRegistry registry;
    asio::execution_context context;
};

// The executor behind every any_io_executor in simulation. Never runs anything inline. An executor
// that tracks outstanding work is held by each spawned coroutine: that is how frames are counted.
class SimExecutor {
  public:
    explicit SimExecutor(Incarnation* incarnation, bool tracked = false) noexcept
        : incarnation_(incarnation), tracked_(tracked) {
        acquire();
    }
    SimExecutor(const SimExecutor& other) noexcept
        : incarnation_(other.incarnation_), tracked_(other.tracked_) {
        acquire();
    }
    SimExecutor& operator=(SimExecutor other) noexcept {
        std::swap(incarnation_, other.incarnation_);
        std::swap(tracked_, other.tracked_);
        return *this;
    }
    ~SimExecutor() {
        if (tracked_) --incarnation_->frames;
        if (--incarnation_->references == 0) delete incarnation_;
    }

    template <class Function>
    void execute(Function function) const {
        // Of an ended incarnation: destroyed here, unrun. That unwinds the frames it holds.
        if (incarnation_->scheduler != nullptr) enqueue(Action(std::move(function)));
    }

    [[nodiscard]] SimExecutor require(asio::execution::blocking_t::never_t) const { return *this; }
    [[nodiscard]] SimExecutor require(asio::execution::outstanding_work_t::tracked_t) const {
        return SimExecutor(incarnation_, true);
    }
    [[nodiscard]] SimExecutor require(asio::execution::outstanding_work_t::untracked_t) const {
        return SimExecutor(incarnation_, false);
    }
    static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept {
        return asio::execution::blocking_t::never;
    }
    [[nodiscard]] asio::execution::outstanding_work_t query(
        asio::execution::outstanding_work_t) const noexcept {
        if (tracked_) return asio::execution::outstanding_work_t::tracked;
        return asio::execution::outstanding_work_t::untracked;
    }
    [[nodiscard]] asio::execution_context& query(asio::execution::context_t) const noexcept {
        return incarnation_->context;
    }
    bool operator==(const SimExecutor& other) const noexcept {
        return incarnation_ == other.incarnation_;
    }

  private:
    void acquire() noexcept {
        ++incarnation_->references;
        if (tracked_) ++incarnation_->frames;
    }
    void enqueue(Action action) const;

    Incarnation* incarnation_;
    bool tracked_;
};

class Scheduler {
  public:
    explicit Scheduler(std::uint64_t seed);
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;
    ~Scheduler();

    // Begins a life; it lasts until end().
    Incarnation* begin();
    // Marks it dead, destroys its waiters, timers and queued handlers, runs `teardown`, then
    // asserts that no frame of it is left anywhere.
    void end(Incarnation* incarnation, const std::function<void()>& teardown);

    // Parks what is ready of it, and what becomes ready until resume(). Asserts that it is not
    // paused; resume() asserts that it is.
    void pause(Incarnation* incarnation);
    void resume(Incarnation* incarnation);

    void enqueue(Incarnation* owner, Action action);
    void at(Time time, Incarnation* owner, Action action);
    // Belongs to the incarnation whose handler runs now.
    Task<void> sleep(Micros duration);
    // Runs one ready handler, else advances time to the next timer and runs it, or parks it if its
    // owner is paused. False when idle.
    bool step();

    [[nodiscard]] Time now() const { return now_; }
    // Time of the next thing to do; never() when idle.
    [[nodiscard]] Time next_time() const;
    Prng& random() { return random_; }
    // Of the handler that runs now; null outside handlers.
    [[nodiscard]] Incarnation* running() const { return running_; }
    void trace(std::uint64_t event) { trace_ = mix64(trace_ ^ event); }
    void trace(std::string_view event) { trace_ = mix_text(trace_, event); }
    [[nodiscard]] std::uint64_t trace_hash() const { return trace_; }
    // Ready handlers run in random order (of the oldest few) instead of first in, first out.
    void set_permute(bool permute) { permute_ = permute; }

  private:
    struct Handler {
        Incarnation* owner;
        Action action;
    };
    // Appends the ready handlers of one incarnation to `out`, in order.
    void take_ready(const Incarnation* owner, std::deque<Action>& out);
    void run(Handler handler);

    Time now_{1'000'000};
    std::uint64_t sequence_ = 0;
    std::uint32_t next_incarnation_ = 0;
    std::uint64_t trace_ = 0;
    bool permute_ = false;
    Prng random_;
    std::deque<Handler> ready_;
    std::map<std::pair<Time, std::uint64_t>, Handler> timers_;
    Incarnation* running_ = nullptr;
};

}  // namespace hamster::runtime::sim
