#include "s3/ops/version_ids.h"

#include "s3/ops/arguments.h"

namespace hamster::s3::ops {

namespace {

bool is_null_version(std::string_view id) {
    return id.find_first_not_of('\0') == std::string_view::npos;
}

}  // namespace

std::string version_text(std::string_view id) {
    if (is_null_version(id)) return "null";
    return base::hex_encode(base::as_bytes(id));
}

std::optional<base::VersionId> parse_version_text(std::string_view text) {
    if (text == "null") return base::VersionId{};
    auto id = base::VersionId::from_hex(text);
    // The zero id has one spelling only.
    if (id && id->is_zero()) return std::nullopt;
    return id;
}

S3Result<std::optional<base::VersionId>> requested_version(const RequestHead& head) {
    const auto text = head.param("versionId");
    if (!text) return std::optional<base::VersionId>();
    if (text->empty()) {
        return invalid_argument("versionId", "", "Version id cannot be the empty string");
    }
    const auto id = parse_version_text(*text);
    if (!id) return invalid_argument("versionId", *text, "Invalid version id specified");
    return id;
}

void add_version_header(Reply& reply, std::string_view id) {
    if (!is_null_version(id)) reply.header("x-amz-version-id", version_text(id));
}

}  // namespace hamster::s3::ops
