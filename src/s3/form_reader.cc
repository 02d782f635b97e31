#include "s3/form_reader.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace hamster::s3 {

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kMaxBoundary = 70;  // RFC 2046

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

std::unexpected<S3Error> malformed() { return refuse(ErrorCode::kMalformedPostRequest); }

// name="value" of a Content-Disposition; empty when absent.
std::string parameter(std::string_view line, std::string_view name) {
    const std::string mark = "; " + std::string(name) + "=\"";
    const std::size_t at = line.find(mark);
    if (at == std::string_view::npos) return {};
    const std::size_t start = at + mark.size();
    const std::size_t end = line.find('"', start);
    return end == std::string_view::npos ? std::string()
                                         : std::string(line.substr(start, end - start));
}

}  // namespace

std::string boundary_of(std::string_view content_type) {
    static constexpr std::string_view kMark = "boundary=";
    const std::size_t at = content_type.find(kMark);
    if (at == std::string_view::npos) return {};
    std::string_view value = content_type.substr(at + kMark.size());
    value = value.substr(0, value.find(';'));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
        value = value.substr(1, value.size() - 2);
    }
    if (value.size() > kMaxBoundary || value.find('"') != std::string_view::npos) return {};
    return std::string(value);
}

// The first boundary has no line before it: pretend there was one.
FormReader::FormReader(ByteSource* below, std::string boundary)
    : below_(below), delimiter_("\r\n--" + std::move(boundary)), buffer_("\r\n") {}

runtime::Task<S3Result<>> FormReader::more() {
    if (begin_ > 0) {
        buffer_.erase(0, begin_);
        begin_ = 0;
    }
    const std::size_t held = buffer_.size();
    buffer_.resize(held + kReadBytes);
    base::MutableBytes room(reinterpret_cast<std::byte*>(buffer_.data()) + held, kReadBytes);
    auto n = co_await below_->read_some(room);
    buffer_.resize(held + n.value_or(0));
    CO_TRY(n);
    if (*n == 0) co_return malformed();
    co_return S3Result<>();
}

// The text before `mark`; both are used up.
runtime::Task<S3Result<std::string>> FormReader::read_until(std::string mark) {
    while (true) {
        const std::size_t at = buffer_.find(mark, begin_);
        if (at != std::string::npos) {
            std::string text = buffer_.substr(begin_, at - begin_);
            used_before_file_ += text.size() + mark.size();
            begin_ = at + mark.size();
            if (used_before_file_ > kMaxFormBytes) co_return malformed();
            co_return text;
        }
        if (used_before_file_ + buffer_.size() - begin_ > kMaxFormBytes) co_return malformed();
        auto read = co_await more();
        CO_TRY(read);
    }
}

S3Result<FormReader::PartHeader> FormReader::parse_part_header(std::string_view text) {
    PartHeader part;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find("\r\n"), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 2, text.size()));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) return malformed();
        const std::string name = lower(line.substr(0, colon));
        std::string_view value = line.substr(colon + 1);
        while (value.starts_with(' ')) value.remove_prefix(1);
        if (name == "content-disposition") {
            if (!lower(value).starts_with("form-data;")) return malformed();
            part.name = lower(parameter(value, "name"));
            part.file_name = parameter(value, "filename");
        } else if (name == "content-type") {
            part.content_type = value;
        }
    }
    if (part.name.empty()) return malformed();
    return part;
}

runtime::Task<S3Result<>> FormReader::read_fields() {
    auto preamble = co_await read_until(delimiter_);
    CO_TRY(preamble);
    if (!preamble->empty()) co_return malformed();
    while (true) {
        // After a boundary: "--" would be the end, but the file has not come.
        auto line_end = co_await read_until("\r\n");
        CO_TRY(line_end);
        if (!line_end->empty()) co_return malformed();
        auto header = co_await read_until("\r\n\r\n");
        CO_TRY(header);
        auto part = parse_part_header(*header);
        CO_TRY(part);
        if (part->name == "file") {
            // Browsers send the whole path of the file in some cases.
            file_name_ = part->file_name.substr(part->file_name.find_last_of("/\\") + 1);
            at_file_ = true;
            co_return S3Result<>();
        }
        auto value = co_await read_until(delimiter_);
        CO_TRY(value);
        if (fields_.size() >= kMaxFormFields || field_of(fields_, part->name)) {
            co_return malformed();
        }
        fields_.emplace_back(std::move(part->name), std::move(*value));
    }
}

// After the file's boundary: "--", a line end, and nothing but line ends until the body ends.
runtime::Task<S3Result<>> FormReader::read_closing() {
    while (buffer_.size() - begin_ < 2) {
        auto read = co_await more();
        CO_TRY(read);
    }
    if (std::string_view(buffer_).substr(begin_, 2) != "--") co_return malformed();
    std::string rest = buffer_.substr(begin_ + 2);
    while (rest.size() <= 4) {
        std::byte extra[8];
        auto n = co_await below_->read_some(extra);
        CO_TRY(n);
        if (*n == 0) break;
        rest.append(reinterpret_cast<const char*>(extra), *n);
    }
    if (!rest.empty() && rest != "\r\n") co_return malformed();
    ended_ = true;
    co_return S3Result<>();
}

runtime::Task<S3Result<std::size_t>> FormReader::read_some(base::MutableBytes out) {
    HAMSTER_ASSERT(at_file_);
    while (!ended_) {
        const std::string_view held = std::string_view(buffer_).substr(begin_);
        const std::size_t at = held.find(delimiter_);
        // What may be the beginning of a delimiter is kept until more has come.
        const std::size_t keep = delimiter_.size() - 1;
        const std::size_t safe = at != std::string_view::npos ? at
                                 : held.size() > keep         ? held.size() - keep
                                                              : 0;
        if (safe > 0) {
            const std::size_t n = std::min(safe, out.size());
            std::memcpy(out.data(), held.data(), n);
            begin_ += n;
            co_return n;
        }
        if (at == 0) {
            begin_ += delimiter_.size();
            auto closed = co_await read_closing();
            CO_TRY(closed);
            break;
        }
        auto read = co_await more();
        CO_TRY(read);
    }
    co_return std::size_t{0};
}

}  // namespace hamster::s3
