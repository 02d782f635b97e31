#include "s3/authorize.h"

namespace hamster::s3 {

base::UserId owner_of(const proto::Bucket& bucket) {
    return base::UserId::from_bytes(bucket.owner()).value_or(base::UserId{});
}

S3Result<proto::Bucket> authorize(const meta::View& view, const Identity& identity, Action,
                                  std::string_view bucket, std::string_view) {
    auto found = view.bucket(bucket);
    if (!found) return std::unexpected(from_error(found.error()));
    if (!*found) {
        S3Error error{ErrorCode::kNoSuchBucket, {}, {}, {}};
        error.details.emplace_back("BucketName", std::string(bucket));
        return std::unexpected(std::move(error));
    }
    // An owner field that cannot be read grants nothing to anybody but root.
    const auto owner = base::UserId::from_bytes((*found)->owner());
    const bool owns = owner && *owner == identity.user;
    if (!identity.is_root() && !owns) return refuse(ErrorCode::kAccessDenied);
    return std::move(**found);
}

}  // namespace hamster::s3
