// PUT /bucket/key?partNumber&uploadId.
#pragma once

#include "s3/context.h"
#include "s3/ops/access.h"
#include "s3/ops/stored.h"

namespace hamster::s3::ops {

runtime::Task<S3Result<Reply>> upload_part(Context* context, const VerifiedRequest* request,
                                           RequestBody* body);

// The checksum that the client announced must fit the upload's: the same algorithm, and with a
// COMPOSITE one it must be there at all. An upload with the default algorithm takes any: the part's
// own checksum is verified, and the default is computed besides. Pure.
S3Result<> check_part_checksum(const proto::Upload& upload, proto::ChecksumAlgorithm announced);

// The command that makes `part` a part of the upload, its new blob aside. Pure.
proto::Command plan_part(const proto::Upload& upload, proto::Part part);

}  // namespace hamster::s3::ops
