// The conversations of this node with all others: what meta, objects and this room ask of other
// nodes goes out here, and what others ask comes in and is handed to whom it concerns. Connections
// are rpc's, over TLS; a node is who its certificate says. Control loop, unless a method says
// otherwise.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cluster/roster.h"
#include "cluster/sightings.h"
#include "cluster/trust.h"
#include "meta/replica.h"
#include "objects/remote.h"
#include "objects/service.h"
#include "rpc/peers.h"
#include "runtime/world.h"

namespace hamster::cluster {

// Numbers are sent and never reused.
inline constexpr rpc::Method kRaft{1};       // post: RaftMessage
inline constexpr rpc::Method kPropose{2};    // Command -> Answer
inline constexpr rpc::Method kSnapshot{3};   // SnapshotPart -> SnapshotReply
inline constexpr rpc::Method kReadSlice{4};  // objects/exchange.h
inline constexpr rpc::Method kKeepBlobs{5};  // the same
inline constexpr rpc::Method kHealth{6};     // nothing -> Health
inline constexpr rpc::Method kStatus{7};     // nothing -> ClusterStatus, of the leader
inline constexpr rpc::Method kCanStop{8};    // CanStopRequest -> CanStopReply, of the leader
inline constexpr rpc::Method kTransfer{9};   // TransferRequest -> TransferReply, of the leader
// Of objects::RemoteMethod those behind kKeep: this and their own number.
inline constexpr std::uint16_t kRemoteBase = 20;

class Links final : public meta::Wire, public objects::Remote, public rpc::Handler {
  public:
    using Answerer = std::function<runtime::Task<Result<std::string>>(NodeId, std::string)>;

    // `roster` outlives this.
    Links(runtime::World* control, NodeId self, Credentials credentials, const Roster* roster);

    // Who answers; until then requests are refused. They must live until stop() has returned.
    void attach(meta::Replica* replica) { replica_ = replica; }
    void attach(objects::Service* objects) { objects_ = objects; }
    void answer(rpc::Method method, Answerer answerer);

    // meta::Wire
    void send(proto::RaftMessage message) override;
    runtime::Task<Result<std::string>> ask(NodeId to, meta::Ask what, std::string payload,
                                           runtime::Time deadline) override;
    // objects::Remote: any loop.
    [[nodiscard]] bool has_others() const override { return has_others_.load(); }
    void set_has_others(bool has_others) { has_others_ = has_others; }
    [[nodiscard]] std::vector<NodeId> others() const override;  // control loop
    // As the last request of objects to the node found it, or from it, or a connection with it
    // that was opened or ended.
    [[nodiscard]] bool is_up(NodeId node) const override;
    runtime::Task<Result<std::string>> call(NodeId holder, objects::RemoteMethod what,
                                            std::string payload) override;
    // What this room asks of others.
    runtime::Task<Result<std::string>> call(NodeId to, rpc::Method method, std::string payload,
                                            runtime::Micros within);
    // A connection that was accepted, its handshake done and a certificate shown.
    void serve(rpc::StreamPtr stream) { peers_->serve(std::move(stream)); }
    // Cuts off a node that was removed, in both directions.
    void forget(NodeId node) { peers_->forget(node); }
    runtime::Task<void> stop();

    [[nodiscard]] const std::shared_ptr<const runtime::NodeTls>& tls() const { return tls_; }
    // Where nodes were seen that are not where the metadata has them; dials try that too.
    [[nodiscard]] Sightings& sightings() { return sightings_; }
    // Why a node cannot be reached, for messages; empty when it can.
    [[nodiscard]] std::string trouble_with(NodeId node) const;
    // Cluster time as far as it is known: what certificates are judged by.
    void set_time(std::function<std::uint64_t()> now_ms) { now_ms_ = std::move(now_ms); }

    // rpc::Handler
    runtime::Task<Result<std::string>> on_call(NodeId from, rpc::Method method,
                                               std::string payload) override;
    void on_post(NodeId from, rpc::Method method, std::string payload) override;
    bool admits(NodeId node) override { return !roster_->is_removed(node); }
    void on_met(NodeId node) override { note_up(node, true); }
    void on_cut(NodeId node) override;

  private:
    Result<NodeId> verify(const runtime::Stream& stream) const;
    runtime::Task<Result<rpc::StreamPtr>> dial(NodeId to);
    runtime::Task<Result<std::string>> call_here(NodeId to, rpc::Lane lane, rpc::Method method,
                                                 std::string payload, runtime::Time deadline);
    runtime::Task<Result<std::string>> call_objects(NodeId to, rpc::Method method,
                                                    std::string payload, runtime::Time deadline);
    void note_up(NodeId node, bool is_up);

    runtime::World* control_;
    const NodeId self_;
    const Credentials credentials_;
    const std::shared_ptr<const runtime::NodeTls> tls_;
    const Roster* roster_;
    Sightings sightings_;
    std::function<std::uint64_t()> now_ms_;
    std::atomic<bool> has_others_{true};
    mutable std::mutex down_mutex_;  // any loop asks; held for a moment
    std::set<NodeId> down_;
    meta::Replica* replica_ = nullptr;
    objects::Service* objects_ = nullptr;
    std::map<rpc::Method, Answerer> answerers_;
    std::unique_ptr<rpc::Peers> peers_;
};

}  // namespace hamster::cluster
