#include "objects/pins.h"

namespace hamster::objects {

std::optional<base::NodeId> AwayTable::next_holder(std::optional<base::NodeId> after) const {
    base::BlobId last;
    last.raw.fill(std::byte{0xFF});
    const std::lock_guard lock(mutex_);
    const auto found = after ? readers_.upper_bound({*after, last}) : readers_.begin();
    if (found == readers_.end()) return std::nullopt;
    return found->first.holder;
}

std::vector<base::BlobId> AwayTable::blobs_of(base::NodeId holder,
                                              std::optional<base::BlobId> after,
                                              std::size_t limit) const {
    std::vector<base::BlobId> blobs;
    const std::lock_guard lock(mutex_);
    auto at = after ? readers_.upper_bound({holder, *after})
                    : readers_.lower_bound({holder, base::BlobId{}});
    for (; at != readers_.end() && blobs.size() < limit; ++at) {
        if (at->first.holder != holder) break;
        blobs.push_back(at->first.blob);
    }
    return blobs;
}

std::vector<KeptTable::Generation> KeptTable::turn(runtime::Time now) {
    std::vector<Generation> expired;
    while (now - turned_at_ >= kKept) {
        const bool is_long_ago = now - turned_at_ >= 3 * kKept;
        turned_at_ = is_long_ago ? now : turned_at_ + kKept;
        expired.push_back(std::exchange(old_, std::exchange(young_, {})));
        if (is_long_ago) expired.push_back(std::exchange(old_, {}));
    }
    return expired;
}

void KeptTable::keep(const std::vector<base::BlobId>& blobs, runtime::Time now) {
    std::vector<Generation> expired;
    const std::lock_guard lock(mutex_);
    expired = turn(now);
    for (const base::BlobId& blob : blobs) {
        if (young_.blobs.size() == kMaxBlobs && !young_.blobs.contains(blob)) {
            young_.all = true;
            return;
        }
        young_.blobs.insert(blob);
    }
}

bool KeptTable::is_kept(const base::BlobId& blob, runtime::Time now) {
    std::vector<Generation> expired;
    const std::lock_guard lock(mutex_);
    expired = turn(now);
    return young_.all || old_.all || young_.blobs.contains(blob) || old_.blobs.contains(blob);
}

}  // namespace hamster::objects
