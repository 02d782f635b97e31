// GET /bucket?uploads: uploads in progress, by key and then by age.
#pragma once

#include <optional>
#include <string>

#include "s3/context.h"
#include "s3/ops/listing.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> list_multipart_uploads(Context* context,
                                                      const VerifiedRequest* request,
                                                      RequestBody* body);

struct UploadListing {
    std::string prefix;
    std::string delimiter;
    std::string key_marker;
    std::string upload_marker_text;
    std::optional<base::UploadId> upload_marker;
    Position from;
    std::uint32_t limit = kMaxListed;
    bool url = false;
};
// An upload-id-marker without a key-marker is ignored, as AWS does. Pure.
S3Result<UploadListing> parse_upload_listing(const RequestHead& head);

using UploadPage = meta::Page<meta::UploadEntry>;
S3Result<std::string> render_uploads(const std::string& bucket, const UploadListing& listing,
                                     const UploadPage& page, const meta::View& view);

}  // namespace hamster::s3::ops
