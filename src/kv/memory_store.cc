#include "kv/memory_store.h"

#include <utility>
#include <variant>
#include <vector>

#include "base/assert.h"

namespace hamster::kv {
namespace {

const TreeNode* find_at_least(const TreeNode* node, std::string_view key) {
    const TreeNode* best = nullptr;
    while (node != nullptr) {
        if (node->key >= key) {
            best = node;
            node = node->left.get();
        } else {
            node = node->right.get();
        }
    }
    return best;
}

// Strictly below `key`, or up to it.
const TreeNode* find_below(const TreeNode* node, std::string_view key, bool inclusive) {
    const TreeNode* best = nullptr;
    while (node != nullptr) {
        if (node->key < key || (inclusive && node->key == key)) {
            best = node;
            node = node->right.get();
        } else {
            node = node->left.get();
        }
    }
    return best;
}

std::optional<std::string> find(const Tree& tree, std::string_view key) {
    const TreeNode* node = find_at_least(tree.get(), key);
    return node != nullptr && node->key == key ? std::optional(node->value) : std::nullopt;
}

struct Put {
    std::string key;
    std::string value;
};
struct EraseRange {
    std::string from;
    std::string to;
};

class MemoryBatch final : public Batch {
  public:
    void put(std::string_view key, std::string_view value) override {
        ops_.emplace_back(Put{std::string(key), std::string(value)});
        bytes_ += key.size() + value.size();
    }
    void erase(std::string_view key) override {
        ops_.emplace_back(EraseRange{std::string(key), std::string(key) + '\0'});
        bytes_ += key.size();
    }
    void erase_range(std::string_view from, std::string_view to) override {
        ops_.emplace_back(EraseRange{std::string(from), std::string(to)});
        bytes_ += from.size() + to.size();
    }
    void clear() override {
        ops_.clear();
        bytes_ = 0;
    }
    [[nodiscard]] std::size_t bytes() const override { return bytes_; }

    [[nodiscard]] Tree apply(Tree tree) const {
        for (const auto& op : ops_) {
            if (const auto* put = std::get_if<Put>(&op)) {
                tree = tree_put(tree, put->key, put->value);
            } else {
                const auto& range = std::get<EraseRange>(op);
                tree = tree_erase_range(tree, range.from, range.to);
            }
        }
        return tree;
    }

  private:
    std::vector<std::variant<Put, EraseRange>> ops_;
    std::size_t bytes_ = 0;
};

class MemoryIterator final : public Iterator {
  public:
    explicit MemoryIterator(Tree tree) : tree_(std::move(tree)) {}
    void seek(std::string_view key) override { at_ = find_at_least(tree_.get(), key); }
    void seek_for_prev(std::string_view key) override { at_ = find_below(tree_.get(), key, true); }
    void next() override {
        HAMSTER_ASSERT(at_ != nullptr);
        at_ = find_at_least(tree_.get(), at_->key + '\0');
    }
    void prev() override {
        HAMSTER_ASSERT(at_ != nullptr);
        at_ = find_below(tree_.get(), at_->key, false);
    }
    [[nodiscard]] bool valid() const override { return at_ != nullptr; }
    [[nodiscard]] std::string_view key() const override { return at_->key; }
    [[nodiscard]] std::string_view value() const override { return at_->value; }
    [[nodiscard]] Result<void> status() const override { return {}; }

  private:
    Tree tree_;
    const TreeNode* at_ = nullptr;
};

class MemorySnapshot final : public Snapshot {
  public:
    explicit MemorySnapshot(Tree tree) : tree_(std::move(tree)) {}
    [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override {
        return find(tree_, key);
    }
    [[nodiscard]] std::unique_ptr<Iterator> iterate() const override {
        return std::make_unique<MemoryIterator>(tree_);
    }

  private:
    Tree tree_;
};

}  // namespace

Tree MemoryStore::tree() const {
    const std::lock_guard lock(mutex_);
    return tree_;
}

std::unique_ptr<Batch> MemoryStore::batch() { return std::make_unique<MemoryBatch>(); }

Result<void> MemoryStore::write(Batch& batch) {
    if (failed_) {
        return std::unexpected(*failed_);
    }
    Tree changed = static_cast<MemoryBatch&>(batch).apply(tree());
    const std::lock_guard lock(mutex_);
    tree_.swap(changed);
    written_bytes_ += batch.bytes();
    return {};
}

Result<std::optional<std::string>> MemoryStore::get(std::string_view key) const {
    return find(tree(), key);
}

std::shared_ptr<const Snapshot> MemoryStore::snapshot() const {
    return std::make_shared<MemorySnapshot>(tree());
}

runtime::Task<Result<void>> MemoryStore::flush() {
    if (failed_) {
        co_return std::unexpected(*failed_);
    }
    const std::uint64_t covered = written_bytes_;
    std::string content = encode_tree(tree());
    const std::uint64_t bytes = content.size();
    auto written = co_await runtime::write_file(&world_->disk, path_, std::move(content));
    if (!written) {
        if (written.error().code != Code::kNoSpace) {
            failed_ = written.error();
        }
        co_return written;
    }
    const std::lock_guard lock(mutex_);
    disk_bytes_ = bytes;
    flushed_bytes_ = std::max(flushed_bytes_, covered);
    co_return Result<void>{};
}

std::uint64_t MemoryStore::disk_bytes() const {
    const std::lock_guard lock(mutex_);
    return disk_bytes_;
}

std::uint64_t MemoryStore::unflushed_bytes() const {
    const std::lock_guard lock(mutex_);
    return written_bytes_ - flushed_bytes_;
}

Result<void> MemoryStore::load(std::string_view content) {
    TRY_ASSIGN(tree_, decode_tree(content));
    disk_bytes_ = content.size();
    return {};
}

}  // namespace hamster::kv
