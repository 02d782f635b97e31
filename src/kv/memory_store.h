// The store in memory, for simulation. Everything lives in an immutable balanced tree that shares
// its nodes between points in time: a snapshot is a pointer, a write never disturbs a reader.
// flush() writes the whole content to one file. Private to the room.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "kv/store.h"

namespace hamster::kv {

// A treap: a search tree by key and a heap by priority. Priorities are a hash of the key, so the
// same keys give the same tree whatever the order of writes. Nodes never change once linked.
struct TreeNode;
using Tree = std::shared_ptr<const TreeNode>;
struct TreeNode {
    std::string key;
    std::string value;
    std::uint64_t priority = 0;
    Tree left;
    Tree right;
};

Tree tree_put(const Tree& tree, std::string key, std::string value);
Tree tree_erase_range(const Tree& tree, std::string_view from, std::string_view to);
// Largest file open() reads, in bytes: a simulation, not a database.
inline constexpr std::size_t kMaxMemoryFileBytes = 1ULL << 30;

class MemoryStore final : public Store {
  public:
    MemoryStore(runtime::World* world, std::string path) : world_(world), path_(std::move(path)) {}

    std::unique_ptr<Batch> batch() override;
    Result<void> write(Batch& batch) override;
    [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override;
    std::shared_ptr<const Snapshot> snapshot() const override;
    runtime::Task<Result<void>> flush() override;
    [[nodiscard]] std::uint64_t disk_bytes() const override;
    [[nodiscard]] std::uint64_t unflushed_bytes() const override;

    // Takes the content of a file that flush() wrote. kCorrupt when it does not verify.
    Result<void> load(std::string_view content);

  private:
    [[nodiscard]] Tree tree() const;

    runtime::World* world_;
    std::string path_;
    mutable std::mutex mutex_;  // reads come from any thread
    Tree tree_;
    std::uint64_t disk_bytes_ = 0;
    std::uint64_t written_bytes_ = 0;  // by all batches so far
    std::uint64_t flushed_bytes_ = 0;  // of these
    std::optional<Error> failed_;      // a flush failed: what is on the disk is not known
};

// "HAMKV\0\0\1", count, then length-prefixed keys and values, then XXH3-64 of all before it.
std::string encode_tree(const Tree& tree);
Result<Tree> decode_tree(std::string_view content);

}  // namespace hamster::kv
