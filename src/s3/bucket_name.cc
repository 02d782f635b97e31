#include "s3/bucket_name.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace hamster::s3 {

namespace {

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// Four groups of digits: 192.168.5.4
bool looks_like_ipv4(std::string_view name) {
    if (!std::ranges::all_of(name, [](char c) { return c == '.' || (c >= '0' && c <= '9'); })) {
        return false;
    }
    return std::ranges::count(name, '.') == 3;
}

constexpr std::array<std::string_view, 3> kReservedPrefixes = {"xn--", "sthree-", "amzn-s3-demo-"};
constexpr std::array<std::string_view, 5> kReservedSuffixes = {"-s3alias", "--ol-s3", ".mrap",
                                                               "--x-s3", "--table-s3"};

}  // namespace

bool is_valid_bucket_name(std::string_view name) {
    if (name.size() < 3 || name.size() > 63) return false;
    if (!is_letter_or_digit(name.front()) || !is_letter_or_digit(name.back())) return false;
    if (!std::ranges::all_of(
            name, [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-'; })) {
        return false;
    }
    if (name.find("..") != std::string_view::npos || looks_like_ipv4(name)) return false;
    return std::ranges::none_of(kReservedPrefixes,
                                [&](std::string_view p) { return name.starts_with(p); }) &&
           std::ranges::none_of(kReservedSuffixes,
                                [&](std::string_view s) { return name.ends_with(s); });
}

}  // namespace hamster::s3
