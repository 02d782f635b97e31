// Looks after the shards of a simulated cluster: what may be lost of them so that every object can
// still be read, and whether the disks hold what the metadata promise, no less and no more.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster_promises.h"
#include "cluster_world.h"
#include "report.h"

namespace hamster::simulation {

struct FoundShard {
    std::uint64_t bytes = 0;
    bool is_intact = false;
};

// What is looked for: every shard in its place; also no garbage; also nothing in other places and
// nothing that no row names, which takes until the graces are over.
enum class Tidiness { kComplete, kCollected, kClean };

class ClusterStorage {
  public:
    explicit ClusterStorage(SimCluster* cluster) : cluster_(cluster) {}

    // --- losses; each answers false, and does nothing, when it would be too much
    // Within what every object and the consensus of the members can do without. `nodes` at once.
    [[nodiscard]] bool can_spare(const std::vector<Member*>& nodes);
    // Whether new bodies still find enough nodes while `down` are: m lost nodes never keep the
    // cluster from writing, unless they leave a single node with places, or a single zone of
    // several. More than m may, when they are all that a zone has.
    [[nodiscard]] bool can_store(const std::vector<Member*>& down);
    // The disk of a member is emptied. Not soon after the last loss: bodies on their way, which
    // nobody can count yet, might lie on both.
    bool lose_disk(Member& member);
    // Those of several members, at once. Nothing may be on its way.
    bool lose_disks(const std::vector<Member*>& members);
    // Bits of shards flip, of one or several blobs, on one or several nodes: as many shards of each
    // blob as it can spare at most. How many shards.
    int rot_shards(int most);
    // Bits flip anywhere in the segments of a member; they count as lost altogether.
    bool rot_disk(Member& member);
    // The same without asking whether it is too much. Metadata always survive.
    void lose_too_much();

    // Looks at the metadata, as they are now: whether bodies lie on more than one node, and none
    // was acknowledged with too few shards. Called now and then.
    void look();

    // --- afterwards
    // Empty once the metadata say that all is as redundant as it should be.
    [[nodiscard]] std::string gap(Tidiness wanted);
    // Asks every node that serves for all its shards, verified; takes a while.
    void inspect();
    [[nodiscard]] bool is_inspecting() const { return inspecting_ > 0; }
    // Compares what was found with what is promised.
    [[nodiscard]] std::optional<Violation> compare(Tidiness wanted);
    // Whether every promised shard would be there after a power cut of all machines, at this
    // moment.
    [[nodiscard]] std::optional<Violation> compare_with_disks();
    // Shards of live blobs that were found intact when this was called last must be there.
    void remember();
    [[nodiscard]] std::optional<Violation> compare_with_remembered();

  private:
    using Found = std::map<shards::ShardId, FoundShard>;
    // What the member that is most up to date knows; nullopt: it may not know all yet.
    std::optional<std::vector<PromisedBlob>> promises();
    [[nodiscard]] bool keeps_quorum(const std::set<base::NodeId>& lost);
    [[nodiscard]] bool is_too_soon();
    [[nodiscard]] bool is_replacing();
    void empty(Member& member);
    bool rot_shard(const PromisedBlob& promised, std::size_t slot);
    std::vector<std::size_t> shuffled_slots(const PromisedBlob& promised);
    [[nodiscard]] std::optional<Violation> find_unnamed(
        const meta::View& view, const std::map<base::NodeId, std::set<shards::ShardId>>& expected);
    template <class T>
    void shuffle(std::vector<T>& all) {
        for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[cluster_->below(i)]);
    }
    [[nodiscard]] Member* member_of(const base::NodeId& id);

    SimCluster* cluster_;
    Losses losses_;
    std::set<base::NodeId> dead_;  // whose disks were emptied: they never come back
    std::optional<runtime::Time> last_loss_;
    std::optional<runtime::Time> laid_out_;  // since when bodies lie where the layout says
    int inspecting_ = 0;
    std::map<base::NodeId, Found> found_;
    std::set<shards::ShardId> remembered_;
};

}  // namespace hamster::simulation
