#include "s3/ops/uploads.h"

#include <utility>

#include "s3/ops/arguments.h"

namespace hamster::s3::ops {

S3Result<base::UploadId> requested_upload(const RequestHead& head) {
    const std::string_view text = param_or_empty(head, "uploadId");
    const auto id = base::UploadId::from_hex(text);
    if (!id) return std::unexpected(no_such_upload(text));
    return *id;
}

S3Error no_such_upload(std::string_view upload_id) {
    S3Error error{ErrorCode::kNoSuchUpload, {}, {}, {}};
    error.details.emplace_back("UploadId", std::string(upload_id));
    return error;
}

S3Result<proto::Upload> find_upload(const BucketAccess& access, const std::string& key,
                                    const base::UploadId& id) {
    auto found = access.view.upload(access.id, key, id);
    if (!found) return std::unexpected(from_error(found.error()));
    if (!*found) return std::unexpected(no_such_upload(id.hex()));
    return std::move(**found);
}

}  // namespace hamster::s3::ops
