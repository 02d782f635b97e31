// The body of one request as HTTP frames it, read from the connection: straight into the caller's
// memory unless bytes arrived together with the head. Answers 100-continue when first read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/world.h"
#include "s3/byte_source.h"
#include "s3/request.h"
#include "s3/transfer_chunks.h"

namespace hamster::s3 {

// Bytes of a connection that have been received but not used yet.
class Received {
  public:
    [[nodiscard]] std::string_view view() const {
        return std::string_view(data_).substr(begin_, end_ - begin_);
    }
    [[nodiscard]] bool empty() const { return begin_ == end_; }
    void consume(std::size_t bytes);
    // Room for at least one more byte, at most `limit` in all. The memory holds until the next
    // call; what was put there is then told by received().
    base::MutableBytes spare(std::size_t limit);
    void received(std::size_t bytes) { end_ += bytes; }
    // Gives memory back while the connection is idle.
    void shrink();

  private:
    std::string data_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

struct BodyDeadlines {
    runtime::Micros read = std::chrono::seconds(30);   // for some bytes to come
    runtime::Micros slack = std::chrono::seconds(60);  // of waiting, in all, before ...
    std::uint64_t bytes_per_second = 1024;             // ... this rate must be kept
};

class HttpBody final : public ByteSource {
  public:
    // Everything must outlive the body.
    HttpBody(runtime::World* world, runtime::Stream* stream, Received* received,
             const RequestHead& head, BodyDeadlines deadlines);

    runtime::Task<S3Result<std::size_t>> read_some(base::MutableBytes out) override;

    // Nothing of the body is left on the connection.
    [[nodiscard]] bool is_done() const { return chunked_ ? chunks_.is_done() : left_ == 0; }
    // The client still waits for 100-continue: what it sends next cannot be known.
    [[nodiscard]] bool awaits_continue() const { return awaits_continue_ && !is_done(); }
    // The client asked for 100-continue and got none, for there is no body to wait for.
    [[nodiscard]] bool owes_continue() const { return awaits_continue_ && is_done(); }
    runtime::Task<S3Result<>> send_continue();
    [[nodiscard]] bool is_broken() const { return broken_; }
    [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }
    // At most; exact unless chunked.
    [[nodiscard]] std::uint64_t bytes_left() const { return chunked_ ? UINT64_MAX : left_; }

  private:
    runtime::Task<S3Result<std::size_t>> fill(base::MutableBytes out);
    runtime::Task<S3Result<std::size_t>> take(base::MutableBytes out, std::uint64_t limit);
    runtime::Task<S3Result<std::size_t>> read_chunked(base::MutableBytes out);
    std::unexpected<S3Error> fail_with(ErrorCode code);

    runtime::World* world_;
    runtime::Stream* stream_;
    Received* received_;
    BodyDeadlines deadlines_;
    bool chunked_;
    bool awaits_continue_;
    bool broken_ = false;
    std::uint64_t left_;  // without chunks
    TransferChunks chunks_;
    std::uint64_t bytes_read_ = 0;  // off the connection
    runtime::Micros waited_{0};
};

}  // namespace hamster::s3
