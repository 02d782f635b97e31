// The step that makes the loads of the nodes even.
#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "base/assert.h"
#include "placement/draft.h"

namespace hamster::placement {

namespace {

// Of how many places in a slot a node gives some away: more than its share, its share, any.
enum class Slots : std::uint8_t { kTooMany, kEnough, kAny };

class Balancer {
  public:
    explicit Balancer(Draft& draft) : draft_(draft), tree_(draft.tree()), spread_(tree_) {}

    void balance() {
        for (const Scope scope : {Scope::kNew, Scope::kAll}) {
            for (const Slots slots : {Slots::kTooMany, Slots::kEnough, Slots::kAny}) {
                for (GroupIndex node = 0; node < tree_.nodes(); ++node) draw(node, scope, slots);
            }
            while (pass_along(scope, &Balancer::has_too_many, &Balancer::has_too_few)) {
            }
            while (pass_along(scope, &Balancer::has_too_many, &Balancer::can_take)) {
            }
            while (pass_along(scope, &Balancer::can_give, &Balancer::has_too_few)) {
            }
        }
    }

  private:
    using Predicate = bool (Balancer::*)(GroupIndex) const;
    bool has_too_many(GroupIndex node) const { return draft_.load(node) > draft_.most(node); }
    bool has_too_few(GroupIndex node) const { return draft_.load(node) < draft_.least(node); }
    bool can_give(GroupIndex node) const { return draft_.load(node) > draft_.least(node); }
    bool can_take(GroupIndex node) const { return draft_.load(node) < draft_.most(node); }

    // Whether `node` may have the place instead of who has it.
    bool may_pass(PlaceIndex place, GroupIndex node) {
        if (draft_.holds(draft_.partition_of(place), node)) return false;
        draft_.load_spread_without(place, spread_);
        return spread_.may_add(node);
    }

    // Who has too few takes from those that have too many, those places first where it stands no
    // closer to its zone than the giver, then for which its cost is the lowest.
    void draw(GroupIndex taker, Scope scope, Slots slots) {
        if (!has_too_few(taker)) return;
        std::vector<std::tuple<std::uint32_t, Cost, PlaceIndex>> offers;
        for (PlaceIndex place = 0; place < draft_.places(); ++place) {
            if (!draft_.is_in(scope, place) || !is_offered(place, taker, slots)) continue;
            offers.emplace_back(closer_by(place, taker),
                                draft_.cost(draft_.partition_of(place), taker), place);
        }
        std::ranges::sort(offers);
        for (const auto& [closer, cost, place] : offers) {
            if (!has_too_few(taker)) return;
            if (is_offered(place, taker, slots) && may_pass(place, taker)) {
                draft_.pass(place, taker);
            }
        }
    }

    bool is_offered(PlaceIndex place, GroupIndex taker, Slots slots) const {
        const GroupIndex giver = draft_.at(place);
        const std::uint32_t slot = draft_.slot_of(place);
        if (giver == taker || !has_too_many(giver)) return false;
        if (slots == Slots::kAny) return true;
        const std::uint32_t enough =
            slots == Slots::kTooMany ? draft_.slot_most(giver) : draft_.slot_least(giver);
        return draft_.load(giver, slot) > enough &&
               draft_.load(taker, slot) < draft_.slot_most(taker);
    }

    std::uint32_t closer_by(PlaceIndex place, GroupIndex taker) const {
        const std::uint32_t now = draft_.closeness(place, draft_.at(place));
        const std::uint32_t then = draft_.closeness(place, taker);
        return then > now ? then - now : 0;
    }

    // Along the best chain of nodes from a source to a target each passes a place on to the next,
    // so that only the loads of its ends change. False: there is no chain.
    bool pass_along(Scope scope, Predicate is_source, Predicate is_target) {
        const std::vector<GroupIndex> chain = best_chain(scope, is_source, is_target);
        if (chain.empty()) return false;
        std::vector<std::pair<PlaceIndex, GroupIndex>> done;  // and who had it
        for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
            const auto place = best_place(scope, chain[i], chain[i + 1]);
            if (!place) {  // an earlier step of the chain was in the same partition
                undo(done);
                return false;
            }
            done.emplace_back(*place, chain[i]);
            draft_.pass(*place, chain[i + 1]);
        }
        return true;
    }

