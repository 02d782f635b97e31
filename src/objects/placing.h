// Where a new blob goes. Ids are random, so whoever makes one may choose: it draws until the nodes
// of the slots are up, and none of them is leaving (docs/adr/0015). Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "erasure/codec.h"
#include "objects/layout_table.h"

namespace hamster::objects {

// So many ids are drawn in each geometry; then all partitions are looked at, for copies.
inline constexpr int kDraws = 64;

struct Target {
    base::BlobId blob;
    erasure::Profile profile;
    std::uint64_t layout_version = 0;
    std::vector<base::NodeId> nodes;  // slot i
    std::uint64_t missing = 0;        // bit i: its node is down, the slot is left out
    bool operator==(const Target&) const = default;
    [[nodiscard]] bool has(std::size_t slot) const { return (missing >> slot & 1U) == 0; }
    [[nodiscard]] std::uint32_t present() const;
};

struct Chooser {
    std::function<base::BlobId()> draw;
    std::function<bool(base::NodeId)> is_up;
};

// `is_small`: copies, 1+m. Otherwise the layout's profile; copies where too few nodes are up for
// that. Nullopt: too few are up even for them.
std::optional<Target> choose(const LayoutTable& table, bool is_small, const Chooser& chooser);

}  // namespace hamster::objects
