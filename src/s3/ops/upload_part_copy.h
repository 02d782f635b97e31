// PUT /bucket/key?partNumber&uploadId with x-amz-copy-source: a part from (a range of) an object.
#pragma once

#include "s3/context.h"
#include "s3/ops/stored.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> upload_part_copy(Context* context, const VerifiedRequest* request,
                                                RequestBody* body);

// True when the range is all of a source that is one blob with the checksum the upload needs: then
// the part refers to that blob, and nothing is read. Pure.
bool can_share(const proto::Version& source, objects::ByteRange range,
               proto::ChecksumAlgorithm algorithm);

}  // namespace hamster::s3::ops
