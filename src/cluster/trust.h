// What a node proves itself with, and how a cluster comes to its CA. Files of the data directory:
// node.key, node.crt, ca.crt and cluster.acquaintances (docs/formats/data-directory.md).
//
// The CA's private key lies in the metadata, sealed under the cluster secret, which every member
// has: any member can admit others (docs/adr/0013-the-ca-key-is-replicated-sealed.md).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/random.h"
#include "meta/replica.h"
#include "proto/cluster.pb.h"
#include "runtime/world.h"

namespace hamster::cluster {

inline constexpr std::string_view kNodeKeyFile = "node.key";
inline constexpr std::string_view kNodeCertificateFile = "node.crt";
inline constexpr std::string_view kCaFile = "ca.crt";
inline constexpr std::string_view kAcquaintancesFile = "cluster.acquaintances";

struct Credentials {
    crypto::ClusterCa ca;
    crypto::Certificate certificate;
    crypto::SigningKey key;
};

// kNotFound when the node has no certificate; kCorrupt or kInvalid when the files are damaged or do
// not belong together. Each says what to do.
runtime::Task<Result<Credentials>> load_credentials(runtime::Disk* disk);
runtime::Task<Result<void>> store_credentials(runtime::Disk* disk, Credentials credentials);
// The node's own key: made when there is none.
runtime::Task<Result<crypto::SigningKey>> load_or_create_key(runtime::Disk* disk,
                                                             crypto::KeySource* keys);
std::shared_ptr<const runtime::NodeTls> to_tls(const Credentials& credentials);

// An empty one when there is no file.
runtime::Task<Result<proto::Acquaintances>> load_acquaintances(runtime::Disk* disk);
runtime::Task<Result<void>> store_acquaintances(runtime::Disk* disk, proto::Acquaintances known);

// The CA as the metadata has it. kNotFound before it was founded; kCorrupt when the cluster secret
// does not open its key.
Result<crypto::Issuer> open_issuer(const meta::View& view, const crypto::Key256& secret);

// Makes this node the first member of its cluster, with a new CA, unless that has been done. `self`
// names id, name, labels and addresses. May be repeated after an interruption.
runtime::Task<Result<void>> found_trust(runtime::World* control, crypto::KeySource* keys,
                                        meta::Group* group, crypto::Key256 secret,
                                        base::ClusterId cluster, proto::Node self);

}  // namespace hamster::cluster
