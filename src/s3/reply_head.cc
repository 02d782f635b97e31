#include "s3/reply_head.h"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>
#include <iterator>

#include "base/encoding.h"

namespace hamster::s3 {

namespace {

void append_value(std::string& out, std::string_view value) {
    for (const char c : value) {
        const auto u = static_cast<unsigned char>(c);
        out += (u < 0x20 && c != '\t') || u == 0x7F ? ' ' : c;
    }
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
    append_value(out, name);
    out += ": ";
    append_value(out, value);
    out += "\r\n";
}

void append_status_line(std::string& out, int status) {
    if (status == 200) {
        out += "HTTP/1.1 200 OK\r\n";
        return;
    }
    const auto reason =
        boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", status,
                   std::string_view(reason.data(), reason.size()));
}

std::uint64_t length_of(const Reply& reply) {
    if (reply.is_head) return reply.head_length;
    return reply.stream ? reply.stream_length : reply.body.size();
}

}  // namespace

std::string ReplyHead::write(const Reply& reply, const ReplyFraming& framing) {
    if (framing.now_ms / 1000 != second_ || date_.empty()) {
        second_ = framing.now_ms / 1000;
        date_ = base::http_date(framing.now_ms);
    }
    std::string out;
    out.reserve(512);
    append_status_line(out, reply.status);
    append_header(out, "Server", "Hamster");
    append_header(out, "Date", date_);
    append_header(out, "x-amz-request-id", framing.request_id);
    append_header(out, "x-amz-id-2", framing.request_id);
    // A browser must not guess a type that would let stored bytes run as a script.
    append_header(out, "X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : reply.headers) append_header(out, name, value);
    if (!is_bodyless(reply.status)) {
        append_header(out, "Content-Length", std::to_string(length_of(reply)));
    }
    if (framing.close) {
        append_header(out, "Connection", "close");
    } else if (framing.keep_alive_1_0) {
        append_header(out, "Connection", "keep-alive");
    }
    out += "\r\n";
    return out;
}

}  // namespace hamster::s3
