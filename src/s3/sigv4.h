// AWS Signature Version 4 ("Authenticating Requests" of the S3 API reference): the pure part, for
// verifying and for signing. Any thread, but a SigningKeyCache belongs to one loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "s3/request.h"

namespace hamster::s3 {

inline constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
inline constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string sha256_hex(std::string_view text);

// date/region/s3/aws4_request
struct Scope {
    std::string date;  // yyyymmdd
    std::string region;
    [[nodiscard]] std::string text() const { return date + "/" + region + "/s3/aws4_request"; }
};

// 32 bytes.
std::string signing_key(std::string_view secret, const Scope& scope);

// Keys last used, bounded; deriving one costs four HMACs.
class SigningKeyCache {
  public:
    explicit SigningKeyCache(std::size_t limit = 1024) : limit_(limit) {}
    // The reference holds until the next call.
    const std::string& get(std::string_view access_key_id, std::string_view secret,
                           const Scope& scope);

  private:
    struct Entry {
        std::string access_key_id;
        std::string secret;
        Scope scope;
        std::string key;
    };
    static constexpr std::size_t kSets = 64;
    std::size_t limit_;
    std::array<std::list<Entry>, kSets> sets_;  // most recently used first
};

// Each escape of the path decoded and encoded again: the canonical form of S3, where nothing is
// normalised and "%2F" stays apart from "/".
std::string canonical_path(std::string_view raw_path);
// Sorted; X-Amz-Signature left out.
std::string canonical_query(const std::vector<QueryParam>& query);
// `signed_headers` in order, lower case; each must be present in `head`.
std::string canonical_request(const RequestHead& head,
                              const std::vector<std::string_view>& signed_headers,
                              std::string_view payload_hash);
std::string string_to_sign(std::string_view amz_date, const Scope& scope,
                           std::string_view canonical);
std::string sign(std::string_view key, std::string_view text);  // hex

// What a chunk of aws-chunked, and its trailers, sign.
std::string chunk_string_to_sign(std::string_view amz_date, const Scope& scope,
                                 std::string_view previous_signature, std::string_view data_hash);
std::string trailer_string_to_sign(std::string_view amz_date, const Scope& scope,
                                   std::string_view previous_signature,
                                   std::string_view trailers_hash);

// For clients. ---------------------------------------------------------------------------------
struct SigningIdentity {
    std::string access_key_id;
    std::string secret;
    std::string region = "us-east-1";
};
// Adds x-amz-date, x-amz-content-sha256 and authorization to `head`, which must have its method,
// raw_path, query and host set. Signs every header that is there.
void sign_request(RequestHead& head, const SigningIdentity& who, std::uint64_t unix_ms,
                  std::string_view payload_hash);
// Adds the query parameters of a presigned URL to `head`; signs every header that is there.
void presign_request(RequestHead& head, const SigningIdentity& who, std::uint64_t unix_ms,
                     std::uint64_t expires_seconds);
// Path and query of `head` as they go onto the request line.
std::string target_of(const RequestHead& head);

}  // namespace hamster::s3
