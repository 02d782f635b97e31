// The one list every suspended task of ours waits on. A waiter registers with the registry of the
// incarnation (simulation) or loop (production) that suspended it, so that a crash, or the end of
// the process, can take every frame out of its containers and destroy it without resuming it.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <memory>
#include <utility>

#include "runtime/task.h"

namespace hamster::runtime {

class WaiterRegistry;

// A type-erased completion handler: owns the suspended frames until resumed or destroyed.
class Suspended {
  public:
    virtual ~Suspended() = default;
    virtual void resume() = 0;  // posts to the frame's own loop
};

template <class Handler>
class SuspendedHandler final : public Suspended {
  public:
    explicit SuspendedHandler(Handler handler) : handler_(std::move(handler)) {}
    void resume() override {
        auto executor = asio::get_associated_executor(handler_);
        asio::post(executor, std::move(handler_));
    }

  private:
    Handler handler_;
};

// A slot that holds one suspended task; linked into its registry while it does.
class Waiter {
  public:
    explicit Waiter(std::unique_ptr<Suspended> suspended);
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter();
    void resume();
    std::unique_ptr<Suspended> take();

  private:
    friend class WaiterRegistry;
    std::unique_ptr<Suspended> suspended_;
    WaiterRegistry* registry_ = nullptr;
    Waiter* previous_ = nullptr;
    Waiter* next_ = nullptr;
};

// All waiters of one simulated incarnation, or of one loop in production.
class WaiterRegistry {
  public:
    WaiterRegistry() = default;
    WaiterRegistry(const WaiterRegistry&) = delete;
    WaiterRegistry& operator=(const WaiterRegistry&) = delete;
    ~WaiterRegistry();
    // Crash: destroys every suspended frame; nothing is resumed.
    void abandon_all();
    [[nodiscard]] bool empty() const { return head_ == nullptr; }

    // Of the handler running on this thread now; null where nothing needs it.
    static WaiterRegistry*& current();
    // True on this thread while abandon_all(), or the teardown after it, runs.
    static bool& abandoning();

  private:
    friend class Waiter;
    Waiter* head_ = nullptr;
};

// First in, first out. One loop.
class WaiterList {
  public:
    Task<void> wait() {
        return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
            [this](auto handler) {
                using Handler = decltype(handler);
                waiters_.push_back(std::make_unique<Waiter>(
                    std::make_unique<SuspendedHandler<Handler>>(std::move(handler))));
            },
            asio::use_awaitable);
    }
    void wake_one();
    void wake_all();
    [[nodiscard]] bool empty() const { return waiters_.empty(); }

  private:
    std::deque<std::unique_ptr<Waiter>> waiters_;
};

}  // namespace hamster::runtime
