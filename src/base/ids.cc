#include "base/ids.h"

#include "base/partitions.h"

namespace hamster::base {

std::array<std::byte, 16> uuid_v7(std::uint64_t unix_ms, std::array<std::byte, 16> random) {
    for (std::size_t i = 0; i < 6; ++i) {
        random[i] = static_cast<std::byte>(unix_ms >> (40 - 8 * i));
    }
    random[6] = (random[6] & std::byte{0x0F}) | std::byte{0x70};  // version 7
    random[8] = (random[8] & std::byte{0x3F}) | std::byte{0x80};  // variant 10
    return random;
}

std::uint16_t partition_of(const BlobId& blob) {
    const auto high = std::to_integer<unsigned>(blob.raw[0]);
    const auto low = std::to_integer<unsigned>(blob.raw[1]);
    const unsigned bits = (high << 4U) | (low >> 4U);
    return static_cast<std::uint16_t>(bits / (kPartitions / partitions()));
}

}  // namespace hamster::base
