#include "s3/ops/handlers.h"

#include "base/assert.h"
#include "s3/ops/abort_multipart_upload.h"
#include "s3/ops/complete_multipart_upload.h"
#include "s3/ops/copy_object.h"
#include "s3/ops/create_bucket.h"
#include "s3/ops/create_multipart_upload.h"
#include "s3/ops/delete_bucket.h"
#include "s3/ops/delete_object.h"
#include "s3/ops/delete_object_tagging.h"
#include "s3/ops/delete_objects.h"
#include "s3/ops/get_bucket_acl.h"
#include "s3/ops/get_bucket_location.h"
#include "s3/ops/get_bucket_versioning.h"
#include "s3/ops/get_object.h"
#include "s3/ops/get_object_acl.h"
#include "s3/ops/get_object_attributes.h"
#include "s3/ops/get_object_tagging.h"
#include "s3/ops/head_bucket.h"
#include "s3/ops/head_object.h"
#include "s3/ops/list_buckets.h"
#include "s3/ops/list_multipart_uploads.h"
#include "s3/ops/list_object_versions.h"
#include "s3/ops/list_objects.h"
#include "s3/ops/list_objects_v2.h"
#include "s3/ops/list_parts.h"
#include "s3/ops/post_object.h"
#include "s3/ops/put_object.h"
#include "s3/ops/put_object_tagging.h"
#include "s3/ops/upload_part.h"
#include "s3/ops/upload_part_copy.h"

namespace hamster::s3::ops {

Handler handler_of(Action action) {
    // No default: the compiler names an action that was forgotten.
    switch (action) {
        case Action::kListBuckets:
            return ops::list_buckets;
        case Action::kCreateBucket:
            return ops::create_bucket;
        case Action::kHeadBucket:
            return ops::head_bucket;
        case Action::kDeleteBucket:
            return ops::delete_bucket;
        case Action::kGetBucketLocation:
            return ops::get_bucket_location;
        case Action::kListObjects:
            return ops::list_objects;
        case Action::kListObjectsV2:
            return ops::list_objects_v2;
        case Action::kListObjectVersions:
            return ops::list_object_versions;
        case Action::kListMultipartUploads:
            return ops::list_multipart_uploads;
        case Action::kDeleteObjects:
            return ops::delete_objects;
        case Action::kPostObject:
            return ops::post_object;
        case Action::kPutObject:
            return ops::put_object;
        case Action::kGetObject:
            return ops::get_object;
        case Action::kHeadObject:
            return ops::head_object;
        case Action::kDeleteObject:
            return ops::delete_object;
        case Action::kCopyObject:
            return ops::copy_object;
        case Action::kGetObjectAttributes:
            return ops::get_object_attributes;
        case Action::kGetObjectTagging:
            return ops::get_object_tagging;
        case Action::kPutObjectTagging:
            return ops::put_object_tagging;
        case Action::kDeleteObjectTagging:
            return ops::delete_object_tagging;
        case Action::kCreateMultipartUpload:
            return ops::create_multipart_upload;
        case Action::kUploadPart:
            return ops::upload_part;
        case Action::kUploadPartCopy:
            return ops::upload_part_copy;
        case Action::kCompleteMultipartUpload:
            return ops::complete_multipart_upload;
        case Action::kAbortMultipartUpload:
            return ops::abort_multipart_upload;
        case Action::kListParts:
            return ops::list_parts;
        case Action::kGetBucketVersioning:
            return ops::get_bucket_versioning;
        case Action::kGetObjectAcl:
            return ops::get_object_acl;
        case Action::kGetBucketAcl:
            return ops::get_bucket_acl;
    }
    HAMSTER_ASSERT(false, static_cast<int>(action));
}

}  // namespace hamster::s3::ops
