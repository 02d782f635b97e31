// The body of one request as an operation sees it: decoded from aws-chunked, and verified. The
// end (0 bytes) is answered only after length, chunk signatures, x-amz-content-sha256,
// Content-MD5 and x-amz-checksum-* (header or trailer) have all been found right.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "objects/service.h"
#include "proto/records.pb.h"
#include "s3/error.h"

namespace hamster::s3 {

class RequestBody : public objects::BodySource {
  public:
    // Decoded length, when announced (Content-Length or x-amz-decoded-content-length).
    [[nodiscard]] virtual std::optional<std::uint64_t> length() const = 0;
    // What the client announced: x-amz-checksum-<algo> header or trailer, or
    // x-amz-sdk-checksum-algorithm; CHECKSUM_NONE when nothing.
    [[nodiscard]] virtual proto::ChecksumAlgorithm announced() const = 0;
    // Also compute this one (before the first read), e.g. what the upload was created with.
    virtual void want_checksum(proto::ChecksumAlgorithm algorithm) = 0;
    // Compute MD5 (the ETag); before the first read. Off for XML bodies without Content-MD5.
    virtual void want_md5() = 0;

    // After read() answered 0:
    [[nodiscard]] virtual std::string md5() const = 0;  // 16 bytes
    // The checksum of want_checksum(), or the announced one; nullopt when neither.
    [[nodiscard]] virtual std::optional<proto::Checksum> checksum() const = 0;

    // Why read() failed, as S3 puts it; nullopt while it has not, or when the failure was not the
    // client's (use from_error then).
    [[nodiscard]] virtual const std::optional<S3Error>& failure() const = 0;
};

// The whole body in memory, verified: for XML. More than `limit` bytes: MalformedXML /
// EntityTooLarge.
runtime::Task<S3Result<std::string>> read_all(RequestBody* body, std::size_t limit);

}  // namespace hamster::s3
