// The source of a copy: found, allowed, and as the conditions want it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "s3/ops/access.h"

namespace hamster::s3::ops {

struct CopyOrigin {
    meta::View view;  // the version was read from
    proto::Bucket bucket;
    proto::Version version;
};

// What x-amz-copy-source names. Parsed once: authorization and reading use the same values.
struct CopySource {
    std::string bucket;
    std::string key;
    std::optional<base::VersionId> version;
};
// [/]bucket/key[?versionId=id], bucket and key percent-encoded. The '?' is looked for before
// decoding: an encoded one belongs to the key. Pure.
S3Result<CopySource> parse_copy_source(std::string_view header);

// Authorizes reading it, finds the version, judges x-amz-copy-source-if-*. A copy that lost its
// blobs to a concurrent overwrite calls this again.
runtime::Task<S3Result<CopyOrigin>> open_copy_source(Context* context,
                                                     const VerifiedRequest* request,
                                                     const CopySource* source);

// The ids of the blobs that these parts are made of, each once.
std::vector<std::string> blobs_of(const proto::Version& version);

// How often a copy starts because its source's blobs went away under it. The last attempt stores
// the bytes anew: garbage is kept long enough for readers, so that one cannot lose the race.
inline constexpr int kMaxCopyAttempts = 5;

}  // namespace hamster::s3::ops
