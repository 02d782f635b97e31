// A table in the making. Private to the room; one thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "placement/score.h"
#include "placement/tree.h"

namespace hamster::placement {

// Places are counted partition by partition, slot by slot; nodes are those of the tree.
using PlaceIndex = std::uint32_t;
inline constexpr GroupIndex kNobody = UINT32_MAX;

// Which places a step may change: those that are new anyway, or also those that would count as
// moved. Pinned ones never.
enum class Scope : std::uint8_t { kNew, kAll };

class Draft {
  public:
    Draft(const Tree& tree, const Table* previous, std::span<const Place> pinned);

    [[nodiscard]] const Tree& tree() const { return *tree_; }
    [[nodiscard]] std::uint32_t width() const { return tree_->width(); }
    [[nodiscard]] PlaceIndex places() const { return static_cast<PlaceIndex>(at_.size()); }
    [[nodiscard]] std::uint32_t slot_of(PlaceIndex place) const { return place % width(); }
    [[nodiscard]] std::uint16_t partition_of(PlaceIndex place) const {
        return static_cast<std::uint16_t>(place / width());
    }
    [[nodiscard]] PlaceIndex first_of(std::uint16_t partition) const { return partition * width(); }

    [[nodiscard]] GroupIndex at(PlaceIndex place) const { return at_[place]; }
    [[nodiscard]] bool is_pinned(PlaceIndex place) const { return pinned_[place]; }
    // Whether its node has it from the table before: to take it away is a movement.
    [[nodiscard]] bool is_kept(PlaceIndex place) const { return at_[place] == before_[place]; }
    // Whose it was in the table before; kNobody: nobody's who may hold now.
    [[nodiscard]] GroupIndex before(PlaceIndex place) const { return before_[place]; }
    [[nodiscard]] bool is_in(Scope scope, PlaceIndex place) const {
        return !is_pinned(place) && (scope == Scope::kAll || !is_kept(place));
    }
    [[nodiscard]] bool holds(std::uint16_t partition, GroupIndex node) const;
    [[nodiscard]] std::uint32_t load(GroupIndex node) const { return load_[node]; }
    [[nodiscard]] std::uint32_t load(GroupIndex node, std::uint32_t slot) const {
        return slot_load_[node * width() + slot];
    }
    // More or fewer places than the share of the node rounded up or down; of one slot.
    [[nodiscard]] std::uint32_t least(GroupIndex node) const { return wanted_[node].least; }
    [[nodiscard]] std::uint32_t most(GroupIndex node) const { return wanted_[node].most; }
    [[nodiscard]] std::uint32_t slot_least(GroupIndex node) const {
        return wanted_[node].slot_least;
    }
    [[nodiscard]] std::uint32_t slot_most(GroupIndex node) const { return wanted_[node].slot_most; }
    [[nodiscard]] Cost cost(std::uint16_t partition, GroupIndex node) const;
    // How close `node` in `place` would stand to others of its zone, or else its host: 0 to nobody,
    // more the lower the slots. What is in `place` and in `except` now does not count.
    [[nodiscard]] std::uint32_t closeness(PlaceIndex place, GroupIndex node,
                                          PlaceIndex except) const;
    [[nodiscard]] std::uint32_t closeness(PlaceIndex place, GroupIndex node) const {
        return closeness(place, node, place);
    }

    void give(PlaceIndex place, GroupIndex node);  // it is nobody's
    void take(PlaceIndex place);                   // it is somebody's
    void pass(PlaceIndex place, GroupIndex node) {
        take(place);
        give(place, node);
    }
    void swap(PlaceIndex one, PlaceIndex other);  // of one partition, both are somebody's

    // The spread of a partition without what is in `place`.
    void load_spread_without(PlaceIndex place, Spread& spread) const;

    [[nodiscard]] Table table() const;  // every place is somebody's

  private:
    struct Wanted {
        std::uint32_t least;
        std::uint32_t most;
        std::uint32_t slot_least;
        std::uint32_t slot_most;
    };
    void adopt(const Table& previous);
    void count(PlaceIndex place, std::uint32_t change);

    const Tree* tree_;
    std::vector<Wanted> wanted_;
    std::vector<GroupIndex> host_of_;
    std::vector<GroupIndex> zone_of_;
    std::vector<GroupIndex> at_;
    std::vector<GroupIndex> before_;  // kNobody: its node was another one, or may not hold
    std::vector<bool> pinned_;
    std::vector<std::uint32_t> load_;       // of each node
    std::vector<std::uint32_t> slot_load_;  // of each node and slot
};

// The steps of compute(), in this order.

// Takes back what breaks the spread, as little as possible.
void free_crowded(Draft& draft);
// Gives every place that is nobody's to the node of the lowest cost that is not ahead of its share.
void fill(Draft& draft);
// Passes places on until every node has its share rounded up or down, as far as the spread allows.
void balance(Draft& draft);
// Swaps places inside partitions until no swap makes the slots of their nodes more even.
void even_slots(Draft& draft, Scope scope);

}  // namespace hamster::placement
