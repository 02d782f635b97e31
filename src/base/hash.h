// Non-cryptographic integrity hashes of everything stored.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace hamster::base {

std::uint64_t xxh3_64(Bytes bytes, std::uint64_t seed = 0);

struct Hash128 {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const Hash128&) const = default;
};
Hash128 xxh3_128(Bytes bytes);
// Hash of a then b, without joining them.
Hash128 xxh3_128(Bytes a, Bytes b);

}  // namespace hamster::base
