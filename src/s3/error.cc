#include "s3/error.h"

#include <array>
#include <cstddef>

#include "base/assert.h"
#include "base/log.h"

namespace hamster::s3 {

namespace {

using enum ErrorCode;

// In the order of the enum; checked below.
constexpr std::array kTable = {
    ErrorRow{kAccessDenied, "AccessDenied", 403, "Access Denied"},
    ErrorRow{kAuthorizationHeaderMalformed, "AuthorizationHeaderMalformed", 400,
             "The authorization header that you provided is not valid."},
    ErrorRow{kAuthorizationQueryParametersError, "AuthorizationQueryParametersError", 400,
             "The authorization query parameters that you provided are not valid."},
    ErrorRow{kBadDigest, "BadDigest", 400,
             "The Content-MD5 you specified did not match what we received."},
    ErrorRow{kBucketAlreadyExists, "BucketAlreadyExists", 409,
             "The requested bucket name is not available. The bucket namespace is shared by all "
             "users of the system. Please select a different name and try again."},
    ErrorRow{kBucketAlreadyOwnedByYou, "BucketAlreadyOwnedByYou", 409,
             "Your previous request to create the named bucket succeeded and you already own it."},
    ErrorRow{kBucketNotEmpty, "BucketNotEmpty", 409, "The bucket you tried to delete is not empty"},
    ErrorRow{kConditionalRequestConflict, "ConditionalRequestConflict", 409,
             "The conditional request cannot succeed due to a conflicting operation against this "
             "resource."},
    ErrorRow{kEntityTooLarge, "EntityTooLarge", 400,
             "Your proposed upload exceeds the maximum allowed size"},
    ErrorRow{kEntityTooSmall, "EntityTooSmall", 400,
             "Your proposed upload is smaller than the minimum allowed size"},
    ErrorRow{kExpiredToken, "ExpiredToken", 400, "The provided token has expired."},
    ErrorRow{kIllegalLocationConstraint, "IllegalLocationConstraintException", 400,
             "The unspecified location constraint is incompatible for the region specific endpoint "
             "this request was sent to."},
    ErrorRow{kIncompleteBody, "IncompleteBody", 400,
             "You did not provide the number of bytes specified by the Content-Length HTTP header"},
    ErrorRow{kInsufficientStorage, "InsufficientStorage", 507,
             "There is not enough free space to store this."},
    ErrorRow{kInternalError, "InternalError", 500,
             "We encountered an internal error. Please try again."},
    ErrorRow{kInvalidAccessKeyId, "InvalidAccessKeyId", 403,
             "The AWS Access Key Id you provided does not exist in our records."},
    ErrorRow{kInvalidArgument, "InvalidArgument", 400, "Invalid Argument"},
    ErrorRow{kInvalidBucketName, "InvalidBucketName", 400, "The specified bucket is not valid."},
    ErrorRow{kInvalidDigest, "InvalidDigest", 400, "The Content-MD5 you specified was invalid."},
    ErrorRow{kInvalidEncryptionAlgorithm, "InvalidEncryptionAlgorithmError", 400,
             "The encryption request you specified is not valid. Supported value: AES256."},
    ErrorRow{kInvalidLocationConstraint, "InvalidLocationConstraint", 400,
             "The specified location-constraint is not valid"},
    ErrorRow{kInvalidPart, "InvalidPart", 400,
             "One or more of the specified parts could not be found.  The part may not have been "
             "uploaded, or the specified entity tag may not match the part's entity tag."},
    ErrorRow{kInvalidPartNumber, "InvalidPartNumber", 416,
             "The requested partnumber is not satisfiable"},
    ErrorRow{kInvalidPartOrder, "InvalidPartOrder", 400,
             "The list of parts was not in ascending order. Parts must be ordered by part number."},
    ErrorRow{kInvalidPolicyDocument, "InvalidPolicyDocument", 400,
             "The content of the form does not meet the conditions specified in the policy "
             "document."},
    ErrorRow{kInvalidRange, "InvalidRange", 416, "The requested range is not satisfiable"},
    ErrorRow{kInvalidRequest, "InvalidRequest", 400, "Invalid Request"},
    ErrorRow{kInvalidStorageClass, "InvalidStorageClass", 400,
             "The storage class you specified is not valid"},
    ErrorRow{kInvalidTag, "InvalidTag", 400, "The tag provided was not a valid tag."},
    ErrorRow{kInvalidUri, "InvalidURI", 400, "Couldn't parse the specified URI."},
    ErrorRow{kKeyTooLong, "KeyTooLongError", 400, "Your key is too long"},
    ErrorRow{kMalformedPostRequest, "MalformedPOSTRequest", 400,
             "The body of your POST request is not well-formed multipart/form-data."},
    ErrorRow{kMalformedXml, "MalformedXML", 400,
             "The XML you provided was not well-formed or did not validate against our published "
             "schema"},
    ErrorRow{kMetadataTooLarge, "MetadataTooLarge", 400,
             "Your metadata headers exceed the maximum allowed metadata size"},
    ErrorRow{kMethodNotAllowed, "MethodNotAllowed", 405,
             "The specified method is not allowed against this resource."},
    ErrorRow{kMissingContentLength, "MissingContentLength", 411,
             "You must provide the Content-Length HTTP header."},
    ErrorRow{kMissingRequestBody, "MissingRequestBodyError", 400, "Request Body is empty"},
    ErrorRow{kMissingSecurityHeader, "MissingSecurityHeader", 400,
             "Your request was missing a required header"},
    ErrorRow{kNoSuchBucket, "NoSuchBucket", 404, "The specified bucket does not exist"},
    ErrorRow{kNoSuchKey, "NoSuchKey", 404, "The specified key does not exist."},
    ErrorRow{kNoSuchUpload, "NoSuchUpload", 404,
             "The specified upload does not exist. The upload ID may be invalid, or the upload may "
             "have been aborted or completed."},
    ErrorRow{kNoSuchVersion, "NoSuchVersion", 404, "The specified version does not exist."},
    ErrorRow{kNotImplemented, "NotImplemented", 501,
             "A header you provided implies functionality that is not implemented"},
    ErrorRow{kNotModified, "NotModified", 304, "Not Modified"},
    ErrorRow{kPreconditionFailed, "PreconditionFailed", 412,
             "At least one of the pre-conditions you specified did not hold"},
    ErrorRow{kRequestHeaderSectionTooLarge, "RequestHeaderSectionTooLarge", 431,
             "Your request header section exceeds the maximum allowed size"},
    ErrorRow{kRequestTimeTooSkewed, "RequestTimeTooSkewed", 403,
             "The difference between the request time and the current time is too large."},
    ErrorRow{kRequestTimeout, "RequestTimeout", 400,
             "Your socket connection to the server was not read from or written to within the "
             "timeout period. Idle connections will be closed."},
    ErrorRow{kSignatureDoesNotMatch, "SignatureDoesNotMatch", 403,
             "The request signature we calculated does not match the signature you provided. Check "
             "your key and signing method."},
    ErrorRow{kSlowDown, "SlowDown", 503, "Please reduce your request rate."},
    ErrorRow{kServiceUnavailable, "ServiceUnavailable", 503,
             "Service is unable to handle request."},
    ErrorRow{kTooManyBuckets, "TooManyBuckets", 400,
             "You have attempted to create more buckets than allowed"},
    ErrorRow{kUnexpectedContent, "UnexpectedContent", 400, "This request does not support content"},
    ErrorRow{kXAmzContentChecksumMismatch, "XAmzContentChecksumMismatch", 400,
             "The provided 'x-amz-content-checksum' header does not match what was computed."},
    ErrorRow{kXAmzContentSha256Mismatch, "XAmzContentSHA256Mismatch", 400,
             "The provided 'x-amz-content-sha256' header does not match what was computed."},
    ErrorRow{kEntityTooManyParts, "InvalidRequest", 400,
             "The upload has more parts than the maximum of 10000."},
    ErrorRow{kInvalidObjectState, "InvalidObjectState", 403,
             "The operation is not valid for the object's storage class"},
    ErrorRow{kMalformedTrailer, "MalformedTrailerError", 400,
             "The request contained trailing data that was not well-formed or did not conform to "
             "our published schema."},
    ErrorRow{kUnsignedTrailer, "InvalidRequest", 400,
             "Unsigned trailing data is accepted only by PutObject and UploadPart."},
    ErrorRow{kNoSuchTagSet, "NoSuchTagSet", 404, "The TagSet does not exist"},
    ErrorRow{kAccessControlListNotSupported, "AccessControlListNotSupported", 400,
             "The bucket does not allow ACLs"},
    ErrorRow{kBadRequest, "BadRequest", 400, "Bad Request"},
    ErrorRow{kInvalidToken, "InvalidToken", 400,
             "The provided token is malformed or otherwise invalid."},
};

constexpr bool is_in_order() {
    for (std::size_t i = 0; i < kTable.size(); ++i) {
        if (static_cast<std::size_t>(kTable[i].code) != i) return false;
    }
    return true;
}
static_assert(is_in_order());
static_assert(kTable.size() == static_cast<std::size_t>(kInvalidToken) + 1);

}  // namespace

const ErrorRow& row_of(ErrorCode code) {
    const auto index = static_cast<std::size_t>(code);
    HAMSTER_ASSERT(index < kTable.size(), index);
    return kTable[index];
}

S3Error from_error(const Error& error) {
    const auto plain = [](ErrorCode code) { return S3Error{code, {}, {}, {}}; };
    switch (error.code) {
        case Code::kNoSpace:
            return plain(kInsufficientStorage);
        case Code::kUnavailable:  // the client is told no more than this; who runs the node is
            LOG_WARN("s3", "service unavailable: {}", error.context);
            return plain(kServiceUnavailable);
        case Code::kTimeout:
            return plain(kRequestTimeout);
        case Code::kClosed:
            return plain(kIncompleteBody);
        case Code::kUnknownOutcome:  // nothing is wrong here: a leader was lost, or this node left
            return {kServiceUnavailable,
                    "It is not known whether the request took effect. Please repeat it.",
                    {},
                    {}};
        default:
            break;
    }
    LOG_ERROR("s3", "internal error: {}: {}", base::to_string(error.code), error.context);
    return plain(kInternalError);
}

}  // namespace hamster::s3
