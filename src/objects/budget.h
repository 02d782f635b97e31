// Memory of bodies in flight, bounded for the whole node (design invariant 11). Any loop: one
// atomic counter, no locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/assert.h"

namespace hamster::objects {

class MemoryBudget {
  public:
    explicit MemoryBudget(std::uint64_t limit) : limit_(limit) {}
    [[nodiscard]] std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t limit() const { return limit_; }

    // `leave`: so much has to stay free.
    bool try_take(std::uint64_t bytes, std::uint64_t leave = 0) {
        std::uint64_t used = used_.load(std::memory_order_relaxed);
        do {
            if (bytes + leave > limit_ - used) return false;
        } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
        return true;
    }
    void give(std::uint64_t bytes) {
        const std::uint64_t before = used_.fetch_sub(bytes, std::memory_order_relaxed);
        HAMSTER_ASSERT(before >= bytes, before, bytes);
    }

  private:
    const std::uint64_t limit_;
    std::atomic<std::uint64_t> used_{0};
};

// A share of the budget, given back when it goes away. Shares ownership of the budget, because a
// reader may be destroyed after the service in a simulated crash.
class Lease {
  public:
    explicit Lease(std::shared_ptr<MemoryBudget> budget) : budget_(std::move(budget)) {}
    Lease(Lease&& other) noexcept
        : budget_(std::move(other.budget_)), bytes_(std::exchange(other.bytes_, 0)) {}
    Lease& operator=(Lease&&) = delete;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { shrink_to(0); }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    // Takes what is missing up to `bytes`; false (and nothing taken) when there is no room.
    bool grow_to(std::uint64_t bytes) {
        if (bytes <= bytes_) return true;
        if (!budget_->try_take(bytes - bytes_)) return false;
        bytes_ = bytes;
        return true;
    }
    // The same for what only makes things faster: half of the budget stays free, so that
    // bodies which are under way for long leave others room to begin.
    bool widen_to(std::uint64_t bytes) {
        if (bytes <= bytes_) return true;
        if (!budget_->try_take(bytes - bytes_, budget_->limit() / 2)) return false;
        bytes_ = bytes;
        return true;
    }
    void shrink_to(std::uint64_t bytes) {
        if (bytes >= bytes_) return;
        budget_->give(bytes_ - bytes);
        bytes_ = bytes;
    }

  private:
    std::shared_ptr<MemoryBudget> budget_;
    std::uint64_t bytes_ = 0;
};

}  // namespace hamster::objects
