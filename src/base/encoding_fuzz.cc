// Any text through every decoder: no crash, and whatever is accepted encodes back to a text that
// decodes to the same value.
#include "base/assert.h"
#include "base/encoding.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hamster::base;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto v = base64_decode(text)) HAMSTER_ASSERT(base64_encode(as_bytes(*v)) == text);
    if (const auto v = hex_decode(text)) HAMSTER_ASSERT(hex_decode(hex_encode(as_bytes(*v))) == v);
    if (const auto v = uri_decode(text)) HAMSTER_ASSERT(uri_decode(uri_encode(*v, true)) == v);
    if (const auto v = parse_u64(text)) HAMSTER_ASSERT(std::to_string(*v) == text);
    if (const auto v = parse_amz_date(text)) HAMSTER_ASSERT(amz_date(*v) == text);
    if (const auto v = parse_iso8601(text)) HAMSTER_ASSERT(parse_iso8601(iso8601(*v)) == v);
    if (const auto v = parse_http_date(text)) HAMSTER_ASSERT(parse_http_date(http_date(*v)) == v);
    (void)is_valid_utf8(text);
    (void)uri_decode(text, true);
    return 0;
}
