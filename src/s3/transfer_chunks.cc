#include "s3/transfer_chunks.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"

namespace hamster::s3 {

namespace {
constexpr std::size_t kMaxLine = 18;  // 16 hex digits and CRLF
}

S3Result<std::size_t> TransferChunks::framing(std::string_view input) {
    std::size_t used = 0;
    while (used < input.size() && state_ != State::kPayload && state_ != State::kDone) {
        line_ += input[used++];
        if (line_.size() > kMaxLine) return refuse(ErrorCode::kIncompleteBody);
        if (!line_.ends_with('\n')) continue;
        if (!line_.ends_with("\r\n")) return refuse(ErrorCode::kIncompleteBody);
        line_.resize(line_.size() - 2);
        if (auto ended = end_line(); !ended) return std::unexpected(ended.error());
        line_.clear();
    }
    return used;
}

S3Result<> TransferChunks::end_line() {
    if (state_ != State::kSize) {
        if (!line_.empty()) return refuse(ErrorCode::kIncompleteBody);
        state_ = state_ == State::kLastLine ? State::kDone : State::kSize;
        return {};
    }
    const char* end = line_.data() + line_.size();
    const auto [stop, error] = std::from_chars(line_.data(), end, left_, 16);
    if (line_.empty() || error != std::errc() || stop != end) {
        return refuse(ErrorCode::kIncompleteBody);
    }
    state_ = left_ == 0 ? State::kLastLine : State::kPayload;
    return {};
}

void TransferChunks::took_payload(std::uint64_t bytes) {
    HAMSTER_ASSERT(state_ == State::kPayload && bytes <= left_, bytes, left_);
    left_ -= bytes;
    if (left_ == 0) state_ = State::kAfterPayload;
}

}  // namespace hamster::s3
