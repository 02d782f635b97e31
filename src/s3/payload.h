// How the authenticator says a body must be verified; the body (body_verifier.h) does it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "s3/error.h"
#include "s3/request.h"
#include "s3/sigv4.h"

namespace hamster::s3 {

enum class PayloadMode {
    kHash,             // x-amz-content-sha256 is the hash of the body
    kUnsigned,         // UNSIGNED-PAYLOAD
    kSigned,           // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
    kSignedTrailer,    // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
    kUnsignedTrailer,  // STREAMING-UNSIGNED-PAYLOAD-TRAILER
};

inline bool is_streaming(PayloadMode mode) { return mode >= PayloadMode::kSigned; }
inline bool has_signed_chunks(PayloadMode mode) {
    return mode == PayloadMode::kSigned || mode == PayloadMode::kSignedTrailer;
}
inline bool has_trailer(PayloadMode mode) {
    return mode == PayloadMode::kSignedTrailer || mode == PayloadMode::kUnsignedTrailer;
}

// What signed chunks chain from.
struct ChunkSeed {
    std::string signature;
    std::string key;  // signing key
    std::string amz_date;
    Scope scope;
};

struct PayloadPlan {
    PayloadMode mode = PayloadMode::kUnsigned;
    std::string sha256_hex;               // kHash
    ChunkSeed seed;                       // signed chunks
    std::vector<std::string> trailers;    // lower-case names announced by x-amz-trailer
    std::optional<std::uint64_t> length;  // of the decoded body
};

// InvalidArgument when the value of x-amz-content-sha256 is none of S3's.
S3Result<PayloadMode> parse_payload_mode(std::string_view content_sha256);

// Mode, trailers and decoded length of a request whose head has been verified. `content_sha256` is
// the payload line of its canonical request. The seed is the caller's.
S3Result<PayloadPlan> plan_payload(const RequestHead& head, std::string_view content_sha256);

}  // namespace hamster::s3
