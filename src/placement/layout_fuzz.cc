// Any bytes as a layout table: an error, or a table that is encoded to exactly these bytes.
#include <cstdint>

#include "base/assert.h"
#include "placement/encoding.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hamster;
    const base::Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
    if (const auto table = placement::decode(bytes)) {
        HAMSTER_ASSERT(placement::encode(*table) == base::as_text(bytes));
    }
    return 0;
}
