#include "objects/placing.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/partitions.h"
#include "objects/shape.h"

namespace hamster::objects {

namespace {

// What is believed now of each node that has a slot, asked once.
class UpNodes {
  public:
    UpNodes(const LayoutTable& table, const Chooser& chooser) {
        for (const base::NodeId& node : table.nodes()) {
            if (chooser.is_up(node)) up_.push_back(node);
        }
    }
    [[nodiscard]] bool has(const base::NodeId& node) const {
        return std::ranges::binary_search(up_, node);
    }

  private:
    std::vector<base::NodeId> up_;
};

class Choice {
  public:
    Choice(const LayoutTable* table, erasure::Profile profile, const UpNodes* up)
        : table_(table), profile_(profile), up_(up) {}

    // True when nothing can be better.
    bool consider(base::BlobId blob) {
        Target target{blob, profile_, table_->version(), {}, 0};
        const auto& nodes = table_->nodes_of(base::partition_of(blob));
        if (nodes.size() < profile_.width()) return false;
        for (std::uint32_t slot = 0; slot < profile_.width(); ++slot) {
            target.nodes.push_back(nodes[slot]);
            if (!up_->has(nodes[slot])) target.missing |= 1ULL << slot;
        }
        const std::uint32_t on_leaving = leaving_of(target);
        const auto is_better = [&] {
            if (target.present() != best_->present()) return target.present() > best_->present();
            return on_leaving < on_leaving_;
        };
        if (best_ && !is_better()) return false;
        best_ = std::move(target);
        on_leaving_ = on_leaving;
        return best_->missing == 0 && on_leaving_ == 0;
    }
    [[nodiscard]] bool will_do() const { return best_ && best_->present() >= floor_of(profile_); }
    Target take() { return std::move(*best_); }

  private:
    // Shards that would soon have to move again.
    [[nodiscard]] std::uint32_t leaving_of(const Target& target) const {
        const auto& leaving = table_->leaving();
        if (leaving.empty()) return 0;
        return static_cast<std::uint32_t>(
            std::ranges::count_if(target.nodes, [&leaving](const base::NodeId& node) {
                return std::ranges::binary_search(leaving, node);
            }));
    }

    const LayoutTable* table_;
    erasure::Profile profile_;
    const UpNodes* up_;
    std::optional<Target> best_;
    std::uint32_t on_leaving_ = 0;  // of the best one
};

// Answers the last id.
base::BlobId draw(const Chooser& chooser, Choice* choice) {
    base::BlobId id;
    for (int i = 0; i < kDraws; ++i) {
        id = chooser.draw();
        if (choice->consider(id)) break;
    }
    return id;
}

// From the partition of `id` on, until one is as good as can be.
void look_at_all(base::BlobId id, Choice* choice) {
    const std::uint16_t first = base::partition_of(id);
    for (std::uint16_t i = 0; i < base::partitions(); ++i) {
        const auto partition = static_cast<std::uint16_t>((first + i) % base::partitions());
        if (choice->consider(base::in_partition(id, partition))) return;
    }
}

}  // namespace

std::uint32_t Target::present() const {
    return static_cast<std::uint32_t>(nodes.size()) -
           static_cast<std::uint32_t>(std::popcount(missing));
}

std::optional<Target> choose(const LayoutTable& table, bool is_small, const Chooser& chooser) {
    const UpNodes up(table, chooser);
    const erasure::Profile copies{1, table.profile().m};
    if (!is_small && table.profile() != copies) {
        Choice choice(&table, table.profile(), &up);
        (void)draw(chooser, &choice);
        if (choice.will_do()) return choice.take();
    }
    // With all nodes of a zone down there may be very few partitions that will do, which no luck
    // finds.
    Choice choice(&table, copies, &up);
    const base::BlobId last = draw(chooser, &choice);
    if (!choice.will_do()) look_at_all(last, &choice);
    if (!choice.will_do()) return std::nullopt;
    return choice.take();
}

}  // namespace hamster::objects