    void undo(const std::vector<std::pair<PlaceIndex, GroupIndex>>& done) {
        for (auto it = done.rbegin(); it != done.rend(); ++it) draft_.pass(it->first, it->second);
    }

    // The nodes from source to target such that the fewest kept places are passed on, then the
    // fewest places; empty: no chain. Breadth first, where steps by new places come before all
    // others: what is reached first is reached by the fewest kept places.
    std::vector<GroupIndex> best_chain(Scope scope, Predicate is_source, Predicate is_target) {
        std::vector<GroupIndex> from(tree_.nodes(), kNobody);
        std::vector<GroupIndex> reached;
        std::vector<GroupIndex> open;  // not reached yet
        for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
            const bool starts = (this->*is_source)(node);
            if (starts) from[node] = node;
            (starts ? reached : open).push_back(node);
        }
        std::size_t done_with_new = 0;  // of `reached`
        std::size_t done_with_all = 0;
        while (!open.empty()) {
            const bool is_new = done_with_new < reached.size();
            std::size_t& done = is_new ? done_with_new : done_with_all;
            if (done == reached.size() || (!is_new && scope == Scope::kNew)) break;
            const GroupIndex giver = reached[done++];
            for (const GroupIndex taker : takers_of(giver, is_new ? Scope::kNew : scope, open)) {
                from[taker] = giver;
                if ((this->*is_target)(taker)) return chain_to(taker, from);
                reached.push_back(taker);
            }
        }
        return {};
    }

    static std::vector<GroupIndex> chain_to(GroupIndex target,
                                            const std::vector<GroupIndex>& from) {
        std::vector<GroupIndex> chain{target};
        while (from[chain.back()] != chain.back()) chain.push_back(from[chain.back()]);
        std::ranges::reverse(chain);
        return chain;
    }

    // Takes those out of `open` that could take a place from `giver`.
    std::vector<GroupIndex> takers_of(GroupIndex giver, Scope scope,
                                      std::vector<GroupIndex>& open) {
        std::vector<GroupIndex> takers;
        for (PlaceIndex place = 0; place < draft_.places() && !open.empty(); ++place) {
            if (draft_.at(place) != giver || !draft_.is_in(scope, place)) continue;
            const std::uint16_t partition = draft_.partition_of(place);
            draft_.load_spread_without(place, spread_);
            std::erase_if(open, [&](GroupIndex node) {
                if (draft_.holds(partition, node) || !spread_.may_add(node)) return false;
                takers.push_back(node);
                return true;
            });
        }
        return takers;
    }

    // New places first, then those that make both more even over the slots, then the lowest cost.
    std::optional<PlaceIndex> best_place(Scope scope, GroupIndex giver, GroupIndex taker) {
        using Rank = std::tuple<bool, std::int64_t, std::uint32_t, Cost>;
        std::optional<std::pair<Rank, PlaceIndex>> best;
        for (PlaceIndex place = 0; place < draft_.places(); ++place) {
            if (draft_.at(place) != giver || !draft_.is_in(scope, place)) continue;
            if (!may_pass(place, taker)) continue;
            const std::uint32_t slot = draft_.slot_of(place);
            const auto after = std::int64_t{draft_.load(taker, slot)} - draft_.slot_most(taker) +
                               draft_.slot_most(giver) - draft_.load(giver, slot);
            const Rank rank{draft_.is_kept(place), after, closer_by(place, taker),
                            draft_.cost(draft_.partition_of(place), taker)};
            if (!best || rank < best->first) best.emplace(rank, place);
        }
        if (!best) return std::nullopt;
        return best->second;
    }

    Draft& draft_;
    const Tree& tree_;
    Spread spread_;
};

}  // namespace

void balance(Draft& draft) { Balancer(draft).balance(); }

}  // namespace hamster::placement
