// The step that makes the slots of every node even.
#include <algorithm>
#include <vector>

#include "placement/draft.h"

namespace hamster::placement {

namespace {

// Swaps the slots of two nodes in a partition. Where slots are new the swaps that make most even
// for the shards they copy come first: those of a new node, with one that has an old slot. In any
// order of swaps more than twice as much would be copied.
class Evener {
  public:
    Evener(Draft& draft, Scope scope)
        : draft_(draft), scope_(scope), allowed_(draft.places() / draft.width()) {}

    void even() {
        if (scope_ == Scope::kNew) {  // no swap copies anything
            while (pass()) {
            }
            return;
        }
        for (const std::int64_t more : {std::int64_t{1}, std::int64_t{kMaxWidth}}) {
            for (std::int64_t& allowed : allowed_) allowed += more;
            for (worth_ = kMostWorth; worth_ > 0; worth_ /= 2) {
                while (pass()) {  // ends: each swap makes the same sums over all nodes better
                }
            }
        }
    }

  private:
    // Whether a shard is copied when the node has the place. In new slots there are none yet.
    [[nodiscard]] std::int64_t copies(PlaceIndex place, GroupIndex node) const {
        return draft_.before(place) == kNobody || draft_.before(place) == node ? 0 : 1;
    }
    [[nodiscard]] std::int64_t copied_by_swap(PlaceIndex one, PlaceIndex other) const {
        const GroupIndex node = draft_.at(one);
        const GroupIndex other_node = draft_.at(other);
        return copies(one, other_node) + copies(other, node) - copies(one, node) -
               copies(other, other_node);
    }

    bool pass() {
        bool has_swapped = false;
        for (PlaceIndex one = 0; one < draft_.places(); ++one) {
            if (!draft_.is_in(scope_, one)) continue;
            const PlaceIndex end = draft_.first_of(draft_.partition_of(one)) + draft_.width();
            for (PlaceIndex other = one + 1; other < end; ++other) {
                if (!draft_.is_in(scope_, other)) continue;
                const std::int64_t copied = copied_by_swap(one, other);
                std::int64_t& allowed = allowed_[draft_.partition_of(one)];
                if (copied > allowed || !is_better_swapped(one, other, copied)) continue;
                draft_.swap(one, other);
                allowed -= copied;
                has_swapped = true;
            }
        }
        return has_swapped;
    }

    // Even enough comes first; then, where it costs no movement, the spread of the lower slots, and
    // then perfectly even.
    bool is_better_swapped(PlaceIndex one, PlaceIndex other, std::int64_t copied) const {
        const std::int64_t rough = change_by_swap(one, other, kEvenEnough);
        if (rough != 0) return rough < 0 && -rough >= worth_ * copied;
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

    // No swap makes the sums better by more than this.
    static constexpr std::int64_t kMostWorth = 8 * std::int64_t{kPartitions};

    Draft& draft_;
    Scope scope_;
    std::vector<std::int64_t> allowed_;  // shards of each partition that may be copied still
    std::int64_t worth_ = 0;  // by which a swap is to make the sums better for each shard it copies
};

}  // namespace

void even_slots(Draft& draft, Scope scope) { Evener(draft, scope).even(); }

}  // namespace hamster::placement
