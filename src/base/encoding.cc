#include "base/encoding.h"

#include <array>
#include <bit>
#include <cstring>

namespace hamster::base {
namespace {

constexpr std::string_view kLowerHex = "0123456789abcdef";
constexpr std::string_view kUpperHex = "0123456789ABCDEF";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 0xFF;

// Value of each character of `alphabet`, kNoDigit elsewhere.
constexpr std::array<std::uint8_t, 256> digit_table(std::string_view alphabet) {
    std::array<std::uint8_t, 256> table{};
    table.fill(kNoDigit);
    for (std::size_t i = 0; i < alphabet.size(); ++i) {
        table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    }
    return table;
}

constexpr std::array<std::uint8_t, 256> hex_digit_table() {
    std::array<std::uint8_t, 256> table = digit_table(kLowerHex);
    for (std::size_t i = 10; i < 16; ++i) {
        table[static_cast<unsigned char>(kUpperHex[i])] = static_cast<std::uint8_t>(i);
    }
    return table;
}

constexpr std::array<std::uint8_t, 256> kHexDigit = hex_digit_table();
constexpr std::array<std::uint8_t, 256> kBase64Digit = digit_table(kBase64);
constexpr std::array<std::uint8_t, 256> kBase64UrlDigit = digit_table(kBase64Url);

unsigned hex_digit(char c) { return kHexDigit[static_cast<unsigned char>(c)]; }

// The byte written as two hex digits, or -1.
int hex_pair(char high, char low) {
    const unsigned h = hex_digit(high);
    const unsigned l = hex_digit(low);
    if (h == kNoDigit || l == kNoDigit) return -1;
    return static_cast<int>(h << 4U | l);
}

// Base 64 without padding.
std::string base64_digits(Bytes bytes, std::string_view alphabet) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j) {
            group = group << 8U | (j < have ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0U);
        }
        for (std::size_t j = 0; j <= have; ++j) {
            out.push_back(alphabet[group >> (18 - 6 * j) & 0x3FU]);
        }
    }
    return out;
}

// The bytes of digits without padding; nullopt on any other character.
std::optional<std::string> base64_value(std::string_view digits,
                                        const std::array<std::uint8_t, 256>& table) {
    std::string out;
    out.reserve(digits.size() / 4 * 3 + 2);
    std::uint32_t bits = 0;
    unsigned bit_count = 0;
    for (const char c : digits) {
        const unsigned digit = table[static_cast<unsigned char>(c)];
        if (digit == kNoDigit) return std::nullopt;
        bits = (bits << 6U | digit) & 0xFFFFU;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out.push_back(static_cast<char>(bits >> bit_count & 0xFFU));
        }
    }
    // The bits that are left over must be zero: one text per value.
    if ((bits & ((1U << bit_count) - 1)) != 0) return std::nullopt;
    return out;
}

bool is_unreserved(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

template <class T>
void put_big_endian(std::string& out, T v) {
    const std::size_t at = out.size();
    out.resize(at + sizeof(T));
    const T swapped = std::byteswap(v);
    std::memcpy(out.data() + at, &swapped, sizeof(T));
}

template <class T>
T get_big_endian(const void* p) {
    T v = 0;
    std::memcpy(&v, p, sizeof(T));
    return std::byteswap(v);
}

static_assert(std::endian::native == std::endian::little);

// Length of the well-formed UTF-8 sequence at the start of `text` (not empty), 0 when malformed.
// The bounds of the second byte are those of table 3-7 of the Unicode standard: they exclude
// overlong forms, surrogates and values above U+10FFFF.
std::size_t utf8_sequence(std::string_view text) {
    const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte_at(0);
    if (lead < 0x80) return 1;
    std::size_t length = 0;
    unsigned low = 0x80;
    unsigned high = 0xBF;
    if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        if (lead == 0xE0) low = 0xA0;
        if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        if (lead == 0xF0) low = 0x90;
        if (lead == 0xF4) high = 0x8F;
    } else {
        return 0;
    }
    if (text.size() < length || byte_at(1) < low || byte_at(1) > high) return 0;
    for (std::size_t i = 2; i < length; ++i) {
        if ((byte_at(i) & 0xC0U) != 0x80) return 0;
    }
    return length;
}

}  // namespace

