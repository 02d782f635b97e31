#include "cluster_storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "base/partitions.h"
#include "cluster_disks.h"
#include "erasure/stripe.h"
#include "meta/replica.h"
#include "objects/shape.h"

namespace hamster::simulation {

namespace {

using std::chrono::seconds;

// A request that began before a loss is answered, or given up by everybody, within so long.
constexpr runtime::Micros kBetweenLosses = seconds(30);
// After the first layout no node begins a body without it any more.
constexpr runtime::Micros kTableIsOld = seconds(2);
constexpr std::size_t kPage = 256;

// How a shard reads, slice by slice; nullopt: it went away meanwhile.
Task<std::optional<FoundShard>> read_through(shards::Store* store, shards::ShardInfo info) {
    FoundShard found;
    for (std::uint32_t stripe = 0; found.bytes < info.bytes; ++stripe) {
        auto slice = co_await store->read(info.id, stripe);
        if (!slice) {
            if (slice.error().code == Code::kNotFound) co_return std::nullopt;
            co_return FoundShard{info.bytes, false};
        }
        found.bytes += slice->size();
    }
    found.is_intact = found.bytes == info.bytes;
    co_return found;
}

Task<void> read_all_shards(Process* process, std::shared_ptr<Errand> errand,
                           std::shared_ptr<std::map<shards::ShardId, FoundShard>> found) {
    shards::Store* const store = &process->node->shards();
    std::optional<shards::ShardId> after;
    while (!errand->error) {
        const auto page = store->list(after, kPage);
        if (!page) {
            errand->error = page.error();
            break;
        }
        if (page->empty()) break;
        after = page->back().id;
        for (const shards::ShardInfo& info : *page) {
            auto shard = co_await read_through(store, info);
            if (shard) found->emplace(info.id, *shard);
        }
    }
    errand->is_done = true;
}

// What keeps a node from going.
std::string presence(const meta::View& view, const base::NodeId& id) {
    std::size_t slots = 0;
    std::size_t sources = 0;
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const auto places = view.places(partition);
        if (!places) continue;
        slots += static_cast<std::size_t>(std::ranges::count(places->nodes, id));
        sources += static_cast<std::size_t>(
            std::ranges::count(places->sources, id, &meta::PartitionPlaces::Source::node));
    }
    return fmt::format("node {} is a member with {} slots, source of {}, holder of {} blobs",
                       id.hex(), slots, sources, view.blobs_held(id).value_or(0));
}

std::string text_of(const shards::ShardId& shard) {
    return fmt::format("slot {} of blob {}", shard.slot.value, shard.blob.hex());
}

shards::ShardId shard_of(const PromisedBlob& promised, std::size_t slot) {
    return {promised.id, base::Slot{static_cast<std::uint8_t>(slot)}};
}

}  // namespace

Member* ClusterStorage::member_of(const base::NodeId& id) {
    for (const auto& member : cluster_->members()) {
        if (member->id == id) return member.get();
    }
    return nullptr;
}

std::optional<std::vector<PromisedBlob>> ClusterStorage::promises() {
    Member* const best = cluster_->most_advanced();
    if (best == nullptr) return std::nullopt;
    auto promises = promises_of(best->node()->metadata().here());
    if (promises) return std::move(*promises);
    cluster_->report().violation("I9", "blobs cannot be read: " + promises.error().context);
    return std::nullopt;
}

// ---- losses -----------------------------------------------------------------------------------

bool ClusterStorage::keeps_quorum(const std::set<base::NodeId>& lost) {
    for (Member* member : cluster_->serving()) {
        const auto& voters = member->node()->metadata().driver().core().members().voters;
        const auto left = std::ranges::count_if(
            voters, [&](const base::NodeId& voter) { return !lost.contains(voter); });
        if (static_cast<std::size_t>(left) <= voters.size() / 2) return false;
    }
    return !cluster_->serving().empty();
}

bool ClusterStorage::can_spare(const std::vector<Member*>& nodes) {
    Losses then = losses_;
    std::set<base::NodeId> dead = dead_;
    for (const Member* member : nodes) {
        // Who is about to join, or was removed, has nothing to lose; that is no loss to try.
        if (member->id.is_zero() || member->is_removed) return false;
        then.nodes.insert(member->id);
        dead.insert(member->id);
    }
    if (!keeps_quorum(dead)) return false;
    const auto promised = promises();
    return promised && std::ranges::all_of(*promised, [&](const PromisedBlob& blob) {
               return spare_shards(blob, then) >= 0;
           });
}

namespace {

using IsUp = std::function<bool(const base::NodeId&)>;

// The places that copies of a small body would get, partition by partition, until `look` is true.
bool any_partition(const meta::View& view, std::size_t copies,
                   const std::function<bool(std::span<const base::NodeId>)>& look) {
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        const auto places = view.places(partition);
        if (!places || places->nodes.size() < copies) continue;
        if (look(std::span(places->nodes).first(copies))) return true;
    }
    return false;
}

