// Checksummed, append-only log of numbered records with group commit, on recycled, pre-written
// files. Knows nothing of Raft: the record is bytes; sequence numbers are contiguous.
// Belongs to one loop. Format: docs/formats/wal.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::wal {

struct Options {
    // Each log file, pre-written. A multiple of base::kBlock; bounds the length of one record.
    std::uint64_t file_bytes = 64ULL << 20;
    std::uint64_t max_group_bytes = 1ULL << 20;  // one durable write at most
    std::uint32_t spare_files = 1;               // recycled files kept for reuse
};
inline constexpr std::uint64_t kMaxRecordBytes = 8ULL << 20;

class Wal {
  public:
    // Opens or creates the log in `dir` and recovers: a torn tail (a write that was never
    // acknowledged) is dropped; damage before the last valid record answers kCorrupt and names file
    // and offset; files written by a newer version answer kUnsupported.
    static runtime::Task<Result<std::unique_ptr<Wal>>> open(runtime::World* world, std::string dir,
                                                            Options options,
                                                            base::Metrics* metrics);
    virtual ~Wal() = default;

    // First and next sequence number; equal when empty. A new log starts at 1.
    // first() moves by whole files when records are dropped at the front.
    [[nodiscard]] virtual std::uint64_t first() const = 0;
    [[nodiscard]] virtual std::uint64_t next() const = 0;

    // Appends one record and returns its number once it is durable. Calls that overlap share a
    // sync; order of calls is order of numbers. After kIo every call fails: the log is poisoned.
    // kNoSpace leaves the log as it was.
    // kTooLarge when it is longer than kMaxRecordBytes or than a file has room for.
    virtual runtime::Task<Result<std::uint64_t>> append(std::string record) = 0;
    // The same, but kConflict if the record would not get the number `seq`: for records that
    // contain their own number. It can happen only after an append before this one failed.
    virtual runtime::Task<Result<void>> append_at(std::uint64_t seq, std::string record) = 0;
    // The same for several, numbered from `seq` on. After an error a first part of them may be in
    // the log: next() says how many.
    virtual runtime::Task<Result<void>> append_all(std::uint64_t seq,
                                                   std::vector<std::string> records) = 0;
    // Reads back [from, to) in order, verified. `visit` returning an error stops. kNotFound for
    // numbers the log does not hold, or dropped while they were being read.
    virtual runtime::Task<Result<void>> read(
        std::uint64_t from, std::uint64_t to,
        std::function<Result<void>(std::uint64_t, base::Bytes)> visit) = 0;
    // Records below `seq` are no longer needed: whole files are recycled.
    virtual runtime::Task<Result<void>> drop_before(std::uint64_t seq) = 0;
    // Durably forgets records >= `seq` (Raft: a conflicting suffix). Takes its turn among the
    // appends. kInvalid below first().
    virtual runtime::Task<Result<void>> drop_from(std::uint64_t seq) = 0;
    // Empties the log and continues at `seq` (Raft: after a snapshot install).
    virtual runtime::Task<Result<void>> reset(std::uint64_t seq) = 0;
    // Waits for pending appends; later calls fail with kClosed.
    virtual runtime::Task<void> stop() = 0;
};

}  // namespace hamster::wal
