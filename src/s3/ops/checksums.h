// The additional checksums of S3: their names, their text forms, where they appear. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/records.pb.h"
#include "s3/error.h"
#include "s3/reply.h"
#include "s3/request.h"
#include "s3/xml.h"

namespace hamster::s3::ops {

using proto::ChecksumAlgorithm;
using proto::ChecksumType;

// What S3 computes when the client announces nothing.
inline constexpr ChecksumAlgorithm kDefaultChecksum = proto::CHECKSUM_CRC64NVME;

// All but NONE, in the order of the API reference.
inline constexpr ChecksumAlgorithm kChecksumAlgorithms[] = {
    proto::CHECKSUM_CRC32, proto::CHECKSUM_CRC32C, proto::CHECKSUM_CRC64NVME, proto::CHECKSUM_SHA1,
    proto::CHECKSUM_SHA256};

std::string_view algorithm_name(ChecksumAlgorithm algorithm);             // "CRC32"; "" for NONE
std::string_view checksum_element(ChecksumAlgorithm algorithm);           // "ChecksumCRC32"
std::string_view checksum_header(ChecksumAlgorithm algorithm);            // "x-amz-checksum-crc32"
std::size_t checksum_bytes(ChecksumAlgorithm algorithm);                  // of the raw value
std::string_view type_name(ChecksumType type);                            // "FULL_OBJECT"
std::optional<ChecksumAlgorithm> parse_algorithm(std::string_view name);  // any case
std::optional<ChecksumType> parse_type(std::string_view name);

// Base64; "-N" follows when it is COMPOSITE of `parts` parts (0: a part's own, no suffix).
std::string checksum_text(const proto::Checksum& checksum, std::size_t parts);
// Strict base64 of the right length; a "-N" suffix is accepted. InvalidRequest otherwise.
S3Result<std::string> parse_checksum_value(ChecksumAlgorithm algorithm, std::string_view text);

// x-amz-checksum-<algorithm> and x-amz-checksum-type; nothing for NONE.
void add_checksum_headers(Reply& reply, const proto::Checksum& checksum, std::size_t parts);
// <ChecksumCRC32>; nothing for NONE.
void add_checksum_element(XmlWriter& xml, const proto::Checksum& checksum, std::size_t parts);

// x-amz-checksum-algorithm and x-amz-checksum-type of CreateMultipartUpload (and the algorithm of
// CopyObject).
struct UploadChecksum {
    ChecksumAlgorithm algorithm = kDefaultChecksum;
    ChecksumType type = proto::CHECKSUM_TYPE_FULL_OBJECT;
};
// Defaults: CRC64NVME and FULL_OBJECT when nothing is asked for; COMPOSITE for the others.
// InvalidRequest for what cannot be combined: full-object SHA, composite CRC64NVME, a type alone.
S3Result<UploadChecksum> upload_checksum(const RequestHead& head);
// x-amz-checksum-algorithm alone; NONE when absent.
S3Result<ChecksumAlgorithm> requested_algorithm(const RequestHead& head);
// x-amz-checksum-mode: ENABLED.
bool wants_checksums(const RequestHead& head);

}  // namespace hamster::s3::ops
