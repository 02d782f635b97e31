#include "meta/apply_cluster_rules.h"

#include <algorithm>

#include "base/encoding.h"
#include "meta/limits.h"

namespace hamster::meta {

namespace {

constexpr std::uint64_t kMaxPort = 65535;

bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool is_label_char(char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; }
bool is_ip6_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
           c == '.';
}

bool is_host(std::string_view text) {
    if (text.starts_with('[')) {
        return text.size() > 4 && text.ends_with(']') && text.contains(':') &&
               std::ranges::all_of(text.substr(1, text.size() - 2), is_ip6_char);
    }
    return !text.empty() && std::ranges::all_of(text, is_label_char);
}

// Shown to people in one line: no control characters.
bool is_line(std::string_view text, std::size_t most) {
    const auto is_control = [](char c) {
        return static_cast<unsigned char>(c) < ' ' || c == '\x7F';
    };
    return text.size() <= most && base::is_valid_utf8(text) &&
           std::ranges::none_of(text, is_control);
}

}  // namespace

bool is_label(std::string_view text) {
    return !text.empty() && text.size() <= kMaxLabelBytes &&
           std::ranges::all_of(text, is_label_char);
}

bool is_address(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || text.size() > kMaxAddressBytes) return false;
    const auto port = base::parse_u64(text.substr(colon + 1));
    return port && *port >= 1 && *port <= kMaxPort && is_host(text.substr(0, colon));
}

std::optional<std::string> flaw_of(const proto::Node& node) {
    if (!is_label(node.name())) return "the name must be 1 to 63 letters, digits, '.', '_' or '-'";
    if (!node.zone().empty() && !is_label(node.zone())) {
        return "the zone must be at most 63 letters, digits, '.', '_' or '-'";
    }
    if (!is_line(node.host(), kMaxHostBytes)) return "the host must be one line of 255 bytes";
    if (!is_line(node.version(), kMaxVersionBytes)) return "the version must be one short line";
    if (!is_address(node.address())) return "the cluster address must be host:port";
    if (!node.s3_address().empty() && !is_address(node.s3_address())) {
        return "the S3 address must be host:port";
    }
    return std::nullopt;
}

}  // namespace hamster::meta
