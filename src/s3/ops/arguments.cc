#include "s3/ops/arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "meta/limits.h"

namespace hamster::s3::ops {

namespace {

constexpr std::uint64_t kMaxInt = 2147483647;

S3Result<std::uint32_t> integer(std::string_view name, std::string_view value) {
    if (value.starts_with('-') && base::parse_u64(value.substr(1))) {
        return invalid_argument(
            name, value,
            fmt::format("Argument {} must be an integer between 0 and {}", name, kMaxInt));
    }
    const auto number = base::parse_u64(value);
    if (!number || *number > kMaxInt) {
        return invalid_argument(
            name, value, fmt::format("Provided {} not an integer or within integer range", name));
    }
    return static_cast<std::uint32_t>(*number);
}

}  // namespace

std::unexpected<S3Error> invalid_argument(std::string_view name, std::string_view value,
                                          std::string message) {
    S3Error error{ErrorCode::kInvalidArgument, std::move(message), {}, {}};
    error.details.emplace_back("ArgumentName", std::string(name));
    error.details.emplace_back("ArgumentValue", std::string(value));
    return std::unexpected(std::move(error));
}

S3Result<std::uint32_t> count_argument(std::string_view name, std::optional<std::string_view> value,
                                       std::uint32_t cap) {
    if (!value || value->empty()) return cap;
    TRY_ASSIGN(const std::uint32_t number, integer(name, *value));
    return std::min(number, cap);
}

S3Result<std::uint32_t> marker_argument(std::string_view name,
                                        std::optional<std::string_view> value) {
    if (!value || value->empty()) return 0;
    return integer(name, *value);
}

S3Result<std::uint32_t> part_number_argument(std::string_view value) {
    const auto number = base::parse_u64(value);
    if (!number || *number < 1 || *number > meta::kMaxParts) {
        return invalid_argument("partNumber", value,
                                "Part number must be an integer between 1 and 10000, inclusive");
    }
    return static_cast<std::uint32_t>(*number);
}

std::string_view param_or_empty(const RequestHead& head, std::string_view name) {
    return head.param(name).value_or(std::string_view());
}

}  // namespace hamster::s3::ops
