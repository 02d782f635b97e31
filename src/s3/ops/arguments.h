// Numbers in queries and headers, and the InvalidArgument that names the one that is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "s3/error.h"
#include "s3/request.h"

namespace hamster::s3::ops {

// InvalidArgument with ArgumentName and ArgumentValue, as AWS details it.
std::unexpected<S3Error> invalid_argument(std::string_view name, std::string_view value,
                                          std::string message = {});

// max-keys and its like: absent or empty gives `cap`; larger than `cap` is cut to it. What is not
// an integer in 0..2^31-1 is refused.
S3Result<std::uint32_t> count_argument(std::string_view name, std::optional<std::string_view> value,
                                       std::uint32_t cap);
// part-number-marker: absent or empty gives 0.
S3Result<std::uint32_t> marker_argument(std::string_view name,
                                        std::optional<std::string_view> value);
// 1..10000; refused otherwise.
S3Result<std::uint32_t> part_number_argument(std::string_view value);

// The parameter, or "" when absent.
std::string_view param_or_empty(const RequestHead& head, std::string_view name);

}  // namespace hamster::s3::ops
