#include "s3/ops/delete_object_tagging.h"

#include "s3/ops/put_object_tagging.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> delete_object_tagging(Context* context,
                                                     const VerifiedRequest* request, RequestBody*) {
    return replace_tags(context, request, Tags(), 204);
}

}  // namespace hamster::s3::ops
