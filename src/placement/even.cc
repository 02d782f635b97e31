// The step that makes the slots of every node even.
#include <algorithm>

#include "placement/draft.h"

namespace hamster::placement {

namespace {

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

void even_slots(Draft& draft, Scope scope) { Evener(draft, scope).even(); }

}  // namespace hamster::placement
