#include "objects/layout_table.h"

#include <algorithm>

#include "base/assert.h"
#include "base/partitions.h"

namespace hamster::objects {

using runtime::Task;

namespace {

// Partitions read between two chances for other requests of the loop.
constexpr std::uint16_t kPartitionsPerTurn = 64;

}  // namespace

LayoutTable::LayoutTable(std::uint64_t version, erasure::Profile profile,
                         std::vector<std::vector<base::NodeId>> partitions,
                         std::vector<base::NodeId> leaving)
    : version_(version),
      profile_(profile),
      partitions_(std::move(partitions)),
      leaving_(std::move(leaving)) {
    HAMSTER_ASSERT(partitions_.size() == 1 || partitions_.size() == base::partitions(),
                   partitions_.size());
    for (const auto& nodes : partitions_) nodes_.insert(nodes_.end(), nodes.begin(), nodes.end());
    std::ranges::sort(nodes_);
    const auto doubles = std::ranges::unique(nodes_);
    nodes_.erase(doubles.begin(), doubles.end());
}

Task<Result<std::shared_ptr<const LayoutTable>>> LayoutTable::read(runtime::World* world,
                                                                   meta::View view) {
    CO_TRY_ASSIGN(const proto::Layout layout, view.layout());
    const erasure::Profile profile{layout.k(), layout.m()};
    if (!erasure::is_valid(profile)) {
        co_return fail(Code::kCorrupt, "the layout has a profile that cannot be");
    }
    // Before the first SetLayout all partitions are alike.
    const std::uint16_t count = layout.version() == 0 ? 1 : base::partitions();
    std::vector<std::vector<base::NodeId>> partitions;
    for (std::uint16_t partition = 0; partition < count; ++partition) {
        CO_TRY_ASSIGN(meta::PartitionPlaces places, view.places(partition));
        partitions.push_back(std::move(places.nodes));
        if ((partition + 1) % kPartitionsPerTurn == 0) {
            co_await world->clock.sleep(runtime::Micros(0));
        }
    }
    CO_TRY_ASSIGN(auto leaving, leaving_of(view));
    auto table = std::make_shared<LayoutTable>(layout.version(), profile, std::move(partitions),
                                               std::move(leaving));
    if (layout.version() > 0) {
        CO_TRY(table->forget_strangers(view));
    }
    co_return table;
}

Result<std::vector<base::NodeId>> LayoutTable::leaving_of(const meta::View& view) {
    TRY_ASSIGN(const auto members, view.nodes());
    std::vector<base::NodeId> leaving;
    for (const proto::Node& member : members) {
        const auto id = base::NodeId::from_bytes(member.node_id());
        if (member.leaving() && id) leaving.push_back(*id);
    }
    std::ranges::sort(leaving);
    return leaving;
}

Result<void> LayoutTable::forget_strangers(const meta::View& view) {
    TRY_ASSIGN(const auto members, view.nodes());
    std::erase_if(nodes_, [&members](const base::NodeId& node) {
        return std::ranges::none_of(members, [&node](const proto::Node& member) {
            return member.node_id() == node.view();
        });
    });
    return {};
}

void LayoutCache::put(std::shared_ptr<const LayoutTable> table, runtime::Time now) {
    const std::lock_guard lock(mutex_);
    refreshing_ = false;
    if (!table || (table_ && table->version() < table_->version())) return;
    std::swap(table_, table);  // the old one is destroyed after the lock
    read_at_ = now;
}

}  // namespace hamster::objects
