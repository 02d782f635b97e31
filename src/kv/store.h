// Ordered key-value store, bytes to bytes, lexicographic. Two implementations that pass the same
// conformance tests: RocksDB (production) and in memory (simulation).
// No write-ahead log: what was written since the last flush() may be gone after a crash, always as
// a whole suffix of write() batches. Callers replay their own log from what they find.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/task.h"
#include "runtime/world.h"

namespace hamster::kv {

// Collected writes, applied atomically and in order. Not thread-safe.
class Batch {
  public:
    virtual ~Batch() = default;
    virtual void put(std::string_view key, std::string_view value) = 0;
    virtual void erase(std::string_view key) = 0;
    // [from, to). Prefer erase() for a few keys.
    virtual void erase_range(std::string_view from, std::string_view to) = 0;
    virtual void clear() = 0;
    [[nodiscard]] virtual std::size_t bytes() const = 0;
};

// Forward iteration over one snapshot. kCorrupt and kIo end it: check status() when valid() turned
// false. Views are valid until the next move.
class Iterator {
  public:
    virtual ~Iterator() = default;
    virtual void seek(std::string_view key) = 0;           // first key >= key
    virtual void seek_for_prev(std::string_view key) = 0;  // last key <= key
    virtual void next() = 0;
    virtual void prev() = 0;
    [[nodiscard]] virtual bool valid() const = 0;
    [[nodiscard]] virtual std::string_view key() const = 0;
    [[nodiscard]] virtual std::string_view value() const = 0;
    [[nodiscard]] virtual Result<void> status() const = 0;
};

// A point in time. Any thread. Must be destroyed before its store.
class Snapshot {
  public:
    virtual ~Snapshot() = default;
    [[nodiscard]] virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;
    [[nodiscard]] virtual std::unique_ptr<Iterator> iterate() const = 0;
};

// One writer at a time (the control loop); reads and snapshots from any thread.
class Store {
  public:
    virtual ~Store() = default;
    virtual std::unique_ptr<Batch> batch() = 0;
    // Visible to later reads when it returns; durable only after a flush().
    virtual Result<void> write(Batch& batch) = 0;
    [[nodiscard]] virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;
    virtual std::shared_ptr<const Snapshot> snapshot() const = 0;
    // Everything written before the call is durable when it returns. kNoSpace, kIo.
    virtual runtime::Task<Result<void>> flush() = 0;
    // Bytes on disk, and bytes not flushed yet. Estimates.
    [[nodiscard]] virtual std::uint64_t disk_bytes() const = 0;
    [[nodiscard]] virtual std::uint64_t unflushed_bytes() const = 0;
};

struct Options {
    std::uint64_t cache_bytes = 64ULL << 20;         // block cache
    std::uint64_t write_buffer_bytes = 16ULL << 20;  // memtable; flushed when full
};

// Opens `dir` (relative to the data directory), creating it if absent. kCorrupt when the files are
// damaged. Picks RocksDB when the disk has real paths, the in-memory store otherwise.
runtime::Task<Result<std::unique_ptr<Store>>> open(runtime::World* world, std::string dir,
                                                   Options options);

}  // namespace hamster::kv
