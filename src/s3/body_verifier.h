// The body that an operation reads: computes the digests on the way and answers the end only when
// everything the client announced about the body has been found right.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crypto/digest.h"
#include "runtime/world.h"
#include "s3/action.h"
#include "s3/aws_chunked_source.h"
#include "s3/body.h"
#include "s3/byte_source.h"
#include "s3/md5_lane.h"
#include "s3/payload.h"
#include "s3/request.h"

namespace hamster::s3 {

// What a request announces about its body.
struct BodyExpectations {
    std::optional<std::uint64_t> length;
    std::uint64_t min_bytes = 0;  // forms: content-length-range
    std::uint64_t max_bytes = UINT64_MAX;
    std::string content_md5;  // 16 bytes, or empty
    std::string sha256_hex;   // 64 digits, or empty
    proto::ChecksumAlgorithm algorithm = proto::CHECKSUM_NONE;
    std::string checksum;  // raw; empty: comes in the trailer, or is only computed
    bool in_trailer = false;
};

// InvalidDigest, InvalidRequest. Checksums of the whole object in CompleteMultipartUpload are not
// about the body and left to the operation.
S3Result<BodyExpectations> expectations_of(const RequestHead& head, Action action,
                                           const PayloadPlan& plan);

class BodyVerifier final : public RequestBody {
  public:
    // `source` (and `chunked`, the same or null, which has the trailers) must outlive it.
    BodyVerifier(runtime::World* world, ByteSource* source, const AwsChunkedSource* chunked,
                 BodyExpectations expected);

    runtime::Task<Result<std::size_t>> read(base::MutableBytes out) override;
    [[nodiscard]] std::optional<std::uint64_t> length() const override { return expected_.length; }
    [[nodiscard]] proto::ChecksumAlgorithm announced() const override {
        return expected_.algorithm;
    }
    void want_checksum(proto::ChecksumAlgorithm algorithm) override;
    void want_md5() override;
    [[nodiscard]] std::string md5() const override { return md5_; }
    [[nodiscard]] std::optional<proto::Checksum> checksum() const override;
    [[nodiscard]] const std::optional<S3Error>& failure() const override { return failure_; }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    // Must be awaited before destruction.
    runtime::Task<void> stop() { return lane_.stop(); }

  private:
    std::unexpected<Error> fail_with(S3Error error);
    void want(crypto::DigestKind kind);
    runtime::Task<S3Result<std::size_t>> fill(base::MutableBytes out);
    runtime::Task<S3Result<>> verify();
    S3Result<> check_checksum() const;
    [[nodiscard]] const std::string& value_of(crypto::DigestKind kind) const;

    ByteSource* source_;
    const AwsChunkedSource* chunked_;
    BodyExpectations expected_;
    proto::ChecksumAlgorithm wanted_ = proto::CHECKSUM_NONE;
    bool wants_md5_ = false;
    bool md5_on_pool_ = false;
    Md5Lane lane_;
    std::vector<crypto::Digest> digests_;                             // each kind once
    std::vector<std::pair<crypto::DigestKind, std::string>> values_;  // after the end
    std::string md5_;
    std::uint64_t bytes_ = 0;
    bool started_ = false;
    bool source_ended_ = false;
    bool verified_ = false;
    std::optional<S3Error> failure_;
};

}  // namespace hamster::s3
