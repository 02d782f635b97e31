// The part of a connection that reads and writes its stream.
#include <fmt/format.h>

#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "rpc/connection.h"

namespace hamster::rpc {

namespace {

// One write gathers frames up to this many bytes, or one longer frame; and up to so many frames.
constexpr std::size_t kBatchBytes = 256UL * 1024;
constexpr std::size_t kBatchFrames = 64;
// How long, and for how many reads, one waits for a refused peer to read the reason and close.
constexpr runtime::Micros kLinger = std::chrono::seconds(1);
constexpr int kLingerReads = 16;

}  // namespace

Hello Connection::our_hello() const {
    return {endpoint_->versions, endpoint_->cluster, endpoint_->node, lane_};
}

// Who dialled speaks first.
runtime::Task<Result<void>> Connection::greet() {
    const bool dialled = expected_.has_value();
    if (dialled) {
        Frame hello{.kind = FrameKind::kHello, .payload = encode_hello(our_hello())};
        auto written = co_await write_frame(std::move(hello));
        CO_TRY(written);
    }
    auto frame = co_await read_frame();
    if (has_ended()) co_return std::unexpected(reason_);
    Result<void> checked;
    if (!frame) {
        checked = std::unexpected(frame.error());
        // Another version of frames can still read ours; noise cannot.
        if (frame.error().code != Code::kUnsupported) co_return checked;
    } else {
        if (frame->kind == FrameKind::kRefuse) {
            CO_TRY_ASSIGN(Error error, decode_error(frame->payload));
            error.context = "the peer refuses the connection: " + error.context;
            co_return std::unexpected(std::move(error));
        }
        checked = check(*frame);
    }
    if (!checked) {
        co_await refuse(checked.error());
        co_return checked;
    }
    if (!dialled) {
        Frame hello{.kind = FrameKind::kHello, .payload = encode_hello(our_hello())};
        checked = co_await write_frame(std::move(hello));
    }
    co_return checked;
}

// Decides whether the greeting of the peer is accepted, and remembers who it is.
Result<void> Connection::check(const Frame& frame) {
    if (frame.kind != FrameKind::kHello) return fail(Code::kCorrupt, "the peer does not greet");
    TRY_ASSIGN(const Hello hello, decode_hello(frame.payload));
    TRY_ASSIGN(version_, agree(our_hello(), hello));
    TRY_ASSIGN(const base::NodeId verified, endpoint_->verify(*stream_, hello));
    if (verified != hello.node) {
        return fail(Code::kDenied,
                    fmt::format("node {} claims to be node {}", verified.hex(), hello.node.hex()));
    }
    if (expected_ && *expected_ != verified) {
        return fail(Code::kDenied, fmt::format("node {} was dialled, node {} answered",
                                               expected_->hex(), verified.hex()));
    }
    if (expected_ && hello.lane != lane_) {
        return fail(Code::kCorrupt, "the peer greets on another lane");
    }
    if (!endpoint_->handler->admits(verified)) {
        return fail(Code::kDenied,
                    fmt::format("node {} is not admitted to the cluster", verified.hex()));
    }
    peer_ = verified;
    lane_ = hello.lane;
    return {};
}

// During the greeting only: later the write loop alone writes.
runtime::Task<Result<void>> Connection::write_frame(Frame frame) {
    const FrameHeaderBytes header = encode_header(frame);
    std::vector<base::Bytes> pieces{header, base::as_bytes(frame.payload)};
    auto written = co_await stream_->write(std::move(pieces));
    co_return written;
}

// Says why, and waits until the peer has had time to read it: to close a stream with unread bytes
// can take away from the peer what it was sent.
runtime::Task<void> Connection::refuse(Error why) {
    LOG_WARN("rpc", "refusing a connection with {}: {}", stream_->peer(), why.context);
    stream_->set_deadline(clock().now() + kLinger);
    Frame frame{.kind = FrameKind::kRefuse, .payload = encode_error(why)};
    auto written = co_await write_frame(std::move(frame));
    if (!written || has_ended()) co_return;
    co_await stream_->shutdown();
    for (int i = 0; i < kLingerReads && !has_ended(); ++i) {
        std::array<std::byte, 4096> ignored{};
        auto n = co_await stream_->read_some(ignored);
        if (!n || *n == 0) co_return;
    }
}

runtime::Task<Result<Frame>> Connection::read_frame() {
    while (!has_ended()) {
        CO_TRY_ASSIGN(std::optional<Frame> frame, reader_.next());
        if (frame) co_return std::move(*frame);
        auto n = co_await stream_->read_some(reader_.spare());
        CO_TRY(n);
        if (*n == 0) co_return fail(Code::kClosed, "the peer closed the connection");
        reader_.received(*n);
        heard_ = clock().now();
    }
    co_return std::unexpected(reason_);
}

runtime::Task<void> Connection::read_loop() {
    while (!has_ended()) {
        auto frame = co_await read_frame();
        Result<void> handled;
        if (!frame) {
            handled = std::unexpected(std::move(frame.error()));
        } else if (!has_ended()) {
            handled = handle(std::move(*frame));
        }
        if (!handled) end(std::move(handled.error()));
    }
}

std::vector<Connection::Outgoing> Connection::take_batch() {
    std::vector<Outgoing> batch;
    std::size_t bytes = 0;
    while (!outgoing_.empty() && batch.size() < kBatchFrames) {
        Outgoing& next = outgoing_.front();
        const std::size_t size = next.frame.bytes();
        const bool expired =
            next.frame.kind == FrameKind::kRequest && !calls_.contains(next.frame.call);
        if (expired) {  // nobody waits for its answer any more
            queued_bytes_ -= size;
            outgoing_.pop_front();
            continue;
        }
        if (!batch.empty() && bytes + size > kBatchBytes) break;
        bytes += size;
        batch.push_back(std::move(next));
        outgoing_.pop_front();
    }
    return batch;
}

runtime::Task<void> Connection::write_loop() {
    while (!has_ended()) {
        const std::vector<Outgoing> batch = take_batch();
        if (batch.empty()) {
            co_await filled_.wait();
            continue;
        }
        std::size_t bytes = 0;
        std::vector<base::Bytes> pieces;
        for (const Outgoing& out : batch) {
            bytes += out.frame.bytes();
            pieces.emplace_back(out.header);
            if (!out.frame.payload.empty()) pieces.push_back(base::as_bytes(out.frame.payload));
        }
        auto written = co_await stream_->write(std::move(pieces));
        queued_bytes_ -= bytes;
        if (!written) end(std::move(written.error()));
    }
}

// An error ends the connection.
Result<void> Connection::handle(Frame frame) {
    switch (frame.kind) {
        case FrameKind::kRequest:
            return handle_request(std::move(frame));
        case FrameKind::kAnswer:
        case FrameKind::kError:
            return handle_answer(std::move(frame));
        case FrameKind::kPost:
            if (!endpoint_->handler->admits(peer_)) break;
            endpoint_->handler->on_post(peer_, frame.method, std::move(frame.payload));
            return {};
        case FrameKind::kPing:
            if (!enqueue({.kind = FrameKind::kPong}, Urgency::kUrgent)) {
                return fail(Code::kUnavailable, "the peer does not read");
            }
            return {};
        case FrameKind::kPong:
            return {};
        case FrameKind::kRefuse: {
            TRY_ASSIGN(const Error error, decode_error(frame.payload));
            return fail(error, "the peer ends the connection");
        }
        case FrameKind::kHello:
            return fail(Code::kCorrupt, "a second hello");
    }
    return fail(Code::kDenied, fmt::format("node {} is no longer admitted", peer_.hex()));
}

Result<void> Connection::handle_answer(Frame frame) {
    if (frame.call == 0 || frame.call >= next_call_) {
        return fail(Code::kCorrupt, "an answer to a call that was never made");
    }
    if (frame.kind == FrameKind::kAnswer) {
        settle(frame.call, std::move(frame.payload));
        return {};
    }
    TRY_ASSIGN(Error error, decode_error(frame.payload));
    settle(frame.call, std::unexpected(std::move(error)));
    return {};
}

Result<void> Connection::handle_request(Frame frame) {
    const ConnectionLimits& limits = endpoint_->limits;
    if (!endpoint_->handler->admits(peer_)) {
        return fail(Code::kDenied, fmt::format("node {} is no longer admitted", peer_.hex()));
    }
    const std::size_t bytes = frame.payload.size();
    if (served_ >= limits.max_served || served_bytes_ + bytes > limits.max_served_bytes) {
        answer_error(frame.call, {Code::kUnavailable, "too many requests are being served"});
        return {};
    }
    ++served_;
    served_bytes_ += bytes;
    start("rpc serve", serve(std::move(frame)));
    return {};
}

runtime::Task<void> Connection::serve(Frame request) {
    const std::size_t bytes = request.payload.size();
    auto result =
        co_await endpoint_->handler->on_call(peer_, request.method, std::move(request.payload));
    --served_;
    served_bytes_ -= bytes;
    if (!has_ended()) answer(request.call, std::move(result));
}

void Connection::answer(std::uint64_t call, Result<std::string> result) {
    if (!result) {
        answer_error(call, result.error());
        return;
    }
    const std::size_t bytes = result->size();
    if (bytes > kMaxPayload) {
        answer_error(call, {Code::kTooLarge, fmt::format("an answer of {} bytes", bytes)});
        return;
    }
    const bool queued =
        enqueue({.kind = FrameKind::kAnswer, .call = call, .payload = std::move(*result)},
                Urgency::kNormal);
    if (!queued) answer_error(call, {Code::kUnavailable, "the answer found no room"});
}

void Connection::answer_error(std::uint64_t call, const Error& error) {
    const bool queued =
        enqueue({.kind = FrameKind::kError, .call = call, .payload = encode_error(error)},
                Urgency::kUrgent);
    if (!queued) end(Error{Code::kUnavailable, "the peer does not read"});
}

}  // namespace hamster::rpc
