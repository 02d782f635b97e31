// Any text as a join token, and any bytes as the inside of one whose checksum is right: no crash,
// and what is accepted is exactly what encode() writes.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/encoding.h"
#include "crypto/crc.h"
#include "crypto/join_token.h"

namespace {

using namespace hamster;

void try_text(const std::string& text) {
    const auto token = crypto::decode(text);
    if (!token) {
        HAMSTER_ASSERT(token.error().code == Code::kInvalid && !token.error().context.empty());
        return;
    }
    const std::string again = crypto::encode(*token);
    HAMSTER_ASSERT(text.find(again) != std::string::npos);  // white space around it is allowed
    HAMSTER_ASSERT(crypto::matches(crypto::stored(*token), token->proof));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    try_text(bytes);
    base::put_be32(bytes, crypto::crc32c(0, base::as_bytes(bytes)));
    try_text("hamster1." + base::base64url_encode(base::as_bytes(bytes)));
    return 0;
}