std::string hex_encode(Bytes bytes) {
    std::string out(bytes.size() * 2, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto b = std::to_integer<unsigned>(bytes[i]);
        out[2 * i] = kLowerHex[b >> 4U];
        out[2 * i + 1] = kLowerHex[b & 0xFU];
    }
    return out;
}

std::optional<std::string> hex_decode(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string out(text.size() / 2, '\0');
    for (std::size_t i = 0; i < out.size(); ++i) {
        const int value = hex_pair(text[2 * i], text[2 * i + 1]);
        if (value < 0) return std::nullopt;
        out[i] = static_cast<char>(value);
    }
    return out;
}

std::string base64_encode(Bytes bytes) {
    std::string out = base64_digits(bytes, kBase64);
    out.append((4 - out.size() % 4) % 4, '=');
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) {
        text.remove_suffix(1);
    }
    return base64_value(text, kBase64Digit);
}

std::string base64url_encode(Bytes bytes) { return base64_digits(bytes, kBase64Url); }

std::optional<std::string> base64url_decode(std::string_view text) {
    if (text.size() % 4 == 1) return std::nullopt;  // a whole byte takes two digits at least
    return base64_value(text, kBase64UrlDigit);
}

std::string uri_encode(std::string_view text, bool keep_slash) {
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    for (const char c : text) {
        if (is_unreserved(c) || (keep_slash && c == '/')) {
            out.push_back(c);
            continue;
        }
        const auto b = static_cast<unsigned char>(c);
        out.push_back('%');
        out.push_back(kUpperHex[b >> 4U]);
        out.push_back(kUpperHex[b & 0xFU]);
    }
    return out;
}

std::optional<std::string> uri_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            if (text.size() - i < 3) return std::nullopt;
            const int value = hex_pair(text[i + 1], text[i + 2]);
            if (value < 0) return std::nullopt;
            out.push_back(static_cast<char>(value));
            i += 2;
        } else {
            out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
        }
    }
    return out;
}

bool is_valid_utf8(std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = utf8_sequence(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::optional<std::uint64_t> parse_u64(std::string_view text) {
    if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        if (__builtin_mul_overflow(value, std::uint64_t{10}, &value)) return std::nullopt;
        if (__builtin_add_overflow(value, static_cast<std::uint64_t>(c - '0'), &value)) {
            return std::nullopt;
        }
    }
    return value;
}

void put_be16(std::string& out, std::uint16_t v) { put_big_endian(out, v); }
void put_be32(std::string& out, std::uint32_t v) { put_big_endian(out, v); }
void put_be64(std::string& out, std::uint64_t v) { put_big_endian(out, v); }
std::uint16_t get_be16(const void* p) { return get_big_endian<std::uint16_t>(p); }
std::uint32_t get_be32(const void* p) { return get_big_endian<std::uint32_t>(p); }
std::uint64_t get_be64(const void* p) { return get_big_endian<std::uint64_t>(p); }

void store_le32(std::byte* p, std::uint32_t v) { std::memcpy(p, &v, sizeof(v)); }
void store_le64(std::byte* p, std::uint64_t v) { std::memcpy(p, &v, sizeof(v)); }

std::uint32_t load_le32(const std::byte* p) {
    std::uint32_t v = 0;
    std::memcpy(&v, p, sizeof(v));
    return v;
}

std::uint64_t load_le64(const std::byte* p) {
    std::uint64_t v = 0;
    std::memcpy(&v, p, sizeof(v));
    return v;
}

}  // namespace hamster::base
