// Shards of this node that were found damaged or missing while they were read, until repair has
// looked at them. Any loop: a mutex, held for a few operations on the set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "shards/store.h"

namespace hamster::objects {

class Suspects {
  public:
    // Remembered at once, 6 MB or so. Others are noticed again by the next read, or by the scrub.
    static constexpr std::size_t kMax = 64 * 1024;

    // `bytes` of the shard, 0 if it is not there. False: it is noted already, or there is no room.
    bool note(const shards::ShardId& shard, std::uint64_t bytes) {
        const std::lock_guard lock(mutex_);
        if (shards_.size() >= kMax || !shards_.emplace(shard, bytes).second) return false;
        bytes_ += bytes;
        return true;
    }
    void erase(const shards::ShardId& shard) {
        const std::lock_guard lock(mutex_);
        const auto found = shards_.find(shard);
        if (found == shards_.end()) return;
        bytes_ -= found->second;
        shards_.erase(found);
    }
    // The first one after `after` (nullopt: of all), in id order.
    [[nodiscard]] std::optional<shards::ShardId> next(std::optional<shards::ShardId> after) const {
        const std::lock_guard lock(mutex_);
        const auto found = after ? shards_.upper_bound(*after) : shards_.begin();
        if (found == shards_.end()) return std::nullopt;
        return found->first;
    }
    struct Size {
        std::size_t shards = 0;
        std::uint64_t bytes = 0;
    };
    [[nodiscard]] Size size() const {
        const std::lock_guard lock(mutex_);
        return {shards_.size(), bytes_};
    }

  private:
    mutable std::mutex mutex_;
    std::map<shards::ShardId, std::uint64_t> shards_;
    std::uint64_t bytes_ = 0;
};

}  // namespace hamster::objects
