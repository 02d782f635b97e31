#include "s3/http_parser.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/none.hpp>
#include <cstdint>

#include "base/encoding.h"

namespace hamster::s3 {

namespace {

namespace http = boost::beast::http;

std::string to_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

// Collects what Beast recognises straight into our head; no Beast container in between.
class HeadParser final : public http::basic_parser<true> {
  public:
    explicit HeadParser(RequestHead* head) : head_(head) {
        header_limit(static_cast<std::uint32_t>(kMaxHeadBytes));
        body_limit(boost::none);
        eager(false);
    }

  private:
    using error_code = boost::beast::error_code;
    using string_view = boost::beast::string_view;

    void on_request_impl(http::verb, string_view method, string_view target, int version,
                         error_code&) override {
        head_->method.assign(method.data(), method.size());
        head_->target.assign(target.data(), target.size());
        head_->http_minor = version == 10 ? 0 : 1;
    }
    void on_field_impl(http::field, string_view name, string_view value, error_code&) override {
        head_->headers.push_back(
            {to_lower({name.data(), name.size()}), std::string(value.data(), value.size())});
    }
    void on_response_impl(int, string_view, int, error_code&) override {}
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(string_view body, error_code&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
        return body.size();
    }
    void on_finish_impl(error_code&) override {}

    RequestHead* head_;
};

bool is_control(char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\t') || u == 0x7F;
}

// One line without its CRLF, first line or header.
bool is_strict_line(std::string_view line, bool first) {
    if (std::ranges::any_of(line, is_control)) return false;
    if (first) return true;
    if (line.front() == ' ' || line.front() == '\t') return false;  // obs-fold
    const std::size_t colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos) return false;
    return line[colon - 1] != ' ' && line[colon - 1] != '\t';
}

// The rules Beast is lenient about. `text` ends with the empty line.
S3Result<> check_lines(std::string_view text) {
    std::size_t lines = 0;
    while (text != "\r\n") {
        const std::size_t end = text.find("\r\n");
        if (++lines > kMaxHeaders + 1) return refuse(ErrorCode::kRequestHeaderSectionTooLarge);
        if (!is_strict_line(text.substr(0, end), lines == 1)) return refuse(ErrorCode::kBadRequest);
        text.remove_prefix(end + 2);
    }
    return {};
}

bool is_single_valued(std::string_view name) {
    if (name.starts_with("x-amz-")) return !name.starts_with("x-amz-meta-");
    if (name.starts_with("content-") || name.starts_with("if-")) return true;
    static constexpr std::array<std::string_view, 8> kNames = {
        "host",   "authorization",     "date",       "range",
        "expect", "transfer-encoding", "user-agent", "expires"};
    return std::ranges::find(kNames, name) != kNames.end();
}

S3Result<> join_repeated(std::vector<Header>& headers) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < headers.size(); ++i) {
        const auto before = headers.begin() + static_cast<std::ptrdiff_t>(kept);
        const auto same = std::find_if(headers.begin(), before,
                                       [&](const Header& h) { return h.name == headers[i].name; });
        if (same == before) {
            if (kept != i) headers[kept] = std::move(headers[i]);
            ++kept;
            continue;
        }
        if (is_single_valued(same->name)) {
            return refuse(ErrorCode::kBadRequest, "A header occurs more than once.");
        }
        same->value += ',';
        same->value += headers[i].value;
    }
    headers.resize(kept);
    return {};
}

// Path and query of origin-form; absolute-form is accepted when it names the Host it came with.
S3Result<> split_target(RequestHead& head) {
    std::string_view target = head.target;
    if (!target.starts_with('/')) {
        const std::size_t scheme = target.starts_with("http://")    ? 7
                                   : target.starts_with("https://") ? 8
                                                                    : 0;
        if (scheme == 0) return refuse(ErrorCode::kInvalidUri);
        target.remove_prefix(scheme);
        const std::size_t slash = target.find('/');
        if (slash == std::string_view::npos) return refuse(ErrorCode::kInvalidUri);
        if (head.header("host") != target.substr(0, slash)) return refuse(ErrorCode::kInvalidUri);
        target.remove_prefix(slash);
    }
    if (target.find('#') != std::string_view::npos) return refuse(ErrorCode::kInvalidUri);
    const std::size_t mark = target.find('?');
    head.raw_path = target.substr(0, mark);
    if (mark != std::string_view::npos) head.raw_query = target.substr(mark + 1);
    return {};
}

