// The layout as a node saw it a moment ago, ready for choosing where new blobs go. It is a hint: a
// commit names the version its shards were written under, and is refused when the partition has
// changed since (docs/adr/0015).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "erasure/codec.h"
#include "meta/view.h"
#include "runtime/world.h"

namespace hamster::objects {

// Immutable once it has been read; any thread.
class LayoutTable {
  public:
    // `partitions`: the nodes of each, or one entry that holds for all of them. `leaving`: in id
    // order.
    LayoutTable(std::uint64_t version, erasure::Profile profile,
                std::vector<std::vector<base::NodeId>> partitions,
                std::vector<base::NodeId> leaving = {});
    // As a view has it. Lets others have the loop now and then.
    static runtime::Task<Result<std::shared_ptr<const LayoutTable>>> read(runtime::World* world,
                                                                          meta::View view);

    [[nodiscard]] std::uint64_t version() const { return version_; }
    // Of new blobs that are not small.
    [[nodiscard]] erasure::Profile profile() const { return profile_; }
    // Slot i of the partition is on the node at i.
    [[nodiscard]] const std::vector<base::NodeId>& nodes_of(std::uint16_t partition) const {
        return partitions_.size() == 1 ? partitions_.front() : partitions_[partition];
    }
    // All members that have a slot, in id order. Nodes that are gone for good may have slots, too,
    // until there are others for these.
    [[nodiscard]] const std::vector<base::NodeId>& nodes() const { return nodes_; }
    // Members that are leaving, in id order. They have slots until old blobs need these no more.
    [[nodiscard]] const std::vector<base::NodeId>& leaving() const { return leaving_; }
    // The same as a view has it.
    static Result<std::vector<base::NodeId>> leaving_of(const meta::View& view);

  private:
    Result<void> forget_strangers(const meta::View& view);

    std::uint64_t version_;
    erasure::Profile profile_;
    std::vector<std::vector<base::NodeId>> partitions_;
    std::vector<base::NodeId> nodes_;
    std::vector<base::NodeId> leaving_;
};

// The latest table, shared by the loops of a node. Any thread; the mutex is held for a moment.
class LayoutCache {
  public:
    // How long a table is used without asking whether it is still the one.
    static constexpr runtime::Micros kFresh = std::chrono::seconds(1);

    [[nodiscard]] std::shared_ptr<const LayoutTable> table() const {
        const std::lock_guard lock(mutex_);
        return table_;
    }
    // True for one caller at a time once the table is old: it shall look again, and then put().
    bool wants_refresh(runtime::Time now) {
        const std::lock_guard lock(mutex_);
        if (table_ && (refreshing_ || now - read_at_ < kFresh)) return false;
        refreshing_ = true;
        return true;
    }
    // The table is known to be old.
    void age() {
        const std::lock_guard lock(mutex_);
        read_at_ = {INT64_MIN / 2};
    }
    // Null: it could not be read; the next one tries again.
    void put(std::shared_ptr<const LayoutTable> table, runtime::Time now);

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const LayoutTable> table_;
    runtime::Time read_at_{};
    bool refreshing_ = false;
};

}  // namespace hamster::objects
