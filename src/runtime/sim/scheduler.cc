#include "runtime/sim/scheduler.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/assert.h"

namespace hamster::runtime::sim {

// How many of the oldest ready handlers a permuting scheduler chooses from.
static constexpr std::size_t kPermuteWindow = 8;

void SimExecutor::enqueue(Action action) const {
    incarnation_->scheduler->enqueue(incarnation_, std::move(action));
}

Scheduler::Scheduler(std::uint64_t seed)
    : trace_(mix64(seed)), random_(Prng::split(seed, "scheduler")) {
    // A quarter of the seeds keep the order of a real event loop.
    permute_ = random_.below(4) != 0;
}

Scheduler::~Scheduler() { HAMSTER_ASSERT(ready_.empty() && timers_.empty()); }

Incarnation* Scheduler::begin() {
    auto* incarnation = new Incarnation(this, next_incarnation_++);
    incarnation->references = 1;  // released by end()
    trace(incarnation->id);
    return incarnation;
}

void Scheduler::end(Incarnation* incarnation, const std::function<void()>& teardown) {
    HAMSTER_ASSERT(running_ == nullptr);  // from outside any frame
    HAMSTER_ASSERT(incarnation->scheduler == this);
    const bool before = std::exchange(WaiterRegistry::abandoning(), true);
    incarnation->scheduler = nullptr;
    // Out of the containers first: destroying one frame may reach into any of them.
    std::deque<Action> doomed = std::exchange(incarnation->parked, {});
    take_ready(incarnation, doomed);
    for (auto timer = timers_.begin(); timer != timers_.end();) {
        const auto next = std::next(timer);
        if (timer->second.owner == incarnation) {
            doomed.push_back(std::move(timer->second.action));
            timers_.erase(timer);
        }
        timer = next;
    }
    incarnation->registry.abandon_all();
    doomed.clear();
    if (teardown) teardown();
    HAMSTER_ASSERT(incarnation->registry.empty(), incarnation->id);
    HAMSTER_ASSERT(incarnation->frames == 0, incarnation->id, incarnation->frames);
    WaiterRegistry::abandoning() = before;
    if (--incarnation->references == 0) delete incarnation;
}

void Scheduler::take_ready(const Incarnation* owner, std::deque<Action>& out) {
    std::erase_if(ready_, [&](Handler& handler) {
        if (handler.owner != owner) return false;
        out.push_back(std::move(handler.action));
        return true;
    });
}

void Scheduler::pause(Incarnation* incarnation) {
    HAMSTER_ASSERT(incarnation->scheduler == this && !incarnation->paused, incarnation->id);
    trace("pause");
    incarnation->paused = true;
    take_ready(incarnation, incarnation->parked);
}

void Scheduler::resume(Incarnation* incarnation) {
    HAMSTER_ASSERT(incarnation->scheduler == this && incarnation->paused, incarnation->id);
    trace("resume");
    incarnation->paused = false;
    for (Action& action : std::exchange(incarnation->parked, {})) {
        enqueue(incarnation, std::move(action));
    }
}

void Scheduler::enqueue(Incarnation* owner, Action action) {
    HAMSTER_ASSERT(owner->scheduler == this, owner->id);
    if (owner->paused) {
        owner->parked.push_back(std::move(action));
        return;
    }
    ready_.push_back(Handler{owner, std::move(action)});
}

void Scheduler::at(Time time, Incarnation* owner, Action action) {
    HAMSTER_ASSERT(owner->scheduler == this, owner->id);
    timers_.emplace(std::pair(std::max(time, now_), sequence_++),
                    Handler{owner, std::move(action)});
}

Task<void> Scheduler::sleep(Micros duration) {
    return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [this](auto handler, Time wake) {
            HAMSTER_ASSERT(running_ != nullptr);
            using Held = SuspendedHandler<decltype(handler)>;
            auto held = std::make_unique<Held>(std::move(handler));
            at(wake, running_, [held = std::move(held)] { held->resume(); });
        },
        asio::use_awaitable, now_ + std::max(duration, Micros(0)));
}

Time Scheduler::next_time() const {
    if (!ready_.empty()) return now_;
    return timers_.empty() ? Time::never() : timers_.begin()->first.first;
}

void Scheduler::run(Handler handler) {
    trace(static_cast<std::uint64_t>(now_.us) << 16 | handler.owner->id);
    running_ = handler.owner;
    auto* registry = std::exchange(WaiterRegistry::current(), &handler.owner->registry);
    handler.action();
    handler.action = nullptr;  // what it still holds is destroyed as this incarnation
    WaiterRegistry::current() = registry;
    running_ = nullptr;
}

bool Scheduler::step() {
    HAMSTER_ASSERT(running_ == nullptr);  // handlers do not step
    if (!ready_.empty()) {
        std::size_t chosen = 0;
        if (permute_) chosen = random_.below(std::min(ready_.size(), kPermuteWindow));
        const auto at = ready_.begin() + static_cast<std::ptrdiff_t>(chosen);
        Handler handler = std::move(*at);
        ready_.erase(at);
        run(std::move(handler));
        return true;
    }
    if (timers_.empty()) return false;
    auto timer = timers_.extract(timers_.begin());
    now_ = timer.key().first;
    Handler& due = timer.mapped();
    if (due.owner->paused) {
        due.owner->parked.push_back(std::move(due.action));
    } else {
        run(std::move(due));
    }
    return true;
}

}  // namespace hamster::runtime::sim
