#include "runtime/waiter.h"

#include <vector>

#include "base/assert.h"

namespace hamster::runtime {

WaiterRegistry*& WaiterRegistry::current() {
    thread_local WaiterRegistry* registry = nullptr;
    return registry;
}

bool& WaiterRegistry::abandoning() {
    thread_local bool value = false;
    return value;
}

Waiter::Waiter(std::unique_ptr<Suspended> suspended)
    : suspended_(std::move(suspended)), registry_(WaiterRegistry::current()) {
    if (registry_ == nullptr) return;
    next_ = registry_->head_;
    if (next_ != nullptr) next_->previous_ = this;
    registry_->head_ = this;
}

Waiter::~Waiter() { take(); }

std::unique_ptr<Suspended> Waiter::take() {
    if (registry_ != nullptr) {
        if (previous_ != nullptr) {
            previous_->next_ = next_;
        } else {
            registry_->head_ = next_;
        }
        if (next_ != nullptr) next_->previous_ = previous_;
        registry_ = nullptr;
        previous_ = next_ = nullptr;
    }
    return std::move(suspended_);
}

void Waiter::resume() {
    auto suspended = take();
    if (suspended != nullptr) suspended->resume();
}

WaiterRegistry::~WaiterRegistry() { HAMSTER_ASSERT(head_ == nullptr); }

void WaiterRegistry::abandon_all() {
    const bool before = std::exchange(abandoning(), true);
    // Destroying one frame may destroy lists that hold others: take all of them out first.
    std::vector<std::unique_ptr<Suspended>> frames;
    while (head_ != nullptr) {
        frames.push_back(head_->take());
    }
    frames.clear();
    abandoning() = before;
}

void WaiterList::wake_one() {
    while (!waiters_.empty()) {
        auto waiter = std::move(waiters_.front());
        waiters_.pop_front();
        auto suspended = waiter->take();
        if (suspended == nullptr) continue;
        suspended->resume();
        return;
    }
}

void WaiterList::wake_all() {
    auto waiters = std::exchange(waiters_, {});
    for (auto& waiter : waiters) {
        waiter->resume();
    }
}

}  // namespace hamster::runtime
