// Any bytes as a sealed secret: never opens (a forgery would break AES-GCM), never crashes; and
// the same bytes as a plaintext come back.
#include <cstdint>

#include "base/assert.h"
#include "crypto/seal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace hamster;
    const base::Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
    static crypto::OsKeySource keys;
    static const crypto::Key256 key = keys.key();
    HAMSTER_ASSERT(!crypto::open(key, bytes, {}));
    if (size <= crypto::kMaxSecret) {
        const std::string sealed = crypto::seal(&keys, key, bytes, {});
        const auto opened = crypto::open(key, base::as_bytes(sealed), {});
        HAMSTER_ASSERT(opened && *opened == base::as_text(bytes));
    }
    return 0;
}
