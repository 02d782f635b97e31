// Who looks at the clock while something is under way: writes and reads that wait for other nodes.
// One task per loop does it for all of them, and only while there are any: a timer for each slice
// would outlive most of them. One loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/assert.h"
#include "runtime/world.h"

namespace hamster::objects {

// How often they look.
inline constexpr runtime::Micros kTick = std::chrono::milliseconds(50);

class Watched {
  public:
    virtual ~Watched() = default;
    // Must not wait.
    virtual void on_tick(runtime::Time now) = 0;
};

class WatchList {
  public:
    [[nodiscard]] bool empty() const { return watched_.empty(); }
    // Whether one looks now: set by who starts it, cleared by it when the list is empty.
    bool has_ticker = false;

    std::uint64_t add(Watched* watched) {
        watched_.emplace(next_, watched);
        return next_++;
    }
    void remove(std::uint64_t number) {
        const std::size_t removed = watched_.erase(number);
        HAMSTER_ASSERT(removed == 1, number);
    }
    // They may come and go meanwhile.
    void tick(runtime::Time now) {
        for (auto at = watched_.begin(); at != watched_.end();) {
            const std::uint64_t number = at->first;
            at->second->on_tick(now);
            at = watched_.upper_bound(number);
        }
    }

  private:
    std::map<std::uint64_t, Watched*> watched_;
    std::uint64_t next_ = 0;
};

// On the list while it lives. Shares it, because in a simulated crash it may go after the loop.
class Watch {
  public:
    Watch(std::shared_ptr<WatchList> list, Watched* watched)
        : list_(std::move(list)), number_(list_->add(watched)) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() { list_->remove(number_); }

  private:
    std::shared_ptr<WatchList> list_;
    std::uint64_t number_;
};

}  // namespace hamster::objects
