// Transfer-Encoding: chunked (RFC 9112 section 7.1) as a pure state machine over the framing only:
// the bytes of the chunks pass it by. Extensions and trailers are refused: nothing we serve needs
// them, and proxies disagree about them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "s3/error.h"

namespace hamster::s3 {

class TransferChunks {
  public:
    // Consumes framing up to the next payload byte or the end. Answers the bytes consumed; all of
    // them when more framing must follow.
    S3Result<std::size_t> framing(std::string_view input);
    // Payload bytes that may be taken now, before framing() is due again.
    [[nodiscard]] std::uint64_t payload_left() const { return left_; }
    void took_payload(std::uint64_t bytes);
    [[nodiscard]] bool is_done() const { return state_ == State::kDone; }

  private:
    enum class State { kSize, kPayload, kAfterPayload, kLastLine, kDone };
    S3Result<> end_line();

    State state_ = State::kSize;
    std::string line_;  // of the framing, as far as it has come
    std::uint64_t left_ = 0;
};

}  // namespace hamster::s3
