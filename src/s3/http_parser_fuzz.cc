// Request heads, and what is made of them before anything is authenticated.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "s3/address.h"
#include "s3/auth_header.h"
#include "s3/http_parser.h"
#include "s3/payload.h"
#include "s3/route.h"
#include "s3/sigv4.h"

using namespace hamster::s3;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto parsed = parse_head(text);
    if (!parsed || !*parsed) return 0;
    const RequestHead& head = (*parsed)->head;
    if ((*parsed)->bytes > size) __builtin_trap();
    if (head.chunked && head.content_length) __builtin_trap();
    if (const auto address = parse_address(head, "s3.test")) {
        if (address->key.size() > 1024) __builtin_trap();
        (void)route(head, address->level);
    }
    (void)parse_presigned(head);
    if (const auto value = head.header("authorization")) (void)parse_authorization(*value);
    (void)plan_payload(head, head.header("x-amz-content-sha256").value_or(kUnsignedPayload));
    (void)canonical_request(head, {"host"}, kUnsignedPayload);
    return 0;
}
