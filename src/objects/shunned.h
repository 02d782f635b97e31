// Nodes that took nothing a moment ago: one that has just gone, is stuck, or whose disk is full.
// Bodies go elsewhere for a while, if there is a choice; reads do not mind. Any thread; the mutex
// is held for a moment.
#pragma once

#include <map>
#include <mutex>

#include "base/ids.h"
#include "runtime/world.h"

namespace hamster::objects {

class ShunnedNodes {
  public:
    static constexpr runtime::Micros kStuck = std::chrono::seconds(5);
    static constexpr runtime::Micros kFull = std::chrono::seconds(10);
    static constexpr runtime::Micros kGone = std::chrono::seconds(1);

    void add_stuck(const base::NodeId& node, runtime::Time now) {
        const std::lock_guard lock(mutex_);
        nodes_[node] = {now + kStuck, false};
    }
    void add_gone(const base::NodeId& node, runtime::Time now) {
        const std::lock_guard lock(mutex_);
        Shunned& it = nodes_[node];
        if (it.until < now + kGone) it = {now + kGone, false};  // not instead of what lasts longer
    }
    void add_full(const base::NodeId& node, runtime::Time now) {
        const std::lock_guard lock(mutex_);
        nodes_[node] = {now + kFull, true};
    }
    [[nodiscard]] bool has(const base::NodeId& node, runtime::Time now) const {
        const std::lock_guard lock(mutex_);
        const auto found = nodes_.find(node);
        return found != nodes_.end() && now < found->second.until;
    }
    [[nodiscard]] bool is_full(const base::NodeId& node, runtime::Time now) const {
        const std::lock_guard lock(mutex_);
        const auto found = nodes_.find(node);
        return found != nodes_.end() && found->second.is_full && now < found->second.until;
    }

  private:
    struct Shunned {
        runtime::Time until;
        bool is_full = false;
    };
    mutable std::mutex mutex_;
    std::map<base::NodeId, Shunned> nodes_;  // of members, so not many
};

}  // namespace hamster::objects
