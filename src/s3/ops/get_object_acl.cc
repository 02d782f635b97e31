#include "s3/ops/get_object_acl.h"

#include "s3/ops/access.h"
#include "s3/ops/acl.h"
#include "s3/ops/read_object.h"
#include "s3/ops/version_ids.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> get_object_acl(Context* context, const VerifiedRequest* request,
                                              RequestBody*) {
    CO_TRY_ASSIGN(const auto wanted, requested_version(request->head()));
    auto opened = co_await open_bucket(context, request);
    CO_TRY_ASSIGN(const BucketAccess access, opened);
    CO_TRY_ASSIGN(const proto::Version version, find_version(access, request->key(), wanted));
    CO_TRY_ASSIGN(const Owner owner, owner_named(access.view, version.owner()));
    Reply reply = xml_reply(render_acl(owner));
    add_version_header(reply, version.version_id());
    co_return reply;
}

}  // namespace hamster::s3::ops
