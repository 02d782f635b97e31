// Which blobs are being read right now: those are not collected. Shared by all loops of a node,
// hence one of the few mutexes of the product; it is held for a few hash operations, never across
// a suspension.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/ids.h"

namespace hamster::objects {

class PinTable {
  public:
    void pin(const std::vector<base::BlobId>& blobs) {
        const std::lock_guard lock(mutex_);
        for (const base::BlobId& blob : blobs) ++readers_[blob];
    }
    void unpin(const std::vector<base::BlobId>& blobs) {
        const std::lock_guard lock(mutex_);
        for (const base::BlobId& blob : blobs) {
            const auto found = readers_.find(blob);
            HAMSTER_ASSERT(found != readers_.end() && found->second > 0, blob.hex());
            if (--found->second == 0) readers_.erase(found);
        }
    }
    [[nodiscard]] bool is_pinned(const base::BlobId& blob) const {
        const std::lock_guard lock(mutex_);
        return readers_.contains(blob);
    }
    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return readers_.size();
    }

  private:
    mutable std::mutex mutex_;
    std::unordered_map<base::BlobId, std::uint32_t> readers_;  // never iterated
};

// The pins of one reader.
class Pins {
  public:
    Pins(std::shared_ptr<PinTable> table, std::vector<base::BlobId> blobs)
        : table_(std::move(table)), blobs_(std::move(blobs)) {
        table_->pin(blobs_);
    }
    Pins(const Pins&) = delete;
    Pins& operator=(const Pins&) = delete;
    ~Pins() { table_->unpin(blobs_); }

  private:
    std::shared_ptr<PinTable> table_;
    std::vector<base::BlobId> blobs_;
};

}  // namespace hamster::objects
