// A body on its way into an object or a part: read, hashed and durable, but referenced by nothing
// yet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "meta/view.h"
#include "objects/service.h"
#include "s3/context.h"
#include "s3/error.h"
#include "s3/ops/answer.h"

namespace hamster::s3::ops {

struct Stored {
    objects::StoredBody body;
    std::string md5;  // 16 bytes
    proto::Checksum checksum;
};
// The part (number 0: a plain object's only one) that these bytes make.
proto::Part part_of(const Stored& stored, std::uint32_t number);
// Hex of the MD5.
std::string etag_of(const Stored& stored);

// EntityTooLarge beyond S3's 5 GiB for one PUT or part. Pure.
S3Result<> check_put_size(std::uint64_t size);
// What can be refused before a byte is read: a full disk, a missing or excessive length.
S3Result<> check_before_body(const Context& context, const RequestBody& body);

// Reads the request's body to its verified end and stores it. `algorithm` is computed besides what
// the client announced; the checksum in the result is of that algorithm, or of the announced one
// when it is NONE.
runtime::Task<S3Result<Stored>> store_request_body(Context* context, RequestBody* body,
                                                   proto::ChecksumAlgorithm algorithm);
// Reads `range` of other objects' parts and stores it anew, hashed.
runtime::Task<S3Result<Stored>> store_copy(Context* context, meta::View view,
                                           std::vector<proto::Part> parts, objects::ByteRange range,
                                           proto::ChecksumAlgorithm algorithm);

inline constexpr int kMaxSettles = 4;  // of one body, while the layout keeps changing

// commit() of a command that names `body`, or none (null). When the layout has changed since it was
// stored, its shards follow, and the command is proposed again as a new one: the refused one
// changed nothing. `body` is then what was committed, or is to be discarded.
runtime::Task<S3Result<Committed>> commit_body(Context* context, meta::Group* group,
                                               proto::Command command, objects::StoredBody* body);

}  // namespace hamster::s3::ops
