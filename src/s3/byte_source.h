// One layer of a request body: bytes as they come off the layer below. The layers are, bottom up:
// HttpBody (Content-Length or chunked), then AwsChunkedSource or FormReader where the request has
// them, then BodyVerifier, which is what an operation sees.
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "runtime/task.h"
#include "s3/error.h"

namespace hamster::s3 {

class ByteSource {
  public:
    virtual ~ByteSource() = default;
    // At least one byte; 0 at the end, which is answered only when the framing of this layer was
    // complete and right. Errors are final.
    virtual runtime::Task<S3Result<std::size_t>> read_some(base::MutableBytes out) = 0;
};

}  // namespace hamster::s3
