#include "s3/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "s3/address.h"
#include "s3/route.h"

namespace hamster::s3 {

namespace {

std::string new_request_id(runtime::World& world) {
    return fmt::format("{:016X}", world.random.next());
}

}  // namespace

Session::Session(Frontend* frontend, std::unique_ptr<runtime::Stream> stream)
    : frontend_(frontend), stream_(std::move(stream)) {}

void Session::stop() {
    stopping_ = true;
    if (idle_) stream_->close();
}

runtime::Task<void> Session::run() {
    while (!stopping_) {
        auto head = co_await read_head();
        if (!head) break;
        idle_ = false;
        const bool usable = co_await serve(std::move(*head));
        if (!usable) break;
        idle_ = received_.empty();
        received_.shrink();
    }
    stream_->close();
}

// nullopt: the connection is over (closed, idle too long, or refused).
runtime::Task<std::optional<RequestHead>> Session::read_head() {
    bool begun = !received_.empty();
    stream_->set_deadline(world().clock.now() +
                          (begun ? frontend_->options.head : frontend_->options.idle));
    while (true) {
        // RFC 9112 section 2.2: an empty line before a request is ignored.
        if (received_.view().starts_with("\r\n")) received_.consume(2);
        if (!received_.empty()) {
            auto parsed = parse_head(received_.view());
            if (!parsed) {
                co_await refuse_head(parsed.error());
                co_return std::nullopt;
            }
            if (*parsed) {
                received_.consume((*parsed)->bytes);
                co_return std::move((*parsed)->head);
            }
        }
        auto n = co_await stream_->read_some(received_.spare(kMaxHeadBytes));
        if (!n || *n == 0) {
            if (begun && !n && n.error().code == Code::kTimeout) {
                co_await refuse_head(S3Error{ErrorCode::kRequestTimeout, {}, {}, {}});
            }
            co_return std::nullopt;
        }
        received_.received(*n);
        if (!begun) {
            begun = true;
            idle_ = false;
            stream_->set_deadline(world().clock.now() + frontend_->options.head);
        }
    }
}

runtime::Task<void> Session::refuse_head(S3Error error) {
    Exchange exchange;
    exchange.began = world().clock.now();
    exchange.request_id = new_request_id(world());
    Reply reply = error_reply(error, "", exchange.request_id, false);
    const int status = reply.status;
    const bool sent = co_await send(&exchange, std::move(reply), true);
    account(exchange, status, 0);
    if (sent) co_await linger();
}

runtime::Task<bool> Session::serve(RequestHead head) {
    Exchange exchange;
    exchange.began = world().clock.now();
    exchange.request_id = new_request_id(world());
    exchange.method = head.method;
    exchange.resource = head.raw_path;
    exchange.http_minor = head.http_minor;
    exchange.keep_alive = head.keep_alive;
    head.secure = stream_->is_tls();
    HttpBody http(&world(), stream_.get(), &received_, head, frontend_->options.body);

    base::Gauge& in_flight = frontend_->metrics->in_flight();
    in_flight.add(1);
    S3Result<Reply> result = refuse(ErrorCode::kSlowDown);
    if (in_flight.value() <= frontend_->options.max_requests) {
        result = co_await perform(&exchange, std::move(head), &http);
    }
    Reply reply = result ? std::move(*result)
                         : error_reply(result.error(), exchange.resource, exchange.request_id,
                                       exchange.is_head());
    // An unread body can be skipped when it is short; one that the client still holds back, or
    // that broke off, leaves the connection in doubt.
    const bool in_doubt = http.is_broken() || http.awaits_continue() ||
                          (!http.is_done() && http.bytes_left() > kMaxDrainBytes);
    const bool close = !exchange.keep_alive || stopping_ || in_doubt;
    const int status = reply.status;
    // Nothing obliges us to say 100 when no body follows, but version 1 of the AWS CLI takes the
    // status line of a connection's first reply without it for that of all later ones too.
    bool usable = true;
    if (!close && http.owes_continue()) {
        const auto interim = co_await http.send_continue();
        usable = interim.has_value();
    }
    if (usable) usable = co_await send(&exchange, std::move(reply), close);
    in_flight.add(-1);
    account(exchange, status, http.bytes_read());
    if (!usable) co_return false;
    if (close) {
        if (!http.is_done() || !received_.empty()) {
            co_await linger();
        } else {
            co_await stream_->shutdown();
        }
        co_return false;
    }
    usable = co_await drain(&http);
    co_return usable;
}

runtime::Task<S3Result<Reply>> Session::perform(Exchange* exchange, RequestHead head,
                                                HttpBody* http) {
    bool form = false;
    if (head.method == "POST" && head.header("content-type")) {
        auto address = parse_address(head, frontend_->context->settings->domain);
        CO_TRY(address);
        form = is_form_upload(head, address->level);
    }
    if (form) {
        auto reply = co_await perform_form(exchange, std::move(head), http);
        co_return reply;
    }
    auto reply = co_await perform_signed(exchange, std::move(head), http);
    co_return reply;
}

runtime::Task<S3Result<Reply>> Session::perform_signed(Exchange* exchange, RequestHead head,
                                                       HttpBody* http) {
    auto verified =
        co_await frontend_->authenticator->verify(std::move(head), exchange->request_id);
    CO_TRY(verified);
    const VerifiedRequest& request = verified->request;
    auto expected = expectations_of(request.head(), request.action(), verified->payload);
    CO_TRY(expected);

    std::optional<AwsChunkedSource> chunked;
    ByteSource* source = http;
    if (is_streaming(verified->payload.mode)) {
        source = &chunked.emplace(http, verified->payload);
    }
    BodyVerifier body(&world(), source, chunked ? &*chunked : nullptr, std::move(*expected));
    auto reply = co_await run_handler(exchange, &request, &body);
    co_await body.stop();
    co_return reply;
}

runtime::Task<S3Result<Reply>> Session::perform_form(Exchange* exchange, RequestHead head,
                                                     HttpBody* http) {
    exchange->action = Action::kPostObject;
    const std::string boundary = boundary_of(head.header("content-type").value_or(""));
    if (boundary.empty()) co_return refuse(ErrorCode::kMalformedPostRequest);
    if (!head.chunked && !head.content_length) co_return refuse(ErrorCode::kMissingContentLength);
    FormReader form(http, boundary);
    auto fields = co_await form.read_fields();
    CO_TRY(fields);
    auto verified = co_await frontend_->authenticator->verify_form(
        std::move(head), form.fields(), form.file_name(), exchange->request_id);
    CO_TRY(verified);
    auto expected = expectations_of(verified->request.head(), Action::kPostObject, PayloadPlan());
    CO_TRY(expected);
    expected->min_bytes = verified->min_bytes;
    expected->max_bytes = verified->max_bytes;
    BodyVerifier body(&world(), &form, nullptr, std::move(*expected));
    auto reply = co_await run_handler(exchange, &verified->request, &body);
    co_await body.stop();
    co_return reply;
}

runtime::Task<S3Result<Reply>> Session::run_handler(Exchange* exchange,
                                                    const VerifiedRequest* request,
                                                    BodyVerifier* body) {
    exchange->action = request->action();
    if (frontend_->context->settings->access_log) {
        exchange->who = request->identity().access_key_id + "/" + request->identity().name;
        exchange->what = base::uri_encode(request->bucket() + "/" + request->key(), true);
    }
    const Handler handler = frontend_->dispatch(request->action());
    auto reply = co_await handler(frontend_->context, request, body);
    // Whatever the handler made of it: what went wrong with the body is the answer.
    if (!reply && body->failure()) co_return std::unexpected(*body->failure());
    if (reply && exchange->is_head()) reply->is_head = true;
    co_return reply;
}

std::string Session::head_of(const Exchange& exchange, const Reply& reply, bool close) {
    ReplyFraming framing;
    framing.now_ms = world().clock.unix_ms();
    framing.request_id = exchange.request_id;
    framing.close = close;
    framing.keep_alive_1_0 = !close && exchange.http_minor == 0;
    return frontend_->reply_head->write(reply, framing);
}

// Both pieces in one gathered write, as long as they are small.
runtime::Task<bool> Session::write(Exchange* exchange, base::Bytes first, base::Bytes second) {
    do {
        const base::Bytes part = second.first(std::min(second.size(), kWritePiece));
        second = second.subspan(part.size());
        std::vector<base::Bytes> pieces;
        if (!first.empty()) pieces.push_back(first);
        if (!part.empty()) pieces.push_back(part);
        stream_->set_deadline(world().clock.now() + frontend_->options.write);
        auto written = co_await stream_->write(std::move(pieces));
        if (!written) co_return false;
        exchange->bytes_out += first.size() + part.size();
        first = {};
    } while (!second.empty());
    co_return true;
}

runtime::Task<bool> Session::send(Exchange* exchange, Reply reply, bool close) {
    if (reply.stream && !reply.is_head && !is_bodyless(reply.status)) {
        const bool sent = co_await send_stream(exchange, &reply, close);
        co_return sent;
    }
    const std::string head = head_of(*exchange, reply, close);
    const bool with_body = !reply.is_head && !is_bodyless(reply.status);
    const base::Bytes body = with_body ? base::as_bytes(reply.body) : base::Bytes();
    const bool sent = co_await write(exchange, base::as_bytes(head), body);
    co_return sent;
}

// An error after the head has gone out can only be told by closing the connection early.
runtime::Task<bool> Session::send_stream(Exchange* exchange, Reply* reply, bool close) {
    auto piece = co_await reply->stream->next();
    if (!piece) {
        Reply error =
            error_reply(from_error(piece.error()), exchange->resource, exchange->request_id, false);
        const bool sent = co_await send(exchange, std::move(error), close);
        co_return sent;
    }
    const std::string head = head_of(*exchange, *reply, close);
    std::uint64_t left = reply->stream_length;
    base::Bytes before = base::as_bytes(head);
    while (true) {
        if (piece->size() > left || (piece->empty() && left > 0)) {
            LOG_ERROR("s3", "a stored body of {} bytes ended {} bytes off", reply->stream_length,
                      left);
            co_return false;
        }
        left -= piece->size();
        const bool sent = co_await write(exchange, before, piece->bytes());
        if (!sent) co_return false;
        if (left == 0) co_return true;
        before = {};
        piece = co_await reply->stream->next();
        if (!piece) {
            LOG_ERROR("s3", "reading a body failed in the middle of a reply: {}",
                      piece.error().context);
            co_return false;
        }
    }
}

runtime::Task<bool> Session::drain(HttpBody* http) {
    std::array<std::byte, 4096> sink;
    while (!http->is_done()) {
        auto n = co_await http->read_some(sink);
        if (!n) co_return false;
    }
    co_return true;
}

// Closing while the client still sends would reset the connection and may destroy the reply on
// its way: half-close, then read on until the client has seen the reply and hangs up.
runtime::Task<void> Session::linger() {
    co_await stream_->shutdown();
    const ServerOptions& options = frontend_->options;
    const runtime::Time end = world().clock.now() + options.linger;
    std::vector<std::byte> sink(64 * 1024);
    std::uint64_t taken = 0;
    while (taken < kMaxLingerBytes) {
        const runtime::Time now = world().clock.now();
        if (now >= end) co_return;
        stream_->set_deadline(std::min(end, now + options.linger_pause));
        auto n = co_await stream_->read_some(sink);
        if (!n || *n == 0) co_return;
        taken += *n;
    }
}

void Session::account(const Exchange& exchange, int status, std::uint64_t bytes_in) {
    const auto duration = world().clock.now() - exchange.began;
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count()));
    frontend_->metrics->finished(exchange.action, status, us, bytes_in, exchange.bytes_out);
    if (!frontend_->context->settings->access_log) return;
    LOG_INFO("access", "{} {} {} {} {} {} {} {} {} us", stream_->peer(), exchange.request_id,
             exchange.who.empty() ? "-" : exchange.who,
             exchange.action ? to_string(*exchange.action) : exchange.method,
             exchange.what.empty() ? exchange.resource : exchange.what, status, bytes_in,
             exchange.bytes_out, us);
}

}  // namespace hamster::s3
