#include "s3/ops/access.h"

#include <utility>

namespace hamster::s3::ops {

S3Result<> check_expected_owner(const RequestHead& head, std::string_view owner_header,
                                const proto::Bucket& bucket) {
    const auto expected = head.header(owner_header);
    if (!expected) return {};
    const auto id = base::UserId::from_hex(*expected);
    if (!id || id->view() != bucket.owner()) return refuse(ErrorCode::kAccessDenied);
    return {};
}

runtime::Task<S3Result<BucketAccess>> open_named_bucket(Context* context,
                                                        const VerifiedRequest* request,
                                                        Action action, std::string bucket,
                                                        std::string key, const char* owner_header) {
    meta::Router& router = context->objects->router();
    meta::Group* names = &router.system();
    auto view = co_await names->view();
    if (!view) co_return std::unexpected(from_error(view.error()));
    auto found = authorize(*view, request->identity(), action, bucket, key);
    CO_TRY(found);
    CO_TRY(check_expected_owner(request->head(), owner_header, *found));
    const auto id = base::BucketId::from_bytes(found->bucket_id());
    if (!id) co_return refuse(ErrorCode::kInternalError);
    meta::Group* group = &router.group_of(*id);
    // One group holds everything today: its one view serves both questions.
    if (group != names) {
        view = co_await group->view();
        if (!view) co_return std::unexpected(from_error(view.error()));
    }
    co_return BucketAccess{group, std::move(*view), std::move(*found), *id};
}

runtime::Task<S3Result<BucketAccess>> open_bucket(Context* context,
                                                  const VerifiedRequest* request) {
    return open_named_bucket(context, request, request->action(), request->bucket(), request->key(),
                             "x-amz-expected-bucket-owner");
}

}  // namespace hamster::s3::ops