std::set<base::NodeId> with_places(const meta::View& view, std::size_t copies) {
    std::set<base::NodeId> nodes;
    (void)any_partition(view, copies, [&nodes](std::span<const base::NodeId> places) {
        nodes.insert(places.begin(), places.end());
        return false;
    });
    return nodes;
}

// Two nodes that have places must be up, and when bodies are spread over zones, in two of them.
bool are_enough_left(const meta::View& view, const std::set<base::NodeId>& nodes,
                     const IsUp& is_up) {
    std::set<std::string> zones;
    std::set<std::string> zones_left;
    for (const base::NodeId& id : nodes) {
        const auto node = view.node(id);
        const std::string zone = node && *node ? (*node)->zone() : std::string();
        zones.insert(zone);
        if (is_up(id)) zones_left.insert(zone);
    }
    return std::ranges::count_if(nodes, is_up) >= 2 && (zones.size() == 1 || zones_left.size() > 1);
}

}  // namespace

bool ClusterStorage::can_store(const std::vector<Member*>& down) {
    Member* const best = cluster_->most_advanced();
    if (best == nullptr) return true;
    const meta::View view = best->node()->metadata().here();
    const auto layout = view.layout();
    if (!layout || layout->version() == 0) return true;
    const IsUp is_up = [&](const base::NodeId& node) {
        if (dead_.contains(node) || !view.node(node).value_or(std::nullopt)) return false;
        return std::ranges::none_of(down, [&](const Member* member) { return member->id == node; });
    };
    const std::size_t copies = 1 + layout->m();
    const std::set<base::NodeId> nodes = with_places(view, copies);
    const auto lost = std::ranges::count_if(nodes, std::not_fn(is_up));
    if (lost <= std::ptrdiff_t{layout->m()} && are_enough_left(view, nodes, is_up)) return true;
    const std::ptrdiff_t floor = objects::floor_of({1, layout->m()});
    return any_partition(view, copies, [&](std::span<const base::NodeId> places) {
        return std::ranges::count_if(places, is_up) >= floor;
    });
}

void ClusterStorage::look() {
    Member* const best = cluster_->most_advanced();
    if (best == nullptr) return;
    const meta::View view = best->node()->metadata().here();
    if (const std::string low = below_floor(view); !low.empty()) {
        cluster_->report().violation("I1", low);
    }
    const auto layout = view.layout();
    const bool is_spread = layout && layout->version() > 0 && layout->m() > 0;
    if (!is_spread) {
        laid_out_.reset();
    } else if (!laid_out_) {
        laid_out_ = cluster_->now();
    }
}

// While a member is being replaced, it and its successor are left alone: who replaces a successor
// that never took over would have nothing to take over.
bool ClusterStorage::is_replacing() {
    Member* const best = cluster_->most_advanced();
    if (best == nullptr) return true;
    const meta::View view = best->node()->metadata().here();
    const auto nodes = view.nodes();
    for (const proto::Node& node : nodes.value_or(std::vector<proto::Node>{})) {
        const auto target = base::NodeId::from_bytes(node.replaces());
        if (!target || target->is_zero()) continue;
        if (const auto row = view.node(*target); row && *row) return true;
    }
    return std::ranges::any_of(dead_, [&](const base::NodeId& id) {
        const auto row = view.node(id);
        return row && *row;
    });
}

// Bodies that began before there was a layout may be committed where nothing can be spared.
bool ClusterStorage::is_too_soon() {
    const bool may_be_alone =
        !laid_out_ || cluster_->now() - *laid_out_ < kTableIsOld ||
        std::ranges::any_of(
            cluster_->under_way(),
            [&](const auto& request) { return request.second.since < *laid_out_ + kTableIsOld; });
    const bool is_recent = last_loss_ && cluster_->now() - *last_loss_ < kBetweenLosses;
    return may_be_alone || is_recent || is_replacing();
}

void ClusterStorage::empty(Member& member) {
    cluster_->say(member.name() + " loses its disk");
    cluster_->report().reached("disk.lost");
    losses_.nodes.insert(member.id);
    dead_.insert(member.id);
    last_loss_ = cluster_->now();
    cluster_->power_off(member, cluster_->some(0, 4000));
    member.empty_disk();
    cluster_->may_give_up(member);
}

bool ClusterStorage::lose_disk(Member& member) {
    if (is_too_soon() || !can_spare({&member})) return false;
    empty(member);
    return true;
}

bool ClusterStorage::lose_disks(const std::vector<Member*>& members) {
    const bool has_heir = std::ranges::any_of(
        members, [this](const Member* member) { return cluster_->is_heir(*member); });
    if (has_heir || !can_spare(members)) return false;  // as in lose_disk
    for (Member* member : members) empty(*member);
    return true;
}

