// The tree of memory_store.h and its bytes.
#include <functional>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "kv/memory_store.h"

namespace hamster::kv {
namespace {

constexpr std::string_view kMagic("HAMKV\0\0\1", 8);

Tree with_children(const TreeNode& node, Tree left, Tree right) {
    return std::make_shared<const TreeNode>(
        TreeNode{node.key, node.value, node.priority, std::move(left), std::move(right)});
}

// Keys below `key`, and the others.
std::pair<Tree, Tree> split(const Tree& tree, std::string_view key) {
    if (!tree) {
        return {};
    }
    if (tree->key < key) {
        auto [low, high] = split(tree->right, key);
        return {with_children(*tree, tree->left, std::move(low)), std::move(high)};
    }
    auto [low, high] = split(tree->left, key);
    return {std::move(low), with_children(*tree, std::move(high), tree->right)};
}

// Every key of `low` is below every key of `high`.
Tree join(const Tree& low, const Tree& high) {
    if (!low || !high) {
        return low ? low : high;
    }
    if (low->priority > high->priority) {
        return with_children(*low, low->left, join(low->right, high));
    }
    return with_children(*high, join(low, high->left), high->right);
}

void visit(const Tree& tree, const std::function<void(const TreeNode&)>& f) {
    if (tree) {
        visit(tree->left, f);
        f(*tree);
        visit(tree->right, f);
    }
}

bool take_string(std::string_view& in, std::string* out) {
    if (in.size() < 4) {
        return false;
    }
    const std::uint32_t n = base::get_be32(in.data());
    in.remove_prefix(4);
    if (in.size() < n) {
        return false;
    }
    out->assign(in.substr(0, n));
    in.remove_prefix(n);
    return true;
}

}  // namespace

Tree tree_erase_range(const Tree& tree, std::string_view from, std::string_view to) {
    if (from >= to) {
        return tree;
    }
    auto [low, rest] = split(tree, from);
    auto [middle, high] = split(rest, to);
    return join(low, high);
}

Tree tree_put(const Tree& tree, std::string key, std::string value) {
    std::string after = key + '\0';  // the next possible key
    auto [low, rest] = split(tree, key);
    auto [old, high] = split(rest, after);
    const std::uint64_t priority = base::xxh3_64(base::as_bytes(key));
    const Tree node = std::make_shared<const TreeNode>(
        TreeNode{std::move(key), std::move(value), priority, nullptr, nullptr});
    return join(join(low, node), high);
}

std::string encode_tree(const Tree& tree) {
    std::string out(kMagic);
    std::uint64_t count = 0;
    visit(tree, [&count](const TreeNode&) { ++count; });
    base::put_be64(out, count);
    visit(tree, [&out](const TreeNode& node) {
        base::put_be32(out, static_cast<std::uint32_t>(node.key.size()));
        out += node.key;
        base::put_be32(out, static_cast<std::uint32_t>(node.value.size()));
        out += node.value;
    });
    base::put_be64(out, base::xxh3_64(base::as_bytes(out)));
    return out;
}

Result<Tree> decode_tree(std::string_view content) {
    const auto corrupt = [] { return fail(Code::kCorrupt, "the store's file does not verify"); };
    if (content.size() < kMagic.size() + 16 || !content.starts_with(kMagic)) {
        return corrupt();
    }
    std::string_view in = content.substr(0, content.size() - 8);
    if (base::xxh3_64(base::as_bytes(in)) != base::get_be64(content.data() + in.size())) {
        return corrupt();
    }
    in.remove_prefix(kMagic.size());
    const std::uint64_t count = base::get_be64(in.data());
    in.remove_prefix(8);
    Tree tree;
    for (std::uint64_t i = 0; i < count; ++i) {
        std::string key;
        std::string value;
        if (!take_string(in, &key) || !take_string(in, &value)) {
            return corrupt();
        }
        tree = tree_put(tree, std::move(key), std::move(value));
    }
    if (!in.empty()) {
        return corrupt();
    }
    return tree;
}

}  // namespace hamster::kv
