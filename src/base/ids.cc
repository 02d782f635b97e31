#include "base/ids.h"

#include "base/assert.h"
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

namespace {

// How many values of the first 12 bits belong to one partition.
unsigned share() { return kPartitions / partitions(); }

unsigned first_bits(const BlobId& blob) {
    const auto high = std::to_integer<unsigned>(blob.raw[0]);
    const auto low = std::to_integer<unsigned>(blob.raw[1]);
    return (high << 4U) | (low >> 4U);
}

}  // namespace

std::uint16_t partition_of(const BlobId& blob) {
    return static_cast<std::uint16_t>(first_bits(blob) / share());
}

BlobId in_partition(BlobId blob, std::uint16_t partition) {
    HAMSTER_ASSERT(partition < partitions(), partition);
    const unsigned bits = partition * share() + first_bits(blob) % share();
    blob.raw[0] = static_cast<std::byte>(bits >> 4U);
    blob.raw[1] = (blob.raw[1] & std::byte{0x0F}) | static_cast<std::byte>((bits & 0xFU) << 4U);
    return blob;
}

}  // namespace hamster::base
