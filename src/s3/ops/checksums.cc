#include "s3/ops/checksums.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "base/encoding.h"
#include "s3/ops/arguments.h"

namespace hamster::s3::ops {

namespace {

struct Row {
    ChecksumAlgorithm algorithm;
    std::string_view name;
    std::string_view element;
    std::string_view header;
    std::size_t bytes;
};
constexpr std::array kRows = {
    Row{proto::CHECKSUM_CRC32, "CRC32", "ChecksumCRC32", "x-amz-checksum-crc32", 4},
    Row{proto::CHECKSUM_CRC32C, "CRC32C", "ChecksumCRC32C", "x-amz-checksum-crc32c", 4},
    Row{proto::CHECKSUM_CRC64NVME, "CRC64NVME", "ChecksumCRC64NVME", "x-amz-checksum-crc64nvme", 8},
    Row{proto::CHECKSUM_SHA1, "SHA1", "ChecksumSHA1", "x-amz-checksum-sha1", 20},
    Row{proto::CHECKSUM_SHA256, "SHA256", "ChecksumSHA256", "x-amz-checksum-sha256", 32},
};
constexpr Row kNone{proto::CHECKSUM_NONE, "", "", "", 0};

const Row& row(ChecksumAlgorithm algorithm) {
    for (const Row& r : kRows) {
        if (r.algorithm == algorithm) return r;
    }
    return kNone;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        return std::toupper(static_cast<unsigned char>(x)) ==
               std::toupper(static_cast<unsigned char>(y));
    });
}

bool is_sha(ChecksumAlgorithm algorithm) {
    return algorithm == proto::CHECKSUM_SHA1 || algorithm == proto::CHECKSUM_SHA256;
}

}  // namespace

std::string_view algorithm_name(ChecksumAlgorithm algorithm) { return row(algorithm).name; }
std::string_view checksum_element(ChecksumAlgorithm algorithm) { return row(algorithm).element; }
std::string_view checksum_header(ChecksumAlgorithm algorithm) { return row(algorithm).header; }
std::size_t checksum_bytes(ChecksumAlgorithm algorithm) { return row(algorithm).bytes; }

std::string_view type_name(ChecksumType type) {
    if (type == proto::CHECKSUM_TYPE_COMPOSITE) return "COMPOSITE";
    return "FULL_OBJECT";
}

std::optional<ChecksumAlgorithm> parse_algorithm(std::string_view name) {
    for (const Row& r : kRows) {
        if (equals_ignoring_case(r.name, name)) return r.algorithm;
    }
    return std::nullopt;
}

std::optional<ChecksumType> parse_type(std::string_view name) {
    if (equals_ignoring_case(name, "COMPOSITE")) return proto::CHECKSUM_TYPE_COMPOSITE;
    if (equals_ignoring_case(name, "FULL_OBJECT")) return proto::CHECKSUM_TYPE_FULL_OBJECT;
    return std::nullopt;
}

std::string checksum_text(const proto::Checksum& checksum, std::size_t parts) {
    std::string text = base::base64_encode(base::as_bytes(checksum.value()));
    if (parts > 0 && checksum.type() == proto::CHECKSUM_TYPE_COMPOSITE) {
        text += fmt::format("-{}", parts);
    }
    return text;
}

S3Result<std::string> parse_checksum_value(ChecksumAlgorithm algorithm, std::string_view text) {
    const std::string_view value = text.substr(0, text.find('-'));
    const bool good_suffix =
        value.size() == text.size() || base::parse_u64(text.substr(value.size() + 1));
    auto bytes = base::base64_decode(value);
    if (!good_suffix || !bytes || bytes->size() != checksum_bytes(algorithm)) {
        return refuse(ErrorCode::kInvalidRequest,
                      fmt::format("Value for {} header is invalid.", checksum_header(algorithm)));
    }
    return std::move(*bytes);
}

void add_checksum_headers(Reply& reply, const proto::Checksum& checksum, std::size_t parts) {
    if (checksum.algorithm() == proto::CHECKSUM_NONE) return;
    reply.header(std::string(checksum_header(checksum.algorithm())),
                 checksum_text(checksum, parts));
    reply.header("x-amz-checksum-type", std::string(type_name(checksum.type())));
}

void add_checksum_element(XmlWriter& xml, const proto::Checksum& checksum, std::size_t parts) {
    if (checksum.algorithm() == proto::CHECKSUM_NONE) return;
    xml.element(checksum_element(checksum.algorithm()), checksum_text(checksum, parts));
}

S3Result<ChecksumAlgorithm> requested_algorithm(const RequestHead& head) {
    const auto name = head.header("x-amz-checksum-algorithm");
    if (!name) return proto::CHECKSUM_NONE;
    const auto algorithm = parse_algorithm(*name);
    if (!algorithm) {
        return refuse(ErrorCode::kInvalidRequest,
                      "Checksum algorithm provided is unsupported. Please try again with any of "
                      "the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
    }
    return *algorithm;
}

S3Result<UploadChecksum> upload_checksum(const RequestHead& head) {
    UploadChecksum out;
    TRY_ASSIGN(const ChecksumAlgorithm algorithm, requested_algorithm(head));
    const auto type_text = head.header("x-amz-checksum-type");
    std::optional<ChecksumType> type;
    if (type_text) {
        type = parse_type(*type_text);
        if (!type) {
            return refuse(ErrorCode::kInvalidRequest,
                          "Value for x-amz-checksum-type header is invalid.");
        }
        if (algorithm == proto::CHECKSUM_NONE) {
            return refuse(ErrorCode::kInvalidRequest,
                          "The x-amz-checksum-type header can only be used with the "
                          "x-amz-checksum-algorithm header.");
        }
    }
    if (algorithm == proto::CHECKSUM_NONE) return out;
    const bool full_by_default = algorithm == proto::CHECKSUM_CRC64NVME;
    out.algorithm = algorithm;
    out.type = type.value_or(full_by_default ? proto::CHECKSUM_TYPE_FULL_OBJECT
                                             : proto::CHECKSUM_TYPE_COMPOSITE);
    const bool impossible =
        out.type == proto::CHECKSUM_TYPE_FULL_OBJECT ? is_sha(algorithm) : full_by_default;
    if (impossible) {
        return refuse(ErrorCode::kInvalidRequest,
                      fmt::format("The {} checksum type cannot be used with the {} checksum "
                                  "algorithm.",
                                  type_name(out.type), algorithm_name(algorithm)));
    }
    return out;
}

bool wants_checksums(const RequestHead& head) {
    const auto mode = head.header("x-amz-checksum-mode");
    return mode && equals_ignoring_case(*mode, "ENABLED");
}

}  // namespace hamster::s3::ops
