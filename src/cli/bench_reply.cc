#include "cli/bench_reply.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "base/encoding.h"

namespace hamster::cli::bench {

namespace {

constexpr std::size_t kMaxHead = 64 * 1024;  // bytes; no server sends more
constexpr std::size_t kMaxLine = 4096;       // bytes, of a chunk size or a trailer

bool equals_folded(std::string_view a, std::string_view lower) {
    return std::ranges::equal(
        a, lower, [](char x, char y) { return std::tolower(static_cast<unsigned char>(x)) == y; });
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

Result<void> read_header(std::string_view line, ReplyHead* head) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return fail(Code::kInvalid, "a header without a colon");
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (equals_folded(name, "content-length")) {
        head->content_length = base::parse_u64(value);
        if (!head->content_length) return fail(Code::kInvalid, "a bad Content-Length");
    } else if (equals_folded(name, "transfer-encoding")) {
        head->chunked = equals_folded(value, "chunked");
    } else if (equals_folded(name, "connection")) {
        head->keep_alive = !equals_folded(value, "close");
    }
    return {};
}

}  // namespace

Result<std::optional<ReplyHead>> parse_head(std::string_view text) {
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        if (text.size() > kMaxHead) return fail(Code::kInvalid, "a head without an end");
        return std::optional<ReplyHead>();
    }
    ReplyHead head;
    head.bytes = end + 4;
    std::size_t at = text.find("\r\n");
    const std::string_view status_line = text.substr(0, at);
    const char* const digits = status_line.data() + 9;
    if (status_line.size() < 12 || !status_line.starts_with("HTTP/1.") ||
        std::from_chars(digits, digits + 3, head.status).ptr != digits + 3) {
        return fail(Code::kInvalid, "the reply is not HTTP/1");
    }
    head.keep_alive = status_line[7] == '1';
    while (at < end) {
        at += 2;
        const std::size_t line_end = text.find("\r\n", at);
        TRY(read_header(text.substr(at, line_end - at), &head));
        at = line_end;
    }
    return std::optional<ReplyHead>(head);
}

BodyReader::BodyReader(const ReplyHead& head, bool has_body) : state_(State::kUntilClose) {
    if (!has_body || head.status < 200 || head.status == 204 || head.status == 304) {
        state_ = State::kDone;
    } else if (head.chunked) {
        state_ = State::kChunkSize;
    } else if (head.content_length) {
        left_ = *head.content_length;
        state_ = left_ == 0 ? State::kDone : State::kPlain;
    }
}

Result<BodyReader::Piece> BodyReader::next(base::Bytes input) {
    switch (state_) {
        case State::kDone:
            return Piece{};
        case State::kUntilClose:
            return Piece{input.size(), input};
        case State::kPlain:
        case State::kChunk: {
            const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
            left_ -= n;
            if (left_ == 0) state_ = state_ == State::kPlain ? State::kDone : State::kChunkEnd;
            return Piece{n, input.first(n)};
        }
        default:
            return next_line(base::as_text(input));
    }
}

Result<BodyReader::Piece> BodyReader::next_line(std::string_view input) {
    const std::size_t end = input.find("\r\n");
    if (end == std::string_view::npos) {
        if (input.size() > kMaxLine) return fail(Code::kInvalid, "a chunk without an end");
        return Piece{};
    }
    const std::string_view line = input.substr(0, end);
    if (state_ == State::kChunkSize) {
        const auto parsed = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
        if (parsed.ptr == line.data()) return fail(Code::kInvalid, "a chunk without a size");
        state_ = left_ == 0 ? State::kTrailers : State::kChunk;
    } else if (state_ == State::kChunkEnd) {
        if (!line.empty()) return fail(Code::kInvalid, "a chunk longer than its size");
        state_ = State::kChunkSize;
    } else if (line.empty()) {
        state_ = State::kDone;
    }
    return Piece{end + 2, {}};
}

std::string_view xml_text(std::string_view xml, std::string_view name) {
    const std::string open = "<" + std::string(name) + ">";
    const std::string close = "</" + std::string(name) + ">";
    const std::size_t start = xml.find(open);
    if (start == std::string_view::npos) return {};
    const std::size_t end = xml.find(close, start);
    if (end == std::string_view::npos) return {};
    return xml.substr(start + open.size(), end - start - open.size());
}

std::size_t count_of(std::string_view text, std::string_view what) {
    std::size_t n = 0;
    for (std::size_t at = text.find(what); at != std::string_view::npos;
         at = text.find(what, at + what.size())) {
        ++n;
    }
    return n;
}

std::string xml_unescape(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, char>, 5> kEntities{
        {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};
    std::string out;
    while (!text.empty()) {
        std::size_t taken = 1;
        char c = text[0];
        for (const auto& [entity, value] : kEntities) {
            if (!text.starts_with(entity)) continue;
            taken = entity.size();
            c = value;
        }
        out += c;
        text.remove_prefix(taken);
    }
    return out;
}

}  // namespace hamster::cli::bench
