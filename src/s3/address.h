// Which bucket and key a request names. Parsed here and nowhere else: signature, authorization and
// storage use the result. Pure.
#pragma once

#include <string>
#include <string_view>

#include "s3/error.h"
#include "s3/request.h"

namespace hamster::s3 {

enum class Level { kService, kBucket, kObject };

struct Address {
    Level level = Level::kService;
    std::string bucket;
    std::string key;
};

// Path style, or virtual-hosted style when `domain` is not empty and Host ends with it. Percent
// escapes are decoded once; nothing is normalised. InvalidURI, InvalidBucketName, KeyTooLongError.
S3Result<Address> parse_address(const RequestHead& head, std::string_view domain);

// A key as S3 takes it: 1..1024 bytes of UTF-8.
S3Result<> check_key(std::string_view key);

}  // namespace hamster::s3
