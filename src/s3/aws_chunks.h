// aws-chunked ("Transferring Payload in Multiple Chunks" of the S3 API reference) as a pure state
// machine over the framing, the chunk signatures and the trailers. Payload passes by: it is shown
// to the machine only to be hashed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "crypto/digest.h"
#include "s3/error.h"
#include "s3/payload.h"

namespace hamster::s3 {

class AwsChunks {
  public:
    // Copies what it needs of the plan.
    explicit AwsChunks(const PayloadPlan& plan);

    // Consumes framing up to the next payload byte or the end; answers the bytes consumed.
    S3Result<std::size_t> framing(std::string_view input);
    [[nodiscard]] std::uint64_t payload_left() const { return left_; }
    // `bytes` of payload have been taken, no more than payload_left().
    void took_payload(base::Bytes bytes);
    // The last chunk, its signature, the trailers and theirs have been found right, and the
    // payload had the announced length.
    [[nodiscard]] bool is_done() const { return state_ == State::kDone; }
    // Names lower case, exactly the announced ones.
    [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& trailers() const {
        return trailers_;
    }

  private:
    enum class State { kHeader, kPayload, kAfterPayload, kTrailer, kDone };
    S3Result<> end_line(std::string_view line);
    S3Result<> chunk_header(std::string_view line);
    S3Result<> trailer_line(std::string_view line);
    S3Result<> check_chunk_signature();
    S3Result<> finish();

    PayloadMode mode_;
    ChunkSeed seed_;                      // signature: of the chunk before
    std::vector<std::string> announced_;  // trailers
    std::uint64_t decoded_left_;          // payload bytes still to come
    State state_ = State::kHeader;
    std::string line_;
    std::size_t trailer_bytes_ = 0;
    std::uint64_t left_ = 0;              // payload bytes of this chunk
    bool last_ = false;                   // this chunk is the final, empty one
    std::string chunk_signature_;         // claimed by this chunk
    std::optional<crypto::Digest> hash_;  // of this chunk
    std::vector<std::pair<std::string, std::string>> trailers_;
    std::optional<std::string> trailer_signature_;
};

}  // namespace hamster::s3
