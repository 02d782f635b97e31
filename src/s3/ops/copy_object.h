// PUT /bucket/key with x-amz-copy-source: a new object from an old one. By reference, unless
// another checksum is asked for: then the bytes are read, hashed and stored anew.
#pragma once

#include "s3/context.h"
#include "s3/ops/copy_source.h"
#include "s3/ops/stored.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> copy_object(Context* context, const VerifiedRequest* request,
                                           RequestBody* body);

// What the request's headers say, apart from the source.
struct CopyRequest {
    bool replace_metadata = false;
    bool replace_tags = false;
    bool onto_itself = false;
    proto::ChecksumAlgorithm algorithm = proto::CHECKSUM_NONE;  // asked for
    proto::ObjectHeaders headers;                               // that a REPLACE takes
    proto::Precondition precondition;
};
// InvalidArgument for unknown directives; InvalidRequest for a copy onto itself that changes
// nothing. Pure.
S3Result<CopyRequest> parse_copy(const RequestHead& head, bool onto_itself);

// True when the source's bytes have to be read for what is asked. Pure.
bool must_rewrite(const CopyRequest& copy, const proto::Version& source);

// The new version by reference: parts, ETag and checksum are the source's. Pure.
proto::Version plan_copy(const CopyRequest& copy, const proto::Version& source,
                         const std::string& owner);

}  // namespace hamster::s3::ops
