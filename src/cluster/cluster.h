// The cluster as one node has it: its conversations, its port, and the loops that keep it in shape.
// Control loop.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cluster/admission.h"
#include "cluster/keeper.h"
#include "cluster/links.h"
#include "cluster/port.h"
#include "cluster/roster.h"
#include "cluster/trust.h"

namespace hamster::cluster {

class Cluster {
  public:
    Cluster(runtime::World* control, crypto::KeySource* keys, NodeId self, Credentials credentials,
            proto::Acquaintances acquaintances);

    // For the group and the objects service, which must be attached before open().
    [[nodiscard]] meta::Wire* wire() { return &links_; }
    [[nodiscard]] objects::Remote* remote() { return &links_; }
    // From here on the roster follows the metadata.
    Result<void> attach(meta::Replica* replica);
    void attach(objects::Service* objects) { links_.attach(objects); }

    // Opens the port at self.address() and takes part. `self` is what this node says about itself.
    Result<void> open(proto::Node self, crypto::Key256 secret, Keeper::HealthOf health);
    // Hands over leadership if others can lead, then says no more and hears nothing. Also when
    // open() failed or was never called.
    runtime::Task<void> stop();

    [[nodiscard]] const Roster& roster() const { return roster_; }
    [[nodiscard]] Keeper& keeper() { return *keeper_; }
    [[nodiscard]] Admission& admission() { return *admission_; }
    // As this node's row says, or what it knew when it joined; nullptr: neither.
    [[nodiscard]] const proto::Node* self() const { return roster_.find(self_); }
    // Where this node is reached; after open().
    [[nodiscard]] const std::string& address() const { return address_; }
    // Who holds blobs that name no holder.
    [[nodiscard]] NodeId founder() const { return founder_; }

  private:
    void on_change();
    void note_others();

    runtime::World* control_;
    crypto::KeySource* keys_;
    const NodeId self_;
    const proto::Acquaintances acquaintances_;
    NodeId founder_;
    std::string address_;
    Roster roster_;
    Links links_;
    meta::Replica* replica_ = nullptr;
    std::unique_ptr<Admission> admission_;
    std::unique_ptr<Keeper> keeper_;
    std::unique_ptr<Port> port_;
};

}  // namespace hamster::cluster
