// Every operation of the S3 API that the route table can name. One request is exactly one action.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace hamster::s3 {

// X(name): enumerator kName, operation name "Name" (metrics, access log), handler in s3/ops.
#define HAMSTER_S3_ACTIONS(X)  \
    X(ListBuckets)             \
    X(CreateBucket)            \
    X(HeadBucket)              \
    X(DeleteBucket)            \
    X(GetBucketLocation)       \
    X(ListObjects)             \
    X(ListObjectsV2)           \
    X(ListObjectVersions)      \
    X(ListMultipartUploads)    \
    X(DeleteObjects)           \
    X(PostObject)              \
    X(PutObject)               \
    X(GetObject)               \
    X(HeadObject)              \
    X(DeleteObject)            \
    X(CopyObject)              \
    X(GetObjectAttributes)     \
    X(GetObjectTagging)        \
    X(PutObjectTagging)        \
    X(DeleteObjectTagging)     \
    X(CreateMultipartUpload)   \
    X(UploadPart)              \
    X(UploadPartCopy)          \
    X(CompleteMultipartUpload) \
    X(AbortMultipartUpload)    \
    X(ListParts)               \
    X(GetBucketVersioning)     \
    X(GetObjectAcl)            \
    X(GetBucketAcl)

enum class Action : std::uint8_t {
#define X(name) k##name,
    HAMSTER_S3_ACTIONS(X)
#undef X
};

#define X(name) +1
inline constexpr std::size_t kActionCount = 0 HAMSTER_S3_ACTIONS(X);
#undef X

std::string_view to_string(Action action);

}  // namespace hamster::s3
