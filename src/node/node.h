// Builds a node from its parts, for the real binary and for the simulator alike, and takes it down
// again in order. Control loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/credentials.h"
#include "admin/subject.h"
#include "base/metrics.h"
#include "base/result.h"
#include "cluster/cluster.h"
#include "crypto/random.h"
#include "meta/replica.h"
#include "node/data_dir.h"
#include "objects/service.h"
#include "runtime/world.h"
#include "s3/context.h"
#include "shards/store.h"

namespace hamster::node {

struct Options {
    // What the node says about itself. Where it is empty or nullopt, what was said before stands.
    std::string name;                  // unique in the cluster; at first: the start of the node id
    std::string listen;                // ip:port of the cluster port; at first: kDefaultListen
    std::optional<std::string> zone;   // "": none
    std::uint64_t capacity_bytes = 0;  // at first: the size of the disk
    std::string host;                  // the machine
    std::string replaces;              // a joiner: name or id of the member whose place it takes
    std::string s3_address = "127.0.0.1:9000";  // empty: no S3 here
    std::string admin_address;                  // empty: no admin endpoint
    std::string control_address;                // unix:/path; empty: no control API
    std::string tls_cert;                       // both or none
    std::string tls_key;
    admin::RootCredential root;
    s3::Settings s3;
    objects::Options objects;
    shards::Options shards;
    meta::GroupOptions meta;
    bool fit_to_disk = true;  // derive segment, log and reserve sizes from the size of the disk
    runtime::Micros drain = std::chrono::seconds(30);  // for requests under way at stop()
    // Called once when the node learns that it was removed from its cluster: it had better stop.
    std::function<void()> on_removed;
};

inline constexpr std::string_view kDefaultListen = "127.0.0.1:7946";

// Segment, log and reserve sizes that suit a disk of `total` bytes. Pure.
void fit_to_disk(Options* options, std::uint64_t total_bytes);

// Version of this binary.
std::string_view version();

// Makes a data directory a node of a new cluster: identity, cluster secret, empty stores. May be
// repeated after an interruption. `keys` is the operating system's, or the simulator's.
runtime::Task<Result<Identity>> init_data_dir(runtime::World* control, crypto::KeySource* keys,
                                              Options options);

// Makes a data directory a node of the cluster that minted `token`. May be repeated after an
// interruption with the same token, or with another one of the same cluster. The token is used up
// only when this succeeds.
runtime::Task<Result<Identity>> join_data_dir(runtime::World* control, crypto::KeySource* keys,
                                              Options options, std::string token);

// The voters that a node which is not running would give up.
struct Lost {
    base::NodeId self;
    std::uint64_t last = 0;  // of its log
    std::vector<proto::Node> voters;
};
// Looks for them; changes nothing. kPrecondition while one of them answers, or there is none;
// kInvalid when this node does not vote.
runtime::Task<Result<Lost>> inspect_loss(runtime::World* control, Options options);
// From the next start on this node votes alone, and the lost ones are removed.
runtime::Task<Result<void>> give_up_lost(runtime::World* control, Options options, Lost lost);

class Node {
  public:
    virtual ~Node() = default;
    // Claims the data directory, recovers the stores and serves: ready when it returns. The admin
    // endpoint answers from the moment the directory is claimed. `io` are the loops that serve S3
    // (in simulation: the control loop alone). All pointers must outlive the node.
    static runtime::Task<Result<std::unique_ptr<Node>>> open(runtime::World* control,
                                                             std::vector<runtime::World*> io,
                                                             crypto::KeySource* keys,
                                                             Options options);
    // Stops accepting, lets requests under way finish for a while, closes the stores.
    virtual runtime::Task<void> stop() = 0;
    // Reads the TLS files again; on an error the old certificate stays.
    virtual Result<void> reload_tls() = 0;
    [[nodiscard]] virtual const Identity& identity() const = 0;
    virtual admin::Identities& identities() = 0;
    virtual objects::Service& objects() = 0;
    virtual shards::Store& shards() = 0;
    virtual cluster::Cluster& cluster() = 0;
    virtual meta::Replica& metadata() = 0;
    virtual base::Metrics& metrics() = 0;
};

}  // namespace hamster::node
