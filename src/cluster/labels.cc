#include "cluster/labels.h"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>

#include "base/encoding.h"
#include "meta/apply_cluster_rules.h"

namespace hamster::cluster {

namespace {

constexpr std::size_t kMostShown = 80;  // bytes of a wrong word in a message

struct Unit {
    std::string_view name;  // lower case
    std::uint64_t bytes;
};
constexpr std::array<Unit, 12> kUnits{{
    {"", 1},
    {"b", 1},
    {"kb", 1'000},
    {"mb", 1'000'000},
    {"gb", 1'000'000'000},
    {"tb", 1'000'000'000'000},
    {"pb", 1'000'000'000'000'000},
    {"kib", 1ULL << 10},
    {"mib", 1ULL << 20},
    {"gib", 1ULL << 30},
    {"tib", 1ULL << 40},
    {"pib", 1ULL << 50},
}};

std::string quoted(std::string_view text) {
    return "'" + std::string(text.substr(0, kMostShown)) + "'";
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

Result<std::string> parse_label(std::string_view what, std::string_view text) {
    if (meta::is_label(text)) return std::string(text);
    return fail(Code::kInvalid, quoted(text) + " is no " + std::string(what) +
                                    ": it must be 1 to 63 letters, digits, '.', '_' or '-'");
}

}  // namespace

Result<std::string> parse_node_name(std::string_view text) {
    return parse_label("name for a node", text);
}

Result<std::string> parse_zone(std::string_view text) {
    if (text.empty()) return std::string();
    return parse_label("zone", text);
}

Result<std::uint64_t> parse_capacity(std::string_view text) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = base::parse_u64(text.substr(0, digits));
    const auto unit = std::ranges::find(kUnits, lower(text.substr(digits)), &Unit::name);
    if (!number || *number == 0 || unit == kUnits.end() || *number > UINT64_MAX / unit->bytes) {
        return fail(Code::kInvalid, quoted(text) + " is no capacity: it must be a whole number " +
                                        "and a unit, such as 500GiB or 2TB");
    }
    return *number * unit->bytes;
}

Result<std::string> parse_listen(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    std::string_view host = text.substr(0, std::min(colon, text.size()));
    const bool is_bracketed = host.starts_with('[') && host.ends_with(']');
    if (is_bracketed) host = host.substr(1, host.size() - 2);
    const auto port =
        colon == std::string_view::npos ? std::nullopt : base::parse_u64(text.substr(colon + 1));
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(std::string(host), error);
    const bool is_good = !error && port && *port > 0 && *port <= 65535 &&
                         address.is_v6() == is_bracketed && !address.is_unspecified();
    if (!is_good) {
        return fail(Code::kInvalid,
                    fmt::format("`{}`: say -listen IP:PORT, the address of this machine that other "
                                "nodes connect to; names and 0.0.0.0 do not work",
                                text));
    }
    return std::string(text);
}

}  // namespace hamster::cluster
