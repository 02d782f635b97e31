// The loops that keep a cluster in shape. Every node tells the metadata what has changed about
// itself; the leader asks every node how it is, each second, and brings the voters to what
// policy.h wants, one change at a time. Control loop.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "cluster/layout_keeper.h"
#include "cluster/links.h"
#include "cluster/policy.h"
#include "cluster/roster.h"
#include "meta/replica.h"
#include "proto/cluster.pb.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::cluster {

// What goes with a node that is lost for good.
struct NodeLoss {
    bool is_removed = false;
    std::uint32_t slots = 0;  // that are not complete elsewhere
    std::uint64_t blobs = 0;  // that lie nowhere else
};

class Keeper {
  public:
    // How this node is; must not wait.
    using HealthOf = std::function<proto::Health()>;

    // `self`: what this node says about itself; its row follows. Pointers outlive the keeper.
    Keeper(runtime::World* control, meta::Replica* replica, Links* links, const Roster* roster,
           proto::Node self, HealthOf health);
    // Called once, when this node learns that it was removed.
    void on_removed(std::function<void()> call) { on_removed_ = std::move(call); }
    void note_removed(const std::string& why);
    void start();
    runtime::Task<void> stop();

    // Asks the leader, whoever that is. kUnavailable when there is none.
    runtime::Task<Result<proto::ClusterStatus>> status();
    runtime::Task<Result<proto::CanStopReply>> can_stop(NodeId node);
    // Hands leadership to a voter, zero: to one that is fit; answers once another one leads.
    runtime::Task<Result<NodeId>> transfer(NodeId to);
    // Takes a node out of the cluster for good. kPrecondition: something lies on it, or its absence
    // would take the quorum away. Waits until it votes no more.
    runtime::Task<Result<void>> remove(NodeId node);
    // The same with a node that never comes back and is drained as far as can be: what others have
    // too little of is lost with it. Only looks, unless `agreed` or nothing lies on the node.
    // kPrecondition: it answers this node or the leader, or was not told to leave.
    runtime::Task<Result<NodeLoss>> remove_lost(NodeId node, bool agreed);
    // What people ask of the layout.
    [[nodiscard]] LayoutKeeper& layout() { return layout_; }

  private:
    struct Seen {
        std::optional<runtime::Time> answered;  // when it last did
        bool answers = false;                   // the last time it was asked
        bool is_asked = false;
        proto::Health health;
    };

    runtime::Task<void> tell_loop();
    runtime::Task<void> lead_loop();
    runtime::Task<Result<void>> tell();
    runtime::Task<void> ask_all();
    runtime::Task<void> ask_all_now();
    runtime::Task<void> ask_one(NodeId node);
    runtime::Task<bool> ask_health(NodeId node);
    runtime::Task<Result<std::string>> answer_health(NodeId from, std::string payload);
    void note_sighting(NodeId node, const std::string& address, Sightings::Source source);
    runtime::Task<void> lead_once();
    runtime::Task<Result<void>> set_leaving(NodeId node, bool leaving);
    runtime::Task<Result<void>> wait_until_it_votes_no_more(NodeId node);

    void note_refusal(NodeId node);
    runtime::Task<void> call_on_removed();
    [[nodiscard]] bool leads() const;
    [[nodiscard]] Facts facts() const;
    [[nodiscard]] bool is_reachable(NodeId node) const;
    [[nodiscard]] proto::ClusterStatus members_here() const;
    runtime::Task<Result<proto::ClusterStatus>> status_here();
    runtime::Task<Result<void>> judge_stop(NodeId node);
    [[nodiscard]] std::string who_restores(NodeId but) const;
    runtime::Task<Result<void>> judge_removal(NodeId node, bool* was_leaving);
    runtime::Task<Result<void>> let_go(NodeId node, bool lost);
    runtime::Task<Result<bool>> answers_somebody(NodeId node);
    runtime::Task<Result<std::string>> answer_status();
    runtime::Task<Result<std::string>> answer_can_stop(std::string payload);
    runtime::Task<Result<std::string>> answer_transfer(std::string payload);
    runtime::Task<Result<std::string>> ask_leader(rpc::Method method, std::string payload);
    runtime::Task<bool> pause(runtime::Micros time);

    runtime::World* control_;
    meta::Replica* replica_;
    Links* links_;
    const Roster* roster_;
    const proto::Node self_;
    const NodeId self_id_;
    HealthOf health_;
    std::function<void()> on_removed_;
    std::map<NodeId, Seen> seen_;
    LayoutKeeper layout_;
    bool is_told_ = false;  // that it was removed
    bool changing_ = false;
    bool stopping_ = false;
    runtime::Gate gate_;
};

}  // namespace hamster::cluster
