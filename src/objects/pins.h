// Which blobs are being read right now: those are not collected. Three tables, shared by all loops
// of a node, hence some of the few mutexes of the product; each is held for a few operations on its
// container, never across a suspension.
//
// - PinTable: what readers of this node have open, wherever it lies.
// - AwayTable: those of them that lie on another node, to be told to that node now and then.
// - KeptTable: what readers of other nodes have open here, as far as they said so lately.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/ids.h"
#include "runtime/world.h"

namespace hamster::objects {

class PinTable {
  public:
    using Key = base::BlobId;

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

struct AwayBlob {
    base::NodeId holder;
    base::BlobId blob;
    auto operator<=>(const AwayBlob&) const = default;
};

class AwayTable {
  public:
    using Key = AwayBlob;

    void pin(const std::vector<AwayBlob>& blobs) {
        const std::lock_guard lock(mutex_);
        for (const AwayBlob& blob : blobs) ++readers_[blob];
    }
    void unpin(const std::vector<AwayBlob>& blobs) {
        const std::lock_guard lock(mutex_);
        for (const AwayBlob& blob : blobs) {
            const auto found = readers_.find(blob);
            HAMSTER_ASSERT(found != readers_.end() && found->second > 0, blob.blob.hex());
            if (--found->second == 0) readers_.erase(found);
        }
    }
    // The first holder after `after` (nullopt: of all) of anything that is being read.
    [[nodiscard]] std::optional<base::NodeId> next_holder(std::optional<base::NodeId> after) const;
    // Up to `limit` blobs of a holder in id order, starting after `after` (nullopt: the first).
    [[nodiscard]] std::vector<base::BlobId> blobs_of(base::NodeId holder,
                                                     std::optional<base::BlobId> after,
                                                     std::size_t limit) const;

  private:
    mutable std::mutex mutex_;
    std::map<AwayBlob, std::uint32_t> readers_;
};

// Remembers what is kept for kKept after the last mention, and up to twice as long. In two
// generations, so that nothing has to be searched for what has expired.
class KeptTable {
  public:
    static constexpr runtime::Micros kKept = std::chrono::seconds(60);
    // Blobs of one generation, 12 MB or so. Once it is full, everything counts as kept until the
    // generation has passed: garbage waits, nobody loses what he reads.
    static constexpr std::size_t kMaxBlobs = 256 * 1024;

    // `after_start`: everything is kept at first, because what other nodes said to the process
    // before this one is forgotten.
    KeptTable(runtime::Time now, bool after_start) : turned_at_(now) { old_.all = after_start; }

    void keep(const std::vector<base::BlobId>& blobs, runtime::Time now);
    [[nodiscard]] bool is_kept(const base::BlobId& blob, runtime::Time now);

  private:
    struct Generation {
        std::unordered_set<base::BlobId> blobs;  // never iterated
        bool all = false;
    };
    // Answers what has expired, to be destroyed without the mutex.
    std::vector<Generation> turn(runtime::Time now);

    std::mutex mutex_;
    runtime::Time turned_at_;
    Generation young_;
    Generation old_;
};

// What one reader has in a PinTable or AwayTable while it lives.
template <class Table>
class PinnedIn {
  public:
    PinnedIn(std::shared_ptr<Table> table, std::vector<typename Table::Key> blobs)
        : table_(std::move(table)), blobs_(std::move(blobs)) {
        table_->pin(blobs_);
    }
    PinnedIn(const PinnedIn&) = delete;
    PinnedIn& operator=(const PinnedIn&) = delete;
    ~PinnedIn() { table_->unpin(blobs_); }

  private:
    std::shared_ptr<Table> table_;
    std::vector<typename Table::Key> blobs_;
};
using Pins = PinnedIn<PinTable>;
using AwayPins = PinnedIn<AwayTable>;

}  // namespace hamster::objects
