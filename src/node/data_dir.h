// The data directory: what it is, whose it is, and whether this binary may use it.
//
//   hamster.format   identity and format version, human readable, checksummed; written last by
//                    init, so a directory with it is complete. docs/formats/data-directory.md
//   cluster.secret   0600; seals the secrets in the metadata
//   node.key  node.crt  ca.crt  cluster.acquaintances   cluster/trust.h
//   lock             held by the process that uses the directory
//   meta/  shards/   the stores
//   admin.sock       the control socket of the running node
//
// Errors say what to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "runtime/world.h"

namespace hamster::node {

inline constexpr std::uint32_t kFormat = 1;
inline constexpr std::string_view kFormatFile = "hamster.format";
inline constexpr std::string_view kFoundingFile = "hamster.founding";  // an init under way
inline constexpr std::string_view kSecretFile = "cluster.secret";
inline constexpr std::string_view kLockFile = "lock";
inline constexpr std::string_view kMetaDir = "meta";
inline constexpr std::string_view kShardsDir = "shards";
inline constexpr std::string_view kControlSocket = "admin.sock";

struct Identity {
    base::ClusterId cluster;
    base::NodeId node;
    std::uint64_t created_ms = 0;
    bool is_newcomer = false;  // joined a cluster; otherwise founded it
    bool operator==(const Identity&) const = default;
};

std::string format_identity(const Identity& identity);
// kCorrupt when damaged, kUnsupported when written by a newer version.
Result<Identity> parse_identity(std::string_view text);

// Takes the lock and reads the identity of a directory that init has finished.
runtime::Task<Result<Identity>> claim_data_dir(runtime::Disk* disk);

// Takes the lock and answers the identity to found the node with: a new one, or that of an init
// that was interrupted. Refuses a directory that holds anything but hamster's own half-made files.
runtime::Task<Result<Identity>> begin_init(runtime::World* world);
// The same for a node that joins `cluster`.
runtime::Task<Result<Identity>> begin_join(runtime::World* world, base::ClusterId cluster);
// The stores are founded: the directory is complete.
runtime::Task<Result<void>> finish_init(runtime::Disk* disk);

}  // namespace hamster::node
