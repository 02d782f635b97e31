// The steps that decide partition by partition: what breaks the spread is freed, what is free is
// given away.
#include <algorithm>
#include <numeric>
#include <optional>
#include <tuple>

#include "base/assert.h"
#include "base/partitions.h"
#include "placement/draft.h"

namespace hamster::placement {

namespace {

// Who is given places runs at most so many ahead of its share, in places: the choice among those
// that are not ahead is what spreads the pairs of nodes that share partitions.
constexpr std::uint32_t kHeadStart = 3;

// How far ahead of its share somebody is who got `given` and is due `rate` (in 2^-24 places) of
// each of the `done` places that were given away so far.
std::uint32_t ahead(std::uint32_t given, std::uint64_t rate, std::uint32_t done) {
    const auto pace = static_cast<std::uint32_t>((rate * done) >> kPlaceBits);
    return given <= pace + kHeadStart ? 0 : given - pace - kHeadStart;
}

// What somebody with `load` places who should have `share` is due of each of `all` places.
std::uint64_t rate_of(std::uint64_t share, std::uint32_t load, std::uint32_t all) {
    const std::uint64_t has = load * kOnePlace;
    return share > has && all != 0 ? (share - has) / all : 0;
}

class Filler {
  public:
    explicit Filler(Draft& draft)
        : draft_(draft), tree_(draft.tree()), spread_(tree_), costs_(tree_.nodes()) {
        std::vector<std::uint32_t> all(draft.width());  // places to give away, by slot
        for (PlaceIndex place = 0; place < draft.places(); ++place) {
            if (draft.at(place) == kNobody) ++all[draft.slot_of(place)];
        }
        const std::uint32_t sum = std::accumulate(all.begin(), all.end(), 0U);
        done_in_slot_.resize(draft.width());
        for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
            const std::uint64_t share = tree_[node].share;
            had_.push_back(draft.load(node));
            rate_.push_back(rate_of(share, had_.back(), sum));
            for (std::uint32_t slot = 0; slot < draft.width(); ++slot) {
                had_in_slot_.push_back(draft.load(node, slot));
                rate_in_slot_.push_back(
                    rate_of(share / draft.width(), had_in_slot_.back(), all[slot]));
            }
        }
    }

    void fill() {
        for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
            bool is_costed = false;
            const PlaceIndex first = draft_.first_of(partition);
            for (PlaceIndex place = first; place < first + draft_.width(); ++place) {
                if (draft_.at(place) != kNobody) continue;
                if (!is_costed) cost(partition);
                is_costed = true;
                fill(place);
            }
        }
    }

  private:
    // The lower the better: beyond its share, ahead with all its places, ahead in this slot.
    using Rank = std::tuple<bool, std::uint32_t, std::uint32_t>;

    Rank rank(PlaceIndex place, GroupIndex node) const {
        const std::uint32_t slot = draft_.slot_of(place);
        const std::size_t cell = std::size_t{node} * draft_.width() + slot;
        const std::uint32_t load = draft_.load(node);
        const std::uint32_t in_slot = draft_.load(node, slot) - had_in_slot_[cell];
        return {load >= draft_.most(node), ahead(load - had_[node], rate_[node], done_),
                ahead(in_slot, rate_in_slot_[cell], done_in_slot_[slot])};
    }

    // Who is not in the partition yet and has the best rank; of those who stands least close to
    // its zone, then has the lowest cost.
    std::optional<GroupIndex> best_for(PlaceIndex place, bool keeps_spread) {
        equals_.clear();
        Rank best;
        for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
            if (spread_.has(node) || (keeps_spread && !spread_.may_add(node))) continue;
            const Rank its = rank(place, node);
            if (equals_.empty() || its < best) {
                equals_.clear();
                best = its;
            }
            if (its == best) equals_.push_back(node);
        }
        if (equals_.empty()) return std::nullopt;
        return std::ranges::min(equals_, {}, [&](GroupIndex node) {
            return std::pair{draft_.closeness(place, node), costs_[node]};
        });
    }

    void fill(PlaceIndex place) {
        draft_.load_spread_without(place, spread_);
        auto best = best_for(place, /*keeps_spread=*/true);
        if (!best) {  // pinned places have spoilt the spread so that nobody fits in
            HAMSTER_ASSERT(has_pinned(draft_.partition_of(place)), place);
            best = best_for(place, /*keeps_spread=*/false);
        }
        HAMSTER_ASSERT(best.has_value(), place);
        draft_.give(place, *best);
        ++done_in_slot_[draft_.slot_of(place)];
        ++done_;
    }

    bool has_pinned(std::uint16_t partition) const {
        const PlaceIndex first = draft_.first_of(partition);
        for (PlaceIndex place = first; place < first + draft_.width(); ++place) {
            if (draft_.is_pinned(place)) return true;
        }
        return false;
    }

    void cost(std::uint16_t partition) {
        for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
            costs_[node] = draft_.cost(partition, node);
        }
    }

    Draft& draft_;
    const Tree& tree_;
    Spread spread_;
    std::vector<Cost> costs_;          // of the partition at hand
    std::vector<std::uint32_t> had_;   // places before
    std::vector<std::uint64_t> rate_;  // see ahead()
    std::uint32_t done_ = 0;
    std::vector<std::uint32_t> had_in_slot_;  // of each node and slot
    std::vector<std::uint64_t> rate_in_slot_;
    std::vector<std::uint32_t> done_in_slot_;
    std::vector<GroupIndex> equals_;  // of the place at hand
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
    places.reserve(ranked.size());
    for (const auto& [rank, place] : ranked) places.push_back(place);
    return places;
}

}  // namespace

// The sets of nodes that a partition can be completed from are the independent sets of a matroid,
// so that keeping greedily keeps as many as can be kept.
void free_crowded(Draft& draft) {
    Spread spread(draft.tree());
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
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
