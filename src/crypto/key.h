// A 256-bit symmetric key, wiped from memory when it goes.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "base/bytes.h"

namespace hamster::crypto {

struct Key256 {
    static constexpr std::size_t kSize = 32;
    std::array<std::byte, kSize> raw{};

    Key256() = default;
    Key256(const Key256&) = default;
    Key256& operator=(const Key256&) = default;
    ~Key256();

    // Exactly 32 bytes, else nullopt.
    static std::optional<Key256> from_bytes(base::Bytes bytes);
    [[nodiscard]] base::Bytes bytes() const { return raw; }
    bool operator==(const Key256& other) const;  // in constant time
};

}  // namespace hamster::crypto
