// The steps that decide partition by partition: what breaks the spread is freed, what is free is
// given away.
#include <algorithm>
#include <optional>
#include <tuple>

#include "base/assert.h"
#include "placement/draft.h"

namespace hamster::placement {

namespace {

// Who is given places runs at most so many ahead of its share, in places: the choice among those
// that are not ahead is what spreads the pairs of nodes that share partitions.
constexpr std::uint32_t kHeadStart = 3;

// How far ahead of its share somebody is who got `given` of `due` (in 2^-24 places), after `done`
// of `all` places were given away.
std::uint32_t ahead(std::uint32_t given, std::uint64_t due, std::uint32_t done, std::uint32_t all) {
    const auto pace = static_cast<std::uint32_t>((due / all * done) >> kPlaceBits);
    return given <= pace + kHeadStart ? 0 : given - pace - kHeadStart;
}

std::uint64_t shortfall(std::uint64_t share, std::uint32_t load) {
    const std::uint64_t has = load * kOnePlace;
    return share > has ? share - has : 0;
}

class Filler {
  public:
    explicit Filler(Draft& draft)
        : draft_(draft), tree_(draft.tree()), spread_(tree_), costs_(tree_.nodes()) {
        all_.resize(draft.width());
        done_.resize(draft.width());
        for (PlaceIndex place = 0; place < draft.places(); ++place) {
            if (draft.at(place) == kNobody) ++all_[draft.slot_of(place)];
        }
        for (const std::uint32_t all : all_) all_places_ += all;
        for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
            due_.push_back(shortfall(tree_[node].share, draft.load(node)));
            had_.push_back(draft.load(node));
            for (std::uint32_t slot = 0; slot < draft.width(); ++slot) {
                const std::uint32_t load = draft.load(node, slot);
                slot_due_.push_back(shortfall(tree_[node].share / draft.width(), load));
                slot_had_.push_back(load);
            }
        }
    }

    void fill() {
        for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
            is_costed_ = false;
            const PlaceIndex first = draft_.first_of(partition);
            for (PlaceIndex place = first; place < first + draft_.width(); ++place) {
                if (draft_.at(place) == kNobody) fill(place);
            }
        }
    }

  private:
    // The lower the better: beyond its share, ahead with all its places, ahead in this slot, cost.
    using Rank = std::tuple<bool, std::uint32_t, std::uint32_t, Cost>;

    Rank rank(PlaceIndex place, GroupIndex node) const {
        const std::uint32_t slot = draft_.slot_of(place);
        const std::size_t cell = std::size_t{node} * draft_.width() + slot;
        const std::uint32_t load = draft_.load(node);
        const std::uint32_t in_slot = draft_.load(node, slot) - slot_had_[cell];
        return {load >= draft_.most(node),
                ahead(load - had_[node], due_[node], done_places_, all_places_),
                ahead(in_slot, slot_due_[cell], done_[slot], all_[slot]), costs_[node]};
    }

    void fill(PlaceIndex place) {
        const std::uint16_t partition = draft_.partition_of(place);
        if (!is_costed_) cost(partition);
        draft_.load_spread_without(place, spread_);
        std::optional<std::pair<Rank, GroupIndex>> best;
        bool has_pin = false;
        for (const bool whatever_the_spread : {false, true}) {
            for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
                if (draft_.holds(partition, node)) continue;
                if (!whatever_the_spread && !spread_.may_add(node)) continue;
                const Rank its = rank(place, node);
                if (!best || its < best->first) best.emplace(its, node);
            }
            if (best) break;
            // Only pinned places can have spoilt the spread so that nobody fits in.
            const PlaceIndex first = draft_.first_of(partition);
            for (PlaceIndex other = first; other < first + draft_.width(); ++other) {
                has_pin = has_pin || draft_.is_pinned(other);
            }
            HAMSTER_ASSERT(has_pin, partition);
        }
        HAMSTER_ASSERT(best.has_value(), partition);
        draft_.give(place, best->second);
        ++done_[draft_.slot_of(place)];
        ++done_places_;
    }

    void cost(std::uint16_t partition) {
        for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
            costs_[node] = draft_.cost(partition, node);
        }
        is_costed_ = true;
    }

    Draft& draft_;
    const Tree& tree_;
    Spread spread_;
    std::vector<Cost> costs_;  // of the partition at hand, when is_costed_
    bool is_costed_ = false;
    std::vector<std::uint32_t> all_;  // places to give away, by slot
    std::vector<std::uint32_t> done_;
    std::uint32_t all_places_ = 0;
    std::uint32_t done_places_ = 0;
    std::vector<std::uint64_t> due_;  // to each node, in 2^-24 places
    std::vector<std::uint32_t> had_;
    std::vector<std::uint64_t> slot_due_;  // to each node in each slot
    std::vector<std::uint32_t> slot_had_;
};

// The places of a partition, those first that should stay: pinned, then of nodes that have not too
// many places, not too many in the slot, then of the lowest cost.
std::vector<PlaceIndex> by_right_to_stay(const Draft& draft, std::uint16_t partition) {
    using Rank = std::tuple<bool, bool, bool, Cost>;
    std::vector<std::pair<Rank, PlaceIndex>> ranked;
    for (std::uint32_t slot = 0; slot < draft.width(); ++slot) {
        const PlaceIndex place = draft.first_of(partition) + slot;
        const GroupIndex node = draft.at(place);
        if (node == kNobody) continue;
        ranked.emplace_back(
            Rank{!draft.is_pinned(place), draft.load(node) > draft.most(node),
                 draft.load(node, slot) > draft.slot_most(node), draft.cost(partition, node)},
            place);
    }
    std::ranges::sort(ranked);
    std::vector<PlaceIndex> places;
    for (const auto& [rank, place] : ranked) places.push_back(place);
    return places;
}

}  // namespace

// The sets of nodes that a partition can be completed from are the independent sets of a matroid,
// so that keeping greedily keeps as many as can be kept.
void free_crowded(Draft& draft) {
    Spread spread(draft.tree());
    for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
        spread.clear();
        for (const PlaceIndex place : by_right_to_stay(draft, partition)) {
            if (draft.is_pinned(place) || spread.may_add(draft.at(place))) {
                spread.add(draft.at(place));
            } else {
                draft.take(place);
            }
        }
    }
}

void fill(Draft& draft) { Filler(draft).fill(); }

}  // namespace hamster::placement
