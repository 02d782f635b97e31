#include "placement/encoding.h"

#include <algorithm>

#include "base/assert.h"
#include "base/encoding.h"
#include "placement/layout.h"

namespace hamster::placement {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeader = 4;          // version, width, number of nodes
constexpr std::uint16_t kNoIndex = 0xFFFF;  // in place of an index
static_assert(kMaxNodes < kNoIndex);
static_assert(kHeader + kMaxNodes * sizeof(NodeId) + std::size_t{kPartitions} * kMaxWidth * 2 <=
              kMaxEncodedTable);

// Ascending, each once, without the zero id.
std::vector<NodeId> nodes_of(const Table& table) {
    std::vector<NodeId> nodes = table.nodes;
    std::ranges::sort(nodes);
    const auto repeated = std::ranges::unique(nodes);
    nodes.erase(repeated.begin(), repeated.end());
    if (!nodes.empty() && nodes.front().is_zero()) nodes.erase(nodes.begin());
    return nodes;
}

std::unexpected<Error> corrupt(std::string what) {
    return fail(Code::kCorrupt, "layout table: " + std::move(what));
}

Result<std::vector<NodeId>> read_nodes(std::string_view bytes) {
    std::vector<NodeId> nodes;
    for (; !bytes.empty(); bytes.remove_prefix(sizeof(NodeId))) {
        const auto node = NodeId::from_bytes(bytes.substr(0, sizeof(NodeId)));
        if (node->is_zero() || (!nodes.empty() && *node <= nodes.back())) {
            return corrupt("its nodes are not in order");
        }
        nodes.push_back(*node);
    }
    return nodes;
}

// `bytes`: one index for each place of the table.
Result<> read_places(std::string_view bytes, const std::vector<NodeId>& nodes, Table& table) {
    std::vector<bool> used(nodes.size());
    for (std::size_t i = 0; i < table.nodes.size(); ++i) {
        const std::uint16_t index = base::get_be16(bytes.data() + 2 * i);
        if (index == kNoIndex) continue;
        if (index >= nodes.size()) return corrupt(fmt::format("it has no node {}", index));
        table.nodes[i] = nodes[index];
        used[index] = true;
    }
    if (std::ranges::find(used, false) != used.end()) return corrupt("a node has no place");
    return {};
}

}  // namespace

std::string encode(const Table& table) {
    const auto flaw = flaw_of(table);
    HAMSTER_ASSERT(!flaw, *flaw);
    const std::vector<NodeId> nodes = nodes_of(table);
    HAMSTER_ASSERT(nodes.size() <= kMaxNodes, nodes.size());
    std::string out;
    out.reserve(kHeader + nodes.size() * sizeof(NodeId) + table.nodes.size() * 2);
    out.push_back(static_cast<char>(kVersion));
    out.push_back(static_cast<char>(table.width));
    base::put_be16(out, static_cast<std::uint16_t>(nodes.size()));
    for (const NodeId& node : nodes) out += node.view();
    for (const NodeId& node : table.nodes) {
        const auto index = std::ranges::lower_bound(nodes, node) - nodes.begin();
        base::put_be16(out, node.is_zero() ? kNoIndex : static_cast<std::uint16_t>(index));
    }
    return out;
}

Result<Table> decode(base::Bytes bytes) {
    const std::string_view text = base::as_text(bytes);
    if (text.size() < kHeader) return corrupt("it is cut short");
    const auto version = static_cast<std::uint8_t>(text[0]);
    if (version > kVersion) {
        return fail(Code::kUnsupported, fmt::format("layout table: version {}", version));
    }
    const auto width = static_cast<std::uint8_t>(text[1]);
    if (version != kVersion || width > kMaxWidth) return corrupt("its header is wrong");
    Table table = Table::of_width(width);
    const std::size_t node_bytes = base::get_be16(text.data() + 2) * sizeof(NodeId);
    if (text.size() != kHeader + node_bytes + table.nodes.size() * 2) {
        return corrupt("its length is wrong");
    }
    if (node_bytes > kMaxNodes * sizeof(NodeId)) return corrupt("it has too many nodes");
    TRY_ASSIGN(const auto nodes, read_nodes(text.substr(kHeader, node_bytes)));
    TRY(read_places(text.substr(kHeader + node_bytes), nodes, table));
    if (const auto flaw = flaw_of(table)) return corrupt(*flaw);
    return table;
}

}  // namespace hamster::placement
