// Snapshots of the metadata on their way: rows in order, in parts of bounded size, read and written
// on the pool so that the control loop never waits for them.
//
// Apply is deterministic: two replicas at the same entry hold the same rows. A transfer that broke
// off therefore goes on where it stood, as long as the sender still has the snapshot.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "kv/store.h"
#include "meta/places.h"
#include "proto/raft.pb.h"
#include "raft/driver/driver.h"

namespace hamster::meta {

// Rows in one part, in bytes; at least one row.
inline constexpr std::size_t kSnapshotPartBytes = 512U << 10U;

// A snapshot that is being sent.
struct OutgoingSnapshot {
    std::shared_ptr<const kv::Snapshot> rows;
    raft::Tail at;
    proto::Membership members;
};

// Takes one of `store`. kUnavailable while nobody is known to vote.
Result<OutgoingSnapshot> take_snapshot(std::shared_ptr<const kv::Snapshot> rows);
// The part behind `after`, which is row number `rows_before`; nothing in front of the first one.
runtime::Task<Result<proto::SnapshotPart>> read_part(runtime::World* world, OutgoingSnapshot from,
                                                     std::uint64_t rows_before, std::string after);

// A snapshot that is being received, into a store of its own.
class IncomingSnapshot {
  public:
    static runtime::Task<Result<std::unique_ptr<IncomingSnapshot>>> begin(
        runtime::World* world, std::string dir, kv::Options options, proto::SnapshotPart first);
    // Rows that do not follow what is there change nothing: the reply says where to go on. One call
    // at a time.
    runtime::Task<Result<proto::SnapshotReply>> take(proto::SnapshotPart part);
    // After the last part: durable and complete, or an error.
    runtime::Task<Result<void>> finish();

    [[nodiscard]] const raft::Tail& at() const { return at_; }
    [[nodiscard]] const raft::Members& members() const { return members_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] bool is_complete() const { return is_complete_; }
    std::shared_ptr<kv::Store> release() { return std::move(store_); }
    [[nodiscard]] proto::SnapshotReply reply() const;

  private:
    explicit IncomingSnapshot(runtime::World* world) : world_(world) {}

    runtime::World* world_;
    raft::Tail at_;
    raft::Members members_;
    std::string name_;
    std::shared_ptr<kv::Store> store_;
    std::uint64_t rows_ = 0;
    std::string last_;
    bool is_complete_ = false;
};

}  // namespace hamster::meta
