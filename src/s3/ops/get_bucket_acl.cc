#include "s3/ops/get_bucket_acl.h"

#include "s3/ops/access.h"
#include "s3/ops/acl.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_bucket_acl(Context* context, const VerifiedRequest* request,
                                              RequestBody*) {
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY_ASSIGN(const Owner owner, owner_named(access.view, access.bucket.owner()));
    co_return xml_reply(render_acl(owner));
}

}  // namespace hamster::s3::ops
