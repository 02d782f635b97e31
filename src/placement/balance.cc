// The steps that look at all partitions at once: loads, then slots, become even.
#include <algorithm>
#include <deque>
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

    // Along the shortest chain of nodes from a source to a target each passes a place on to the
    // next, so that only the loads of its ends change. False: there is no chain.
    bool pass_along(Scope scope, Predicate is_source, Predicate is_target) {
        const std::vector<GroupIndex> chain = shortest_chain(scope, is_source, is_target);
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

    // Breadth first. The nodes from source to target; empty: none.
    std::vector<GroupIndex> shortest_chain(Scope scope, Predicate is_source, Predicate is_target) {
        std::vector<GroupIndex> from(tree_.nodes(), kNobody);
        std::deque<GroupIndex> queue;
        for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
            if (!(this->*is_source)(node)) continue;
            from[node] = node;
            queue.push_back(node);
        }
        if (queue.empty()) return {};
        std::vector<GroupIndex> open;  // not reached yet
        for (GroupIndex node = 0; node < tree_.nodes(); ++node) {
            if (from[node] == kNobody) open.push_back(node);
        }
        for (; !queue.empty() && !open.empty(); queue.pop_front()) {
            const GroupIndex giver = queue.front();
            for (const GroupIndex taker : takers_of(giver, scope, open)) {
                from[taker] = giver;
                if ((this->*is_target)(taker)) return chain_to(taker, from);
                queue.push_back(taker);
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

// Swaps the slots of two nodes in a partition.
class Evener {
  public:
    Evener(Draft& draft, Scope scope) : draft_(draft), scope_(scope) {}

    void even() {
        while (pass()) {  // ends: each swap makes the same sums over all nodes better
        }
    }

  private:
    bool pass() {
        bool has_swapped = false;
        for (PlaceIndex one = 0; one < draft_.places(); ++one) {
            if (!draft_.is_in(scope_, one)) continue;
            const PlaceIndex end = draft_.first_of(draft_.partition_of(one)) + draft_.width();
            for (PlaceIndex other = one + 1; other < end; ++other) {
                if (!draft_.is_in(scope_, other) || !is_better_swapped(one, other)) continue;
                draft_.swap(one, other);
                has_swapped = true;
            }
        }
        return has_swapped;
    }

    // Even enough comes first; then, where it costs no movement, the spread of the lower slots, and
    // then perfectly even.
    bool is_better_swapped(PlaceIndex one, PlaceIndex other) const {
        const std::int64_t rough = change_by_swap(one, other, kEvenEnough);
        if (rough != 0) return rough < 0;
        if (draft_.is_kept(one) || draft_.is_kept(other)) return false;
        const GroupIndex node = draft_.at(one);
        const GroupIndex other_node = draft_.at(other);
        const std::uint32_t now =
            draft_.closeness(one, node, other) + draft_.closeness(other, other_node, one);
        const std::uint32_t then =
            draft_.closeness(one, other_node, other) + draft_.closeness(other, node, one);
        if (then != now) return then < now;
        return change_by_swap(one, other, kPerfect) < 0;
    }

    // How the unevenness of both nodes changes.
    std::int64_t change_by_swap(PlaceIndex one, PlaceIndex other, std::uint32_t slack_part) const {
        const std::uint32_t slot = draft_.slot_of(one);
        const std::uint32_t other_slot = draft_.slot_of(other);
        return change_of(draft_.at(one), slot, other_slot, slack_part) +
               change_of(draft_.at(other), other_slot, slot, slack_part);
    }
    // Of the node, when one of its places goes to another slot.
    std::int64_t change_of(GroupIndex node, std::uint32_t from, std::uint32_t to,
                           std::uint32_t slack_part) const {
        const std::uint32_t slack = draft_.slot_least(node) / slack_part;
        const std::uint32_t has = draft_.load(node, from);
        const std::uint32_t gets = draft_.load(node, to);
        return uneven(node, has - 1, slack) + uneven(node, gets + 1, slack) -
               uneven(node, has, slack) - uneven(node, gets, slack);
    }
    // With so many places in a slot; `slack` more or less than its share do not count.
    std::int64_t uneven(GroupIndex node, std::uint32_t load, std::uint32_t slack) const {
        const std::int64_t over = std::int64_t{load} - draft_.slot_most(node) - slack;
        const std::int64_t under = std::int64_t{draft_.slot_least(node)} - slack - load;
        const std::int64_t off = std::max({over, under, std::int64_t{0}});
        return off * off;
    }

    static constexpr std::uint32_t kEvenEnough = 64;  // a 64th of the share is slack
    static constexpr std::uint32_t kPerfect = UINT32_MAX;

    Draft& draft_;
    Scope scope_;
};

}  // namespace

void balance(Draft& draft) { Balancer(draft).balance(); }

void even_slots(Draft& draft, Scope scope) { Evener(draft, scope).even(); }

}  // namespace hamster::placement
