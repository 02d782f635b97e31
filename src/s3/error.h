// S3's error vocabulary: code, status, message; see "List of error codes" in the S3 API reference.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hamster::s3 {

// One row per error code we can answer; table in error.cc. Add rows as operations need them.
enum class ErrorCode : std::uint8_t {
    kAccessDenied,
    kAuthorizationHeaderMalformed,
    kAuthorizationQueryParametersError,
    kBadDigest,
    kBucketAlreadyExists,
    kBucketAlreadyOwnedByYou,
    kBucketNotEmpty,
    kConditionalRequestConflict,
    kEntityTooLarge,
    kEntityTooSmall,
    kExpiredToken,
    kIllegalLocationConstraint,
    kIncompleteBody,
    kInsufficientStorage,
    kInternalError,
    kInvalidAccessKeyId,
    kInvalidArgument,
    kInvalidBucketName,
    kInvalidDigest,
    kInvalidEncryptionAlgorithm,
    kInvalidLocationConstraint,
    kInvalidPart,
    kInvalidPartNumber,
    kInvalidPartOrder,
    kInvalidPolicyDocument,
    kInvalidRange,
    kInvalidRequest,
    kInvalidStorageClass,
    kInvalidTag,
    kInvalidUri,
    kKeyTooLong,
    kMalformedPostRequest,
    kMalformedXml,
    kMetadataTooLarge,
    kMethodNotAllowed,
    kMissingContentLength,
    kMissingRequestBody,
    kMissingSecurityHeader,
    kNoSuchBucket,
    kNoSuchKey,
    kNoSuchUpload,
    kNoSuchVersion,
    kNotImplemented,
    kNotModified,
    kPreconditionFailed,
    kRequestHeaderSectionTooLarge,
    kRequestTimeTooSkewed,
    kRequestTimeout,
    kSignatureDoesNotMatch,
    kSlowDown,
    kServiceUnavailable,
    kTooManyBuckets,
    kUnexpectedContent,
    kXAmzContentChecksumMismatch,
    kXAmzContentSha256Mismatch,
    kEntityTooManyParts,
    kInvalidObjectState,
    kMalformedTrailer,
    kUnsignedTrailer,
    kNoSuchTagSet,
    kAccessControlListNotSupported,
    kBadRequest,  // not HTTP, or not as we insist on it
    kInvalidToken,
};

struct ErrorRow {
    ErrorCode code;
    std::string_view name;  // as in <Code>
    int status;
    std::string_view message;
};
const ErrorRow& row_of(ErrorCode code);

// What a handler fails with. `message` replaces the table's when not empty; `details` are extra
// elements of the XML (ArgumentName, ...), `headers` extra headers.
struct S3Error {
    ErrorCode code;
    std::string message;
    std::vector<std::pair<std::string, std::string>> details;
    std::vector<std::pair<std::string, std::string>> headers;
};

template <class T = void>
using S3Result = std::expected<T, S3Error>;

inline std::unexpected<S3Error> refuse(ErrorCode code, std::string message = {}) {
    return std::unexpected<S3Error>(S3Error{code, std::move(message), {}, {}});
}
// Our own failures as S3 sees them: kNoSpace -> InsufficientStorage, kUnavailable -> SlowDown or
// ServiceUnavailable, kTimeout/kClosed -> RequestTimeout/IncompleteBody, the rest InternalError
// (logged with its context, which never reaches the client).
S3Error from_error(const Error& error);

}  // namespace hamster::s3