S3Result<> parse_query(RequestHead& head) {
    std::string_view rest = head.raw_query;
    while (!rest.empty()) {
        const std::size_t end = rest.find('&');
        const std::string_view pair = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        if (pair.empty()) continue;
        const std::size_t equals = pair.find('=');
        const bool has_value = equals != std::string_view::npos;
        auto name = base::uri_decode(pair.substr(0, equals), true);
        auto value = base::uri_decode(has_value ? pair.substr(equals + 1) : "", true);
        if (!name || !value || !base::is_valid_utf8(*name) || !base::is_valid_utf8(*value)) {
            return refuse(ErrorCode::kInvalidUri);
        }
        head.query.push_back({std::move(*name), std::move(*value), has_value});
    }
    return {};
}

S3Result<> parse_length(RequestHead& head) {
    const auto length = head.header("content-length");
    const auto encoding = head.header("transfer-encoding");
    if (encoding) {
        if (length || head.http_minor == 0) return refuse(ErrorCode::kBadRequest);
        if (to_lower(*encoding) != "chunked") return refuse(ErrorCode::kNotImplemented);
        head.chunked = true;
    }
    if (length) {
        head.content_length = base::parse_u64(*length);
        if (!head.content_length) return refuse(ErrorCode::kBadRequest);
    }
    return {};
}

S3Result<> parse_connection(RequestHead& head) {
    const std::string connection = to_lower(head.header("connection").value_or(""));
    head.keep_alive = head.http_minor == 1 ? connection.find("close") == std::string::npos
                                           : connection.find("keep-alive") != std::string::npos;
    if (head.http_minor == 1 && !head.header("host")) {
        return refuse(ErrorCode::kBadRequest, "The Host header is missing.");
    }
    if (const auto expect = head.header("expect")) {
        if (to_lower(*expect) != "100-continue") return refuse(ErrorCode::kBadRequest);
        head.expect_continue = head.http_minor == 1;
    }
    return {};
}

S3Result<> interpret(RequestHead& head) {
    if (auto r = join_repeated(head.headers); !r) return r;
    if (auto r = split_target(head); !r) return r;
    if (auto r = parse_query(head); !r) return r;
    if (auto r = parse_length(head); !r) return r;
    return parse_connection(head);
}

}  // namespace

S3Result<std::optional<ParsedHead>> parse_head(std::string_view buffered) {
    // A bare LF or NUL is refused at once: the CRLF CRLF that ends the head may never come.
    const std::size_t end = buffered.find("\r\n\r\n");
    if (end == std::string_view::npos || end + 4 > kMaxHeadBytes) {
        if (buffered.size() >= kMaxHeadBytes) {
            return refuse(ErrorCode::kRequestHeaderSectionTooLarge);
        }
        if (buffered.find("\n\n") != std::string_view::npos || buffered.starts_with('\n') ||
            buffered.find('\0') != std::string_view::npos) {
            return refuse(ErrorCode::kBadRequest);
        }
        return std::optional<ParsedHead>();
    }
    const std::string_view text = buffered.substr(0, end + 4);
    if (auto checked = check_lines(text); !checked) return std::unexpected(checked.error());

    ParsedHead parsed;
    parsed.bytes = text.size();
    parsed.head.headers.reserve(16);
    HeadParser parser(&parsed.head);
    boost::beast::error_code error;
    parser.put(boost::asio::buffer(text.data(), text.size()), error);
    // With a body announced Beast may ask for more: only the head was of interest.
    if (error == http::error::need_more) error = {};
    if (error || !parser.is_header_done()) return refuse(ErrorCode::kBadRequest);
    if (auto r = interpret(parsed.head); !r) return std::unexpected(r.error());
    return std::optional<ParsedHead>(std::move(parsed));
}

}  // namespace hamster::s3
