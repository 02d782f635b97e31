// GET /bucket?versions: every version of every key, newest first.
#pragma once

#include <optional>
#include <string>

#include "s3/context.h"
#include "s3/ops/access.h"
#include "s3/ops/listing.h"
#include "s3/ops/owner.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> list_object_versions(Context* context,
                                                    const VerifiedRequest* request,
                                                    RequestBody* body);

struct VersionListing {
    std::string prefix;
    std::string delimiter;
    std::string key_marker;
    std::string version_marker_text;
    std::optional<base::VersionId> version_marker;
    Position from;
    std::uint32_t limit = kMaxListed;
    bool url = false;
};
// A version-id-marker needs a key-marker. Pure.
S3Result<VersionListing> parse_version_listing(const RequestHead& head);

using VersionPage = meta::Page<meta::VersionEntry>;
// The view names the owners.
S3Result<std::string> render_versions(const std::string& bucket, const VersionListing& listing,
                                      const VersionPage& page, const meta::View& view);

}  // namespace hamster::s3::ops
