// Requests and answers of other nodes from arbitrary bytes: never crashes, and what is accepted
// says the same when it is sent again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "objects/exchange.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hamster::objects;
    const std::string payload(reinterpret_cast<const char*>(data), size);
    const auto read = decode_read(payload);
    if (read) HAMSTER_ASSERT(decode_read(encode_read(*read)) == read);
    const auto blobs = decode_keep(payload);
    if (blobs) HAMSTER_ASSERT(decode_keep(encode_keep(*blobs)) == blobs);
    const SliceAddress address = read.value_or(SliceAddress{});
    const auto slice = verify_slice(address, payload);
    if (slice) HAMSTER_ASSERT(encode_slice(address, *slice) == payload);
    return 0;
}
