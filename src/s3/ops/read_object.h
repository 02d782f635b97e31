// What GetObject and HeadObject share: which version is meant, whether the conditions let it
// through, which bytes of it are asked for, and the headers that describe it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "objects/service.h"
#include "s3/ops/access.h"
#include "s3/ops/object_headers.h"
#include "s3/reply.h"

namespace hamster::s3::ops {

// NoSuchKey naming the key.
S3Error no_such_key(const std::string& key);

// The version asked for, or the newest. NoSuchKey, NoSuchVersion; a delete marker is NoSuchKey
// when it is the newest and MethodNotAllowed when it was named.
S3Result<proto::Version> find_version(const BucketAccess& access, const std::string& key,
                                      const std::optional<base::VersionId>& id);

struct ReadPlan {
    int status = 200;  // or 206
    objects::ByteRange range;
    std::optional<std::size_t> part;  // of a multipart object: index into its parts
    bool with_parts_count = false;
    bool with_checksum = false;   // of the part when there is one, else of the whole
    ResponseOverrides overrides;  // views into the request
};

// Conditions, partNumber, Range (If-Range) and response-*. NotModified, PreconditionFailed,
// InvalidRange, InvalidPartNumber. Pure.
S3Result<ReadPlan> plan_read(const RequestHead& head, const proto::Version& version);

// Status and headers; the caller adds the body. Pure.
Reply read_reply(const ReadPlan& plan, const proto::Version& version);

}  // namespace hamster::s3::ops
