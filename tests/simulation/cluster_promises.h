// What the metadata of a cluster say about shards: where each of them is, or may be.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "meta/layout.h"
#include "meta/view.h"
#include "shards/store.h"

namespace hamster::simulation {

struct PromisedBlob {
    base::BlobId id;
    proto::Blob blob;
    // By slot: whom to ask, in order. Nobody: it is known to be missing.
    std::vector<std::vector<base::NodeId>> slots;
};

// Of all live blobs, those of uploads in progress among them, in id order.
Result<std::vector<PromisedBlob>> promises_of(const meta::View& view);

// What has been lost for good and may not have been made good yet.
struct Losses {
    std::set<base::NodeId> nodes;      // their disks
    std::set<shards::ShardId> shards;  // single ones, wherever they lie
};

// How many more shards of the blob may be lost before it cannot be read, if each shard that may lie
// on a lost node is one; less than 0: it cannot be.
int spare_shards(const PromisedBlob& promised, const Losses& losses);

// Empty when every blob has one shard more than it takes to read it, if it has parity at all; or
// the first that has not.
std::string below_floor(const meta::View& view);
// Empty when every blob has all its shards on the nodes of the layout; or what is not so.
std::string redundancy_gap(const meta::View& view);
// Empty when nothing is left to collect; or what is.
std::string garbage_left(const meta::View& view);
// Empty when the counters of geometries are those of the rows; or the first difference.
std::string miscounted(const meta::View& view);

}  // namespace hamster::simulation
