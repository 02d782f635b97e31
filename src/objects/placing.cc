#include "objects/placing.h"

#include <algorithm>
#include <bit>
#include <utility>

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

std::optional<Target> choose_for(const LayoutTable& table, erasure::Profile profile,
                                 const UpNodes& up, const Chooser& chooser) {
    std::optional<Target> best;
    for (int i = 0; i < kDraws; ++i) {
        Target target{chooser.draw(), profile, table.version(), {}, 0};
        const auto& nodes = table.nodes_of(base::partition_of(target.blob));
        if (nodes.size() < profile.width()) continue;
        for (std::uint32_t slot = 0; slot < profile.width(); ++slot) {
            target.nodes.push_back(nodes[slot]);
            if (!up.has(nodes[slot])) target.missing |= 1ULL << slot;
        }
        if (best && target.present() <= best->present()) continue;
        best = std::move(target);
        if (best->missing == 0) break;
    }
    if (best && best->present() < floor_of(profile)) best.reset();
    return best;
}

}  // namespace

std::uint32_t Target::present() const {
    return static_cast<std::uint32_t>(nodes.size()) -
           static_cast<std::uint32_t>(std::popcount(missing));
}

std::optional<Target> choose(const LayoutTable& table, bool is_small, const Chooser& chooser) {
    const UpNodes up(table, chooser);
    const erasure::Profile copies{1, table.profile().m};
    if (!is_small) {
        auto target = choose_for(table, table.profile(), up, chooser);
        if (target || table.profile() == copies) return target;
    }
    return choose_for(table, copies, up, chooser);
}

}  // namespace hamster::objects
