// The object data path: bodies in, bodies out, garbage gone. Knows nothing of HTTP.
//
// Any node takes a body and serves any object. The shards of a blob lie on the nodes that the
// layout names (docs/adr/0015): the node that takes the body sends them there while it comes in;
// who serves it fetches the slices it needs, verified again on arrival, and rebuilds what is
// missing, damaged or slow from the others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/result.h"
#include "meta/group.h"
#include "objects/remote.h"
#include "objects/report.h"
#include "proto/commands.pb.h"
#include "runtime/world.h"
#include "shards/store.h"

namespace hamster::objects {

// Where a body comes from. Fills whole buffers as far as the body goes; 0 at its end, which it
// answers only after everything about the body has been verified (length, signatures, checksums):
// a body that fails verification ends in an Error and is never committed.
class BodySource {
  public:
    virtual ~BodySource() = default;
    virtual runtime::Task<Result<std::size_t>> read(base::MutableBytes out) = 0;
};

// A body that is durable on its holders but referenced by nothing yet. Commit it with a command
// that names it, or let it go: an uncommitted blob is collected as an orphan.
struct StoredBody {
    std::uint64_t size = 0;
    std::optional<proto::NewBlob> blob;  // nullopt when size is 0
    std::vector<base::NodeId> nodes;     // slot i lies on nodes[i], unless its missing bit is set
};

// Streams a stored body out. next() answers verified bytes, empty at the end; a lost or corrupt
// slice that cannot be rebuilt is an Error, and so is a holder out of reach (kUnavailable).
// Read-ahead is bounded.
class BodyReader {
  public:
    virtual ~BodyReader() = default;
    virtual runtime::Task<Result<base::Buffer>> next() = 0;
};

struct ByteRange {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

class Service {
  public:
    virtual ~Service() = default;
    // Reads `source` to its end and makes it durable. `size_hint`: the announced length, if any.
    // Errors of the source pass through unchanged; kNoSpace when the disks are full; kUnavailable
    // when too few nodes take their shards, if possible before anything is read. Any loop: runs on
    // the caller's.
    virtual runtime::Task<Result<StoredBody>> store(BodySource* source,
                                                    std::optional<std::uint64_t> size_hint) = 0;
    // After a commit was refused because the layout had changed: has the nodes that the slots moved
    // to fetch their shards, or stores the body anew when it is too wide for the layout. Answers
    // what is to be committed instead, maybe another blob; kUnavailable when too few nodes could,
    // and then the body is to be discarded.
    virtual runtime::Task<Result<StoredBody>> settle(StoredBody body) = 0;
    // Gives up a stored body at once instead of waiting for the orphan scan. Only for a body whose
    // command was definitely refused; never after kUnknownOutcome.
    virtual runtime::Task<void> discard(StoredBody body) = 0;
    // Opens `range` of the concatenated parts; the first bytes are already in hand when it
    // returns, so a status sent afterwards is true. While the reader lives its blobs are not
    // collected. The view must be the one the parts were read from. kUnavailable when too many
    // holders are out of reach; the context names one.
    virtual runtime::Task<Result<std::unique_ptr<BodyReader>>> open(meta::View view,
                                                                    std::vector<proto::Part> parts,
                                                                    ByteRange range) = 0;
    // What another node asks of this one, after it has shown who it is: the far end of
    // Remote::call(). Any loop; ends in bounded time. None may be under way any more when stop() is
    // called. kNotFound, kCorrupt, kIo, kNoSpace: of the slice; kInvalid, kTooLarge, kConflict,
    // kUnsupported: of the request; kUnavailable.
    virtual runtime::Task<Result<std::string>> serve(base::NodeId from, RemoteMethod what,
                                                     std::string payload) = 0;
    virtual meta::Router& router() = 0;
    // True while this node's disk is full.
    [[nodiscard]] virtual bool is_full() const = 0;
    // True while bodies must be refused for lack of space: without this node the others are too
    // few.
    [[nodiscard]] virtual bool refuses_bodies() const = 0;
    // One round of the reconciler now (tests, simulator), the scrub not counted; it also runs by
    // itself.
    virtual runtime::Task<void> reconcile_once() = 0;
    // Begins to read every shard of this node anew, at the rate of repair. Answers what
    // ReconcileReport::scrub_passes will be when that is done. Control loop.
    virtual std::uint64_t scrub_now() = 0;
    // What it has to do and has done. Control loop.
    [[nodiscard]] virtual ReconcileReport reconcile_report() = 0;
    virtual runtime::Task<void> stop() = 0;
};

struct Options {
    std::uint64_t gc_grace_ms = 60'000;  // garbage is kept this long for slow readers
    std::uint64_t orphan_grace_ms = 0;   // 0: meta::kOrphanGraceMs
    std::uint64_t reconcile_interval_ms = 5'000;
    std::uint64_t orphan_scan_interval_ms = 600'000;
    // Every blob is held against the index of shards this often, besides when there is a reason.
    std::uint64_t full_walk_interval_ms = 600'000;
    // Of this node's repair, bytes of shards; a quarter of it while clients are served.
    std::uint64_t repair_bytes_per_s = 400'000'000;
    // All shards are read in this time, at the least rate or faster.
    std::uint64_t scrub_period_ms = 7ULL * 24 * 3600 * 1000;
    std::uint64_t scrub_least_bytes_per_s = 4ULL << 20;
    // All bodies in flight on this node together, bytes. Requests wait a moment for room, then
    // fail with kUnavailable; read-ahead shrinks first.
    std::uint64_t body_memory_bytes = 256ULL << 20;
    // Whose shards these are. Zero: there are no other nodes, and everything lies here.
    base::NodeId self{};
    // Who holds the blobs that name no holder. Zero: this node.
    base::NodeId founder{};
    // The way to other holders; outlives the service. Null: what they hold is kUnavailable.
    Remote* remote = nullptr;
};

std::unique_ptr<Service> make_service(runtime::World* control, meta::Router* router,
                                      shards::Store* shards, Options options,
                                      base::Metrics* metrics);

}  // namespace hamster::objects
