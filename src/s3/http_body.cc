#include "s3/http_body.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace hamster::s3 {

namespace {
constexpr std::size_t kInitialReceive = 8 * 1024;  // bytes: a head and a small body at once
constexpr std::size_t kFramingRead = 4 * 1024;     // bytes read ahead for chunk framing
}  // namespace

void Received::consume(std::size_t bytes) {
    HAMSTER_ASSERT(bytes <= end_ - begin_, bytes, begin_, end_);
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
}

base::MutableBytes Received::spare(std::size_t limit) {
    if (begin_ > 0) {
        std::memmove(data_.data(), data_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    HAMSTER_ASSERT(end_ < limit, end_, limit);
    if (end_ == data_.size()) {
        data_.resize(std::min(limit, std::max(kInitialReceive, data_.size() * 2)));
    }
    const std::size_t room = std::min(limit, data_.size()) - end_;
    return {reinterpret_cast<std::byte*>(data_.data()) + end_, room};
}

void Received::shrink() {
    if (data_.size() > kInitialReceive && empty()) {
        data_.clear();
        data_.shrink_to_fit();
    }
}

HttpBody::HttpBody(runtime::World* world, runtime::Stream* stream, Received* received,
                   const RequestHead& head, BodyDeadlines deadlines)
    : world_(world),
      stream_(stream),
      received_(received),
      deadlines_(deadlines),
      chunked_(head.chunked),
      awaits_continue_(head.expect_continue),
      left_(head.content_length.value_or(0)) {}

std::unexpected<S3Error> HttpBody::fail_with(ErrorCode code) {
    broken_ = true;
    return refuse(code);
}

runtime::Task<S3Result<>> HttpBody::send_continue() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    awaits_continue_ = false;
    stream_->set_deadline(world_->clock.now() + deadlines_.read);
    std::vector<base::Bytes> pieces{base::as_bytes(kContinue)};
    auto written = co_await stream_->write(std::move(pieces));
    if (!written) co_return fail_with(ErrorCode::kIncompleteBody);
    co_return S3Result<>();
}

// Some bytes off the connection. Only the time spent waiting here counts against the client.
runtime::Task<S3Result<std::size_t>> HttpBody::fill(base::MutableBytes out) {
    if (awaits_continue_) {
        auto sent = co_await send_continue();
        CO_TRY(sent);
    }
    const auto earned = std::chrono::seconds(bytes_read_ / deadlines_.bytes_per_second);
    const runtime::Micros allowed = deadlines_.slack + earned - waited_;
    if (allowed.count() <= 0) co_return fail_with(ErrorCode::kRequestTimeout);
    const runtime::Time before = world_->clock.now();
    stream_->set_deadline(before + std::min(deadlines_.read, allowed));
    auto n = co_await stream_->read_some(out);
    waited_ += world_->clock.now() - before;
    if (!n) {
        co_return fail_with(n.error().code == Code::kTimeout ? ErrorCode::kRequestTimeout
                                                             : ErrorCode::kIncompleteBody);
    }
    if (*n == 0) co_return fail_with(ErrorCode::kIncompleteBody);
    bytes_read_ += *n;
    co_return *n;
}

// Payload: first what came with the head, then straight from the connection.
runtime::Task<S3Result<std::size_t>> HttpBody::take(base::MutableBytes out, std::uint64_t limit) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), limit));
    if (!received_->empty()) {
        const std::size_t n = std::min(want, received_->view().size());
        std::memcpy(out.data(), received_->view().data(), n);
        received_->consume(n);
        awaits_continue_ = false;  // it did not wait
        co_return n;
    }
    auto n = co_await fill(out.first(want));
    co_return n;
}

runtime::Task<S3Result<std::size_t>> HttpBody::read_chunked(base::MutableBytes out) {
    while (chunks_.payload_left() == 0) {
        if (received_->empty()) {
            auto n = co_await fill(received_->spare(kFramingRead));
            CO_TRY(n);
            received_->received(*n);
        }
        auto used = chunks_.framing(received_->view());
        if (!used) co_return fail_with(used.error().code);
        received_->consume(*used);
        if (chunks_.is_done()) co_return std::size_t{0};
    }
    auto n = co_await take(out, chunks_.payload_left());
    CO_TRY(n);
    chunks_.took_payload(*n);
    co_return *n;
}

runtime::Task<S3Result<std::size_t>> HttpBody::read_some(base::MutableBytes out) {
    HAMSTER_ASSERT(!out.empty());
    if (broken_) co_return refuse(ErrorCode::kIncompleteBody);
    if (is_done()) co_return std::size_t{0};
    if (chunked_) {
        auto n = co_await read_chunked(out);
        co_return n;
    }
    auto n = co_await take(out, left_);
    CO_TRY(n);
    left_ -= *n;
    co_return *n;
}

}  // namespace hamster::s3
