// ETag and checksum of a multipart object, from those of its parts. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "proto/records.pb.h"

namespace hamster::meta {

// S3: hex MD5 of the parts' raw MD5s one after another, "-", their number.
std::string composite_etag(std::span<const proto::Part> parts);

// COMPOSITE: the digest of the parts' raw checksums one after another. FULL_OBJECT: the CRC of the
// whole, combined from those of the parts. The type is the upload's, or S3's default: FULL_OBJECT
// for CRC64NVME, else COMPOSITE. nullopt when a part lacks the checksum, or the SHA family is asked
// for FULL_OBJECT.
std::optional<proto::Checksum> composite_checksum(const proto::Upload& upload,
                                                  std::span<const proto::Part> parts);

}  // namespace hamster::meta
