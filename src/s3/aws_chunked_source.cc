#include "s3/aws_chunked_source.h"

#include <algorithm>
#include <cstring>

namespace hamster::s3 {

namespace {
// Small, because what is read ahead must be copied; the rest of a chunk goes straight to the
// caller.
constexpr std::size_t kReadAhead = 4 * 1024;  // bytes
}  // namespace

// Reads framing until payload is due or the body has ended.
runtime::Task<S3Result<>> AwsChunkedSource::next_chunk() {
    buffer_.resize(kReadAhead);
    while (chunks_.payload_left() == 0 && !chunks_.is_done()) {
        if (begin_ == end_) {
            base::MutableBytes room(reinterpret_cast<std::byte*>(buffer_.data()), buffer_.size());
            auto n = co_await below_->read_some(room);
            CO_TRY(n);
            if (*n == 0) co_return refuse(ErrorCode::kIncompleteBody);
            begin_ = 0;
            end_ = *n;
        }
        auto used = chunks_.framing(std::string_view(buffer_).substr(begin_, end_ - begin_));
        CO_TRY(used);
        begin_ += *used;
    }
    co_return S3Result<>();
}

runtime::Task<S3Result<std::size_t>> AwsChunkedSource::read_some(base::MutableBytes out) {
    auto ready = co_await next_chunk();
    CO_TRY(ready);
    if (chunks_.is_done()) {
        // Nothing may follow the end inside the same body.
        std::byte extra{};
        if (begin_ != end_) co_return refuse(ErrorCode::kIncompleteBody);
        auto n = co_await below_->read_some(base::MutableBytes(&extra, 1));
        CO_TRY(n);
        if (*n != 0) co_return refuse(ErrorCode::kIncompleteBody);
        co_return std::size_t{0};
    }
    const auto want =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), chunks_.payload_left()));
    std::size_t got = std::min(want, end_ - begin_);
    if (got > 0) {
        std::memcpy(out.data(), buffer_.data() + begin_, got);
        begin_ += got;
    } else {
        auto n = co_await below_->read_some(out.first(want));
        CO_TRY(n);
        if (*n == 0) co_return refuse(ErrorCode::kIncompleteBody);
        got = *n;
    }
    chunks_.took_payload(out.first(got));
    co_return got;
}

}  // namespace hamster::s3