// Bits of some slices of a shard flip, in one of the places where it may lie.
bool ClusterStorage::rot_shard(const PromisedBlob& promised, std::size_t slot) {
    const shards::ShardId shard = shard_of(promised, slot);
    const auto& places = promised.slots[slot];
    if (places.empty()) return false;
    Member* const member = member_of(places[cluster_->below(places.size())]);
    if (member == nullptr) return false;
    auto slices = slices_on(member->machine());
    std::erase_if(slices, [&](const LyingSlice& slice) { return slice.shard != shard; });
    if (slices.empty()) return false;
    const std::size_t bits = 1 + cluster_->below(2);
    for (std::size_t i = 0; i < bits; ++i) {
        rot(member->machine(), slices[cluster_->below(slices.size())], cluster_->random());
    }
    losses_.shards.insert(shard);
    cluster_->say(fmt::format("{}: {} rots", member->name(), text_of(shard)));
    return true;
}

int ClusterStorage::rot_shards(int most) {
    auto promised = promises();
    if (!promised) return 0;
    shuffle(*promised);
    int rotten = 0;
    for (const PromisedBlob& blob : *promised) {
        int in_one = 0;
        for (const std::size_t slot : shuffled_slots(blob)) {
            if (rotten >= most || spare_shards(blob, losses_) <= 0) break;
            const bool is_rotten =
                !losses_.shards.contains(shard_of(blob, slot)) && rot_shard(blob, slot);
            in_one += is_rotten ? 1 : 0;
            rotten += is_rotten ? 1 : 0;
        }
        if (in_one > 1) cluster_->report().reached("rot.two-shards-of-a-blob");
    }
    if (rotten > 0) cluster_->report().reached("rot.shard");
    return rotten;
}

std::vector<std::size_t> ClusterStorage::shuffled_slots(const PromisedBlob& promised) {
    std::vector<std::size_t> slots(promised.slots.size());
    for (std::size_t i = 0; i < slots.size(); ++i) slots[i] = i;
    shuffle(slots);
    return slots;
}

bool ClusterStorage::rot_disk(Member& member) {
    if (is_too_soon() || !can_spare({&member})) return false;
    const int bits = rot_anywhere(member.machine(), static_cast<int>(1 + cluster_->below(30)),
                                  cluster_->random());
    if (bits == 0) return false;
    cluster_->say(fmt::format("{}: {} bits rot", member.name(), bits));
    cluster_->report().reached("rot.disk");
    losses_.nodes.insert(member.id);
    last_loss_ = cluster_->now();
    return true;
}

void ClusterStorage::lose_too_much() {
    auto promised = promises();
    if (!promised) return;
    cluster_->lost_too_much = true;
    std::vector<Member*> members = cluster_->taking_part();
    shuffle(members);
    for (Member* member : members) {
        std::set<base::NodeId> dead = dead_;
        dead.insert(member->id);
        const bool is_let_go = cluster_->chance(60) && keeps_quorum(dead) && members.size() > 1;
        if (is_let_go) empty(*member);
    }
    for (const PromisedBlob& blob : *promised) {
        if (cluster_->chance(40)) continue;
        for (const std::size_t slot : shuffled_slots(blob)) {
            if (spare_shards(blob, losses_) >= 0 || cluster_->chance(20)) {
                (void)rot_shard(blob, slot);
            }
        }
    }
    const bool is_beyond = std::ranges::any_of(
        *promised, [&](const PromisedBlob& blob) { return spare_shards(blob, losses_) < 0; });
    if (is_beyond) cluster_->report().reached("lost-too-much");
}

// ---- afterwards -------------------------------------------------------------------------------

std::string ClusterStorage::gap(Tidiness wanted) {
    Member* const head = cluster_->leader();
    if (head == nullptr) return "nobody leads";
    const meta::View view = head->node()->metadata().here();
    cluster_->note_removed(view);
    for (const base::NodeId& id : dead_) {
        const auto row = view.node(id);
        if (row && *row) return "a disk was lost, and " + presence(view, id);
    }
    for (Member* member : cluster_->leaving()) return presence(view, member->id);
    std::string gap = redundancy_gap(view);
    if (gap.empty() && wanted != Tidiness::kComplete) gap = garbage_left(view);
    return gap.empty() ? miscounted(view) : gap;
}

void ClusterStorage::inspect() {
    found_.clear();
    for (Member* member : cluster_->taking_part()) {
        ++inspecting_;
        auto errand = std::make_shared<Errand>();
        auto found = std::make_shared<Found>();
        auto task = read_all_shards(member->process(), errand, found);
        cluster_->run_errand(*member, errand, std::move(task),
                             [this, found, id = member->id](const Errand& done) {
                                 --inspecting_;
                                 if (!done.error) found_[id] = std::move(*found);
                             });
    }
}

