#include "cluster/cluster.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace hamster::cluster {

using runtime::Task;

Cluster::Cluster(runtime::World* control, crypto::KeySource* keys, NodeId self,
                 Credentials credentials, proto::Acquaintances acquaintances)
    : control_(control),
      keys_(keys),
      self_(self),
      acquaintances_(std::move(acquaintances)),
      founder_(NodeId::from_bytes(acquaintances_.founder()).value_or(NodeId{})),
      links_(control, self, std::move(credentials), &roster_) {
    roster_.know(acquaintances_);
}

Result<void> Cluster::attach(meta::Replica* replica) {
    replica_ = replica;
    TRY(roster_.read(replica->here()));
    TRY_ASSIGN(const auto trust, replica->here().trust());
    if (trust) founder_ = NodeId::from_bytes(trust->founder()).value_or(NodeId{});
    links_.set_time([this] { return std::max(replica_->last_stamp(), acquaintances_.stamp_ms()); });
    note_others();
    links_.attach(replica);
    replica->watch([this] { on_change(); });
    return {};
}

// A roster without rows is that of a newcomer.
void Cluster::note_others() {
    const auto& nodes = roster_.nodes();
    links_.set_has_others(nodes.size() != 1 || !nodes.contains(self_));
}

void Cluster::on_change() {
    auto removed = roster_.read(replica_->here());
    note_others();
    if (!removed) {
        LOG_ERROR("cluster", "the members cannot be read: {}", removed.error().context);
        return;
    }
    for (const NodeId& id : *removed) {
        links_.forget(id);
        if (id != self_) {
            LOG_INFO("cluster", "node {} was removed", id.hex());
        } else if (keeper_) {
            keeper_->note_removed("its metadata says so");
        }
    }
}

Result<void> Cluster::open(proto::Node self, crypto::Key256 secret, Keeper::HealthOf health) {
    HAMSTER_ASSERT(replica_ != nullptr);
    address_ = self.address();
    admission_ = std::make_unique<Admission>(control_, keys_, replica_, secret);
    keeper_ = std::make_unique<Keeper>(control_, replica_, &links_, &roster_, std::move(self),
                                       std::move(health));
    port_ = std::make_unique<Port>(control_, &links_, admission_.get());
    TRY(port_->open(address_));
    keeper_->start();
    return {};
}

Task<void> Cluster::stop() {
    if (keeper_) {
        const raft::Core& core = replica_->driver().core();
        const bool has_others = core.members().voters.size() > 1;
        if (core.role() == raft::Role::kLeader && has_others) {
            auto moved = co_await keeper_->transfer(NodeId{});
            if (!moved) LOG_INFO("cluster", "stopping as leader: {}", moved.error().context);
        }
    }
    if (port_) co_await port_->stop();
    if (keeper_) co_await keeper_->stop();
    co_await links_.stop();
    if (replica_ != nullptr) replica_->watch({});
}

}  // namespace hamster::cluster
