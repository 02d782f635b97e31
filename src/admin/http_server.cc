#include "admin/http_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/assert.h"
#include "base/log.h"
#include "s3/http_parser.h"

namespace hamster::admin {

using runtime::Micros;
using runtime::Task;

namespace {

constexpr Micros kAcceptPause = std::chrono::milliseconds(100);  // when descriptors run out
constexpr Micros kDrainStep = std::chrono::milliseconds(10);
constexpr int kDrainSteps = 100;

std::string_view reason(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 413:
            return "Content Too Large";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 503:
            return "Service Unavailable";
        case 507:
            return "Insufficient Storage";
        default:
            return "Unknown";
    }
}

HttpAnswer plain(int status, std::string text) {
    HttpAnswer answer;
    answer.status = status;
    answer.body = std::move(text) + "\n";
    return answer;
}

// Appends what arrives to `buffer`; false at the end of the stream.
Task<Result<bool>> read_more(runtime::Stream* stream, std::string* buffer) {
    constexpr std::size_t kReadBytes = 8192;
    const std::size_t before = buffer->size();
    buffer->resize(before + kReadBytes);
    auto got = co_await stream->read_some(
        base::MutableBytes(reinterpret_cast<std::byte*>(buffer->data() + before), kReadBytes));
    buffer->resize(before + (got ? *got : 0));
    CO_TRY(got);
    co_return *got > 0;
}

}  // namespace

std::string render_answer(const HttpAnswer& answer, bool is_head) {
    std::string text = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
        answer.status, reason(answer.status), answer.content_type, answer.body.size());
    for (const auto& [name, value] : answer.headers) text += fmt::format("{}: {}\r\n", name, value);
    text += "\r\n";
    if (!is_head) text += answer.body;
    return text;
}

void HttpServer::start(std::unique_ptr<runtime::Listener> listener) {
    HAMSTER_ASSERT(listener_ == nullptr);
    listener_ = std::move(listener);
    runtime::spawn(world_->executor, gate_, "admin_accept", accept_loop());
}

Task<void> HttpServer::accept_loop() {
    while (!stopping_) {
        auto accepted = co_await listener_->accept();
        if (!accepted) {
            if (stopping_ || accepted.error().code == Code::kClosed) co_return;
            LOG_WARN("admin", "accept: {}", accepted.error().context);
            co_await world_->clock.sleep(kAcceptPause);
            continue;
        }
        if (stopping_ || open_.size() >= kMaxConnections) continue;  // closed by going away
        const std::uint64_t number = accepted_++;
        std::unique_ptr<runtime::Stream> stream = std::move(*accepted);
        open_[number] = stream.get();
        runtime::spawn(world_->executor, gate_, "admin_connection",
                       serve_one(std::move(stream), number));
    }
}

Task<void> HttpServer::serve_one(std::unique_ptr<runtime::Stream> stream, std::uint64_t number) {
    stream->set_deadline(world_->clock.now() + kConnectionDeadline);
    bool is_head = false;
    const HttpAnswer answer = co_await answer_to(stream.get(), &is_head);
    const std::string text = render_answer(answer, is_head);
    std::vector<base::Bytes> pieces{base::as_bytes(text)};
    auto written = co_await stream->write(std::move(pieces));
    if (written) co_await stream->shutdown();
    stream->close();
    open_.erase(number);
}

Task<HttpAnswer> HttpServer::answer_to(runtime::Stream* stream, bool* is_head) {
    std::string buffer;
    std::optional<s3::ParsedHead> head;
    while (!head) {
        auto more = co_await read_more(stream, &buffer);
        if (!more || !*more) co_return plain(408, "no complete request arrived");
        auto parsed = s3::parse_head(buffer);
        if (!parsed) {
            const int status = s3::row_of(parsed.error().code).status;
            co_return plain(status >= 400 ? status : 400, "malformed request");
        }
        head = std::move(*parsed);
    }
    *is_head = head->head.method == "HEAD";
    if (head->head.chunked) co_return plain(400, "send a Content-Length");
    const std::uint64_t length = head->head.content_length.value_or(0);
    if (length > kMaxBodyBytes) co_return plain(413, "the body is too large");
    while (buffer.size() < head->bytes + length) {
        auto more = co_await read_more(stream, &buffer);
        if (!more || !*more) co_return plain(408, "the body is incomplete");
    }
    HttpRequest request{head->head.method, head->head.raw_path, buffer.substr(head->bytes, length)};
    HttpAnswer answer = co_await handler_->handle(std::move(request));
    co_return answer;
}

Task<void> HttpServer::stop() {
    stopping_ = true;
    if (listener_) listener_->close();
    for (int i = 0; i < kDrainSteps && !open_.empty(); ++i) {
        co_await world_->clock.sleep(kDrainStep);
    }
    for (const auto& [number, stream] : open_) stream->close();
    co_await gate_.close();
    listener_.reset();
}

}  // namespace hamster::admin
