#include "s3/ops/listing.h"

#include <array>

#include "base/encoding.h"
#include "meta/limits.h"
#include "s3/ops/arguments.h"

namespace hamster::s3::ops {

namespace {

constexpr char kTokenVersion = 1;

constexpr std::array<bool, 256> plain_table() {
    std::array<bool, 256> out{};
    for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-._*/")) {
        out[static_cast<unsigned char>(c)] = true;
    }
    return out;
}
constexpr std::array<bool, 256> kPlain = plain_table();

}  // namespace

S3Result<bool> wants_url_encoding(const RequestHead& head) {
    const auto type = head.param("encoding-type");
    if (!type || type->empty()) return false;
    if (*type == "url") return true;
    return invalid_argument("encoding-type", *type, "Invalid Encoding Method specified in Request");
}

void append_listing_encoded(std::string& out, std::string_view text) {
    constexpr char kHex[] = "0123456789ABCDEF";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (kPlain[byte]) {
            out += c;
        } else if (c == ' ') {
            out += '+';
        } else {
            out += '%';
            out += kHex[byte >> 4U];
            out += kHex[byte & 15U];
        }
    }
}

void ListingText::element(XmlWriter& xml, std::string_view name, std::string_view value) {
    if (!url_) {
        xml.element(name, value);
        return;
    }
    scratch_.clear();
    append_listing_encoded(scratch_, value);
    xml.element(name, scratch_);
}

void ListingText::optional_element(XmlWriter& xml, std::string_view name, std::string_view value) {
    if (!value.empty()) element(xml, name, value);
}

void ListingText::common_prefixes(XmlWriter& xml, const std::vector<std::string>& prefixes) {
    for (const std::string& prefix : prefixes) {
        xml.open("CommonPrefixes");
        element(xml, "Prefix", prefix);
        xml.close();
    }
}

std::string make_token(const Position& position) {
    std::string raw;
    raw += kTokenVersion;
    raw += position.is_prefix ? 'p' : 'k';
    raw += position.after;
    return base::base64_encode(base::as_bytes(raw));
}

std::optional<Position> read_token(std::string_view token) {
    const auto raw = base::base64_decode(token);
    if (!raw || raw->size() < 3 || raw->size() > 2 + meta::kMaxKeyBytes) return std::nullopt;
    const char kind = (*raw)[1];
    if ((*raw)[0] != kTokenVersion || (kind != 'p' && kind != 'k')) return std::nullopt;
    return Position{raw->substr(2), kind == 'p'};
}

Position position_after_key(std::string_view key, std::string_view prefix,
                            std::string_view delimiter) {
    if (!delimiter.empty() && key.starts_with(prefix)) {
        const auto at = key.find(delimiter, prefix.size());
        if (at != std::string_view::npos) {
            return {std::string(key.substr(0, at + delimiter.size())), true};
        }
    }
    return {std::string(key), false};
}

}  // namespace hamster::s3::ops
