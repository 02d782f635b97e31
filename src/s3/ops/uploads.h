// What the multipart operations share: the upload a request names.
#pragma once

#include <optional>
#include <string>

#include "s3/ops/access.h"

namespace hamster::s3::ops {

// ?uploadId=; NoSuchUpload when it is none of our ids. Pure.
S3Result<base::UploadId> requested_upload(const RequestHead& head);
// NoSuchUpload naming the id.
S3Error no_such_upload(std::string_view upload_id);
S3Result<proto::Upload> find_upload(const BucketAccess& access, const std::string& key,
                                    const base::UploadId& id);

}  // namespace hamster::s3::ops
