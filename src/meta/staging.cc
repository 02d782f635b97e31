#include "meta/staging.h"

#include <utility>

namespace hamster::meta {

namespace {
constexpr std::size_t kLargeBytes = 4U << 20;
constexpr std::size_t kRowOverheadBytes = 128;  // of a map's node
}  // namespace

void add_to(kv::Batch& batch, const Changes& changes) {
    for (const auto& [row, value] : changes) {
        if (value) {
            batch.put(row, *value);
        } else {
            batch.erase(row);
        }
    }
}

Result<std::optional<std::string>> Staging::get(const std::string& row) const {
    if (const auto change = changes_.find(row); change != changes_.end()) return change->second;
    return store_.get(row);
}

void Staging::take(Changes changes) {
    for (const auto& [row, value] : changes) {
        bytes_ += row.size() + (value ? value->size() : 0) + kRowOverheadBytes;
    }
    while (!changes.empty()) {
        auto placed = changes_.insert(changes.extract(changes.begin()));
        if (!placed.inserted) placed.position->second = std::move(placed.node.mapped());
    }
}

Result<void> Staging::write() {
    if (changes_.empty()) return {};
    const auto batch = store_.batch();
    add_to(*batch, changes_);
    TRY(store_.write(*batch));
    changes_.clear();
    bytes_ = 0;
    return {};
}

Result<void> Staging::write_if_large() {
    if (bytes_ < kLargeBytes) return {};
    return write();
}

}  // namespace hamster::meta
