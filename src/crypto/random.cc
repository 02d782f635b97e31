#include "crypto/random.h"

#include <openssl/rand.h>

#include <algorithm>
#include <climits>

#include "base/assert.h"

namespace hamster::crypto {

void random_bytes(MutableBytes out) {
    while (!out.empty()) {
        const std::size_t n = std::min<std::size_t>(out.size(), INT_MAX);
        const int ok =
            RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(n));
        HAMSTER_ASSERT(ok == 1, out.size());
        out = out.subspan(n);
    }
}

Key256 KeySource::key() {
    Key256 key;
    fill(key.raw);
    return key;
}

}  // namespace hamster::crypto
