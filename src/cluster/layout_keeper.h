// Keeps the layout after the members: the leader asks layout_policy.h what comes next and proposes
// it, one step at a time. What it goes by is read from the metadata each time, so the next leader
// goes on where this one stopped. Also what people ask of the layout. Control loop; tables are
// computed on the blocking pool.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cluster/layout_facts.h"
#include "meta/replica.h"
#include "proto/cluster.pb.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::cluster {

// What the cluster becomes when a node gives its places away.
struct DrainPlan {
    Profile from;  // of new blobs
    Profile to;
    std::size_t nodes = 0;    // that are left
    std::uint64_t bytes = 0;  // of bodies that must be stored anew before the node is empty
    bool is_leaving = false;  // it has been told already
    // New objects bear less or need more, or old ones must be stored anew.
    [[nodiscard]] bool must_ask() const { return !is_leaving && (from != to || bytes > 0); }
};
// Objects of other profiles than that of new ones.
struct Reencoding {
    bool is_running = false;
    Profile profile;                   // of new ones
    std::uint64_t bytes_at_start = 0;  // of bodies, when it began; 0: it does not run
    ReencodeLeft left;
};

// kPrecondition: it cannot be; the context says what to do.
Result<DrainPlan> plan_drain(const LayoutRows& rows, const NodeId& node);
// Why `node` would be missed if it stopped for a while; empty: the rows know of no reason.
std::string why_missed(const LayoutRows& rows, const NodeId& node);
// Why the member cannot be removed yet, and what to do; empty: nothing lies on it.
std::string why_not_removed(const LayoutRows& rows, const NodeId& node);
// Why a member that is lost for good cannot be removed with what lies on it; empty: it can.
std::string why_not_given_up(const LayoutRows& rows, const NodeId& node);

class LayoutKeeper {
  public:
    using SeenNow = std::function<Facts()>;

    // `seen`: what this node sees of the others, of use while it leads; must not wait. Pointers
    // outlive the keeper.
    LayoutKeeper(runtime::World* control, meta::Replica* replica, SeenNow seen);
    void start();
    runtime::Task<void> stop();

    // Whether the node is leaving and nothing lies on it any more, as the leader saw it last. Once
    // true it stays true unless the node is told to stay. False where nobody leads.
    [[nodiscard]] bool is_drained(const NodeId& node) const;

    // The rows for people, as of now. kUnavailable without a leader.
    runtime::Task<Result<LayoutRows>> read();
    // `status` with the layout and the slots of its members. Of use at the leader.
    runtime::Task<Result<proto::ClusterStatus>> complete(proto::ClusterStatus status);

    // The node gives its places away. A plan that people should agree to is only answered, unless
    // they did: see must_ask(). kPrecondition: the others are too few, or too few for the profile
    // that was chosen.
    runtime::Task<Result<DrainPlan>> drain(NodeId node, bool agreed);
    // It takes places again. kPrecondition: another one is about to take its place.
    runtime::Task<Result<void>> undrain(NodeId node);
    // Objects of other profiles are stored anew in that of new ones. May be repeated.
    runtime::Task<Result<Reencoding>> optimize();
    // How far that is; changes nothing. Walks all blobs.
    runtime::Task<Result<Reencoding>> look();
    // No more objects are stored anew. kPrecondition: they must be, for a node that is leaving.
    runtime::Task<Result<void>> stop_optimizing();
    // "4+2", or "auto" for the ladder. kInvalid, kPrecondition: too few nodes. Answers what new
    // objects will have.
    runtime::Task<Result<Profile>> set_profile(std::string profile);

  private:
    // How much of a re-encoding was left when all blobs were last looked at.
    struct Walk {
        std::string of;  // the row's Reencode, serialized
        ReencodeLeft left;
        runtime::Time at;
        runtime::Micros took{};
    };

    runtime::Task<void> keep_loop();
    runtime::Task<Result<bool>> keep_once();
    runtime::Task<Result<LayoutRows>> read_rows(meta::View view);
    runtime::Task<Result<ReencodeLeft>> count_left(meta::View view, Profile wanted);
    runtime::Task<Result<void>> walk_if_due(meta::View view, proto::Layout layout);
    runtime::Task<Result<LayoutStep>> decide(LayoutFacts facts);
    runtime::Task<Result<proto::Command>> command_of(LayoutStep step, meta::View view,
                                                     std::uint64_t version);
    runtime::Task<Result<void>> propose(proto::Command command);
    void note_drained(const LayoutRows& rows);
    void note_trouble(const std::string& trouble);
    [[nodiscard]] bool is_walked(const proto::Layout& layout) const;
    [[nodiscard]] bool leads() const;
    [[nodiscard]] std::set<NodeId> up_now() const;
    runtime::Task<bool> pause(runtime::Micros time);

    runtime::World* control_;
    meta::Replica* replica_;
    SeenNow seen_;
    std::shared_ptr<const LayoutPlaces> places_;  // as read last
    std::set<NodeId> drained_;
    std::optional<Walk> walk_;
    std::optional<LayoutFacts> at_rest_;  // nothing was to be done under these facts
    std::string trouble_;                 // logged last
    bool stopping_ = false;
    runtime::Gate gate_;
};

}  // namespace hamster::cluster
