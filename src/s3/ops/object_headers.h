// What a client says about an object when it creates it, and how that comes back: system headers,
// user metadata, tags, storage class. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/records.pb.h"
#include "s3/error.h"
#include "s3/reply.h"
#include "s3/request.h"

namespace hamster::s3::ops {

// From the headers of PutObject, CreateMultipartUpload, PostObject or a REPLACE copy. Refuses
// metadata beyond 2 KiB, bad tags, an unknown storage class, and control characters (form fields
// may hold line breaks; a stored one would split a later response).
S3Result<proto::ObjectHeaders> parse_object_headers(const RequestHead& head);
// The storage class alone: InvalidStorageClass unless absent or STANDARD.
S3Result<> check_storage_class(const RequestHead& head);

// response-content-type and its kin of GET and HEAD; views into the query.
struct ResponseOverrides {
    std::optional<std::string_view> content_type;
    std::optional<std::string_view> content_language;
    std::optional<std::string_view> expires;
    std::optional<std::string_view> cache_control;
    std::optional<std::string_view> content_disposition;
    std::optional<std::string_view> content_encoding;
};
// InvalidArgument when a value holds control characters.
S3Result<ResponseOverrides> response_overrides(const RequestHead& head);

// The stored headers as response headers.
void add_object_headers(Reply& reply, const proto::ObjectHeaders& headers,
                        const ResponseOverrides& overrides);

// Without the token aws-chunked, which belongs to the transfer and not to the object.
std::string without_aws_chunked(std::string_view content_encoding);

}  // namespace hamster::s3::ops
