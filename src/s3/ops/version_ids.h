// Version ids as S3 writes them: "null" for the zero id, else 32 hex digits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "s3/error.h"
#include "s3/reply.h"
#include "s3/request.h"

namespace hamster::s3::ops {

// `id` are the 16 bytes of a record; empty counts as zero.
std::string version_text(std::string_view id);
std::optional<base::VersionId> parse_version_text(std::string_view text);

// ?versionId=; nullopt when absent, InvalidArgument when it is no version id.
S3Result<std::optional<base::VersionId>> requested_version(const RequestHead& head);

// x-amz-version-id, unless it is the null version: an unversioned bucket does not show one.
void add_version_header(Reply& reply, std::string_view id);

}  // namespace hamster::s3::ops
