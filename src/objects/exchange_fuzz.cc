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
    const auto write = decode_write(payload);
    if (write) {
        const std::string again = encode_write(write->write, hamster::base::as_bytes(write->slice));
        const auto same = decode_write(again);
        HAMSTER_ASSERT(same.has_value() && same->slice == write->slice);
        HAMSTER_ASSERT(same->write.address == write->write.address);
    }
    const auto abandon = decode_abandon(payload);
    if (abandon) HAMSTER_ASSERT(decode_abandon(encode_abandon(*abandon)) == abandon);
    const auto pull = decode_pull(payload);
    if (pull) HAMSTER_ASSERT(decode_pull(encode_pull(*pull)) == pull);
    const auto removed = decode_remove(payload);
    if (removed) HAMSTER_ASSERT(decode_remove(encode_remove(*removed)) == removed);
    const auto in_use = decode_in_use(payload);
    if (in_use) HAMSTER_ASSERT(decode_in_use(encode_in_use(*in_use)) == in_use);
    const SliceAddress address = read.value_or(SliceAddress{});
    const auto slice = verify_slice(address, payload);
    if (slice) HAMSTER_ASSERT(encode_slice(address, *slice) == payload);
    return 0;
}