std::optional<Violation> ClusterStorage::compare(Tidiness wanted) {
    Member* const head = cluster_->leader();
    if (head == nullptr) return Violation{"I10", "nobody leads"};
    const meta::View view = head->node()->metadata().here();
    const auto promised = promises_of(view);
    if (!promised) return Violation{"I9", promised.error().context};
    std::map<base::NodeId, std::set<shards::ShardId>> expected;
    for (const PromisedBlob& blob : *promised) {
        for (std::size_t slot = 0; slot < blob.slots.size(); ++slot) {
            const shards::ShardId shard = shard_of(blob, slot);
            if (blob.slots[slot].empty()) return Violation{"I10", text_of(shard) + " is missing"};
            const base::NodeId& node = blob.slots[slot].front();
            expected[node].insert(shard);
            const Found& there = found_[node];
            const auto at = there.find(shard);
            const bool is_good = at != there.end() && at->second.is_intact;
            if (is_good) continue;
            const Member* const member = member_of(node);
            return Violation{"I10", fmt::format("{} is {} on {}", text_of(shard),
                                                at == there.end() ? "not there" : "damaged",
                                                member ? member->name() : node.hex())};
        }
    }
    if (wanted == Tidiness::kClean) {
        if (auto unnamed = find_unnamed(view, expected)) return unnamed;
    }
    losses_.shards.clear();
    losses_.nodes = dead_;
    return std::nullopt;
}

std::optional<Violation> ClusterStorage::find_unnamed(
    const meta::View& view, const std::map<base::NodeId, std::set<shards::ShardId>>& expected) {
    for (const auto& [node, found] : found_) {
        const auto here = expected.find(node);
        for (const auto& [shard, what] : found) {
            if (here != expected.end() && here->second.contains(shard)) continue;
            const bool is_known = view.knows_blob(shard.blob).value_or(false);
            const Member* const member = member_of(node);
            return Violation{"I11", fmt::format("{} lies on {} and {}", text_of(shard),
                                                member ? member->name() : node.hex(),
                                                is_known ? "belongs elsewhere" : "has no row")};
        }
    }
    return std::nullopt;
}

std::optional<Violation> ClusterStorage::compare_with_disks() {
    const auto promised = promises();
    if (!promised) return std::nullopt;
    std::map<base::NodeId, std::set<std::pair<shards::ShardId, std::uint32_t>>> lying;
    for (Member* member : cluster_->taking_part()) {
        for (const LyingSlice& slice : slices_on(member->machine())) {
            lying[member->id].emplace(slice.shard, slice.stripe);
        }
    }
    for (const PromisedBlob& blob : *promised) {
        const erasure::Geometry geometry{{blob.blob.k(), blob.blob.m()}, blob.blob.slice_bytes()};
        for (std::size_t slot = 0; slot < blob.slots.size(); ++slot) {
            if (blob.slots[slot].empty()) continue;
            const shards::ShardId shard = shard_of(blob, slot);
            const auto& there = lying[blob.slots[slot].front()];
            for (std::uint32_t i = 0; i < erasure::stripes(blob.blob.size(), geometry); ++i) {
                if (there.contains({shard, i})) continue;
                return Violation{"I1", fmt::format("stripe {} of {} is not durable on {}", i,
                                                   text_of(shard), blob.slots[slot].front().hex())};
            }
        }
    }
    return std::nullopt;
}

// Where they belong: what lies elsewhere as well, from before a move, goes in any case.
void ClusterStorage::remember() {
    remembered_.clear();
    const auto promised = promises();
    if (!promised) return;
    for (const PromisedBlob& blob : *promised) {
        for (std::size_t slot = 0; slot < blob.slots.size(); ++slot) {
            const shards::ShardId shard = shard_of(blob, slot);
            for (const base::NodeId& node : blob.slots[slot]) {
                const auto at = found_[node].find(shard);
                if (at != found_[node].end() && at->second.is_intact) remembered_.insert(shard);
            }
        }
    }
}

std::optional<Violation> ClusterStorage::compare_with_remembered() {
    const auto promised = promises();
    if (!promised) return std::nullopt;
    std::set<shards::ShardId> intact;
    for (const auto& [node, found] : found_) {
        for (const auto& [shard, what] : found) {
            if (what.is_intact) intact.insert(shard);
        }
    }
    for (const PromisedBlob& blob : *promised) {
        for (std::size_t slot = 0; slot < blob.slots.size(); ++slot) {
            const shards::ShardId shard = shard_of(blob, slot);
            if (!remembered_.contains(shard) || intact.contains(shard)) continue;
            return Violation{"I11", text_of(shard) + " was intact and is gone"};
        }
    }
    return std::nullopt;
}

}  // namespace hamster::simulation
