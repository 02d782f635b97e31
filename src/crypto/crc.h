// The CRCs S3 offers as checksums, at memory speed. All three are reflected, with an initial value
// and a final xor of all ones, and take and give finished values: the CRC of nothing is 0, and
// crc32(crc32(0, a), b) is the CRC of a then b. Pure; any thread.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace hamster::crypto {

using base::Bytes;

std::uint32_t crc32(std::uint32_t crc, Bytes bytes);      // ISO-HDLC, as zlib
std::uint32_t crc32c(std::uint32_t crc, Bytes bytes);     // Castagnoli, as iSCSI
std::uint64_t crc64nvme(std::uint64_t crc, Bytes bytes);  // NVM Express

// The CRC of a then b from those of a and b, in time logarithmic in the length of b.
std::uint32_t crc32_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_b);
std::uint32_t crc32c_combine(std::uint32_t a, std::uint32_t b, std::uint64_t length_b);
std::uint64_t crc64nvme_combine(std::uint64_t a, std::uint64_t b, std::uint64_t length_b);

// The portable versions, for processors without carry-less multiplication; the fast ones are
// tested against them.
namespace portable {
std::uint32_t crc32(std::uint32_t crc, Bytes bytes);
std::uint32_t crc32c(std::uint32_t crc, Bytes bytes);
std::uint64_t crc64nvme(std::uint64_t crc, Bytes bytes);
}  // namespace portable

}  // namespace hamster::crypto
