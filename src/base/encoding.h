// Text and integer encodings. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace hamster::base {

std::string hex_encode(Bytes bytes);  // lower case
// Either case; nullopt on an odd length or any other character.
std::optional<std::string> hex_decode(std::string_view text);
std::string base64_encode(Bytes bytes);  // RFC 4648 section 4, padded
// Strict: padding required, no white space, canonical trailing bits.
std::optional<std::string> base64_decode(std::string_view text);
std::string base64url_encode(Bytes bytes);  // RFC 4648 section 5, without padding
// Strict: no padding, no white space, canonical trailing bits.
std::optional<std::string> base64url_decode(std::string_view text);

// RFC 3986 unreserved characters stay, all else becomes %XX (upper case). `keep_slash` leaves '/'.
std::string uri_encode(std::string_view text, bool keep_slash);
// %XX -> byte; nullopt on a malformed escape. '+' stays '+' unless `plus_is_space`.
std::optional<std::string> uri_decode(std::string_view text, bool plus_is_space = false);

bool is_valid_utf8(std::string_view text);

// Decimal without sign, space or leading zero (except "0"); nullopt otherwise or on overflow.
std::optional<std::uint64_t> parse_u64(std::string_view text);

void put_be16(std::string& out, std::uint16_t v);
void put_be32(std::string& out, std::uint32_t v);
void put_be64(std::string& out, std::uint64_t v);
std::uint16_t get_be16(const void* p);
std::uint32_t get_be32(const void* p);
std::uint64_t get_be64(const void* p);
// Little endian, for headers of stored records.
void store_le32(std::byte* p, std::uint32_t v);
void store_le64(std::byte* p, std::uint64_t v);
std::uint32_t load_le32(const std::byte* p);
std::uint64_t load_le64(const std::byte* p);

// Times. Milliseconds since 1970-01-01T00:00:00Z.
std::string iso8601(std::uint64_t unix_ms);    // 2026-11-22T14:43:50.123Z
std::string http_date(std::uint64_t unix_ms);  // Sun, 22 Nov 2026 14:43:50 GMT
// RFC 7231 section 7.1.1.1: IMF-fixdate, RFC 850 and asctime forms. nullopt when none matches.
// A valid date before 1970 gives 0, so that conditions on it still order correctly.
std::optional<std::uint64_t> parse_http_date(std::string_view text);
// yyyymmddThhmmssZ, the form of x-amz-date.
std::string amz_date(std::uint64_t unix_ms);
std::optional<std::uint64_t> parse_amz_date(std::string_view text);
// 2026-11-22T14:43:50[.fraction]Z; digits of the fraction beyond milliseconds are dropped.
std::optional<std::uint64_t> parse_iso8601(std::string_view text);

}  // namespace hamster::base
