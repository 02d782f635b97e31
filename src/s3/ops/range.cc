#include "s3/ops/range.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "s3/ops/arguments.h"

namespace hamster::s3::ops {

namespace {

struct Spec {
    std::optional<std::uint64_t> first;
    std::optional<std::uint64_t> last;  // without `first`: a suffix length
};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// Digits only; leading zeros are fine; what does not fit is as large as can be.
std::optional<std::uint64_t> digits(std::string_view text) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        value = value > (kMax - digit) / 10 ? kMax : value * 10 + digit;
    }
    return value;
}

// nullopt: not a single well-formed byte range.
std::optional<Spec> parse(std::string_view header) {
    constexpr std::string_view kUnit = "bytes=";
    const bool has_unit =
        header.size() > kUnit.size() &&
        std::equal(kUnit.begin(), kUnit.end(), header.begin(),
                   [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
    if (!has_unit) return std::nullopt;
    header.remove_prefix(kUnit.size());
    const auto dash = header.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const std::string_view first = trimmed(header.substr(0, dash));
    const std::string_view last = trimmed(header.substr(dash + 1));
    Spec spec{digits(first), digits(last)};
    if ((!first.empty() && !spec.first) || (!last.empty() && !spec.last)) return std::nullopt;
    if (!spec.first && !spec.last) return std::nullopt;
    if (spec.first && spec.last && *spec.first > *spec.last) return std::nullopt;
    return spec;
}

S3Error invalid_range(std::string_view requested, std::uint64_t size) {
    S3Error error{ErrorCode::kInvalidRange, {}, {}, {}};
    error.details.emplace_back("RangeRequested", std::string(requested));
    error.details.emplace_back("ActualObjectSize", std::to_string(size));
    error.headers.emplace_back("Content-Range", fmt::format("bytes */{}", size));
    return error;
}

}  // namespace

S3Result<RangePlan> plan_range(std::optional<std::string_view> header, std::uint64_t size) {
    const RangePlan whole{false, {0, size}};
    if (!header) return whole;
    const auto spec = parse(*header);
    if (!spec) return whole;
    if (!spec->first) {
        const std::uint64_t length = std::min(*spec->last, size);
        if (length == 0) return std::unexpected(invalid_range(*header, size));
        return RangePlan{true, {size - length, length}};
    }
    if (*spec->first >= size) return std::unexpected(invalid_range(*header, size));
    const std::uint64_t last = std::min(spec->last.value_or(size - 1), size - 1);
    return RangePlan{true, {*spec->first, last - *spec->first + 1}};
}

std::string content_range(const objects::ByteRange& range, std::uint64_t size) {
    return fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.length - 1, size);
}

S3Result<objects::ByteRange> plan_copy_range(std::optional<std::string_view> header,
                                             std::uint64_t size) {
    constexpr std::string_view kName = "x-amz-copy-source-range";
    if (!header) return objects::ByteRange{0, size};
    const auto spec = parse(*header);
    if (!spec || !spec->first || !spec->last) {
        return invalid_argument(
            kName, *header,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy");
    }
    if (*spec->last >= size) {
        return invalid_argument(
            kName, *header,
            fmt::format("Range specified is not valid for source object of size: {}", size));
    }
    return objects::ByteRange{*spec->first, *spec->last - *spec->first + 1};
}

}  // namespace hamster::s3::ops
