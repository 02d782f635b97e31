// Digests that S3 and its signatures need. One Digest serves one stream at a time; it may move
// between threads. The free functions are pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace hamster::crypto {

using base::Bytes;

// Stored nowhere by number; records name digests by their own enums.
enum class DigestKind : std::uint8_t { kMd5, kSha1, kSha256, kCrc32, kCrc32c, kCrc64Nvme };

// Length of the raw value in bytes.
std::size_t digest_size(DigestKind kind);
bool is_crc(DigestKind kind);

class Digest {
  public:
    explicit Digest(DigestKind kind);
    Digest(Digest&& other) noexcept;
    Digest& operator=(Digest&& other) noexcept;
    Digest(const Digest&) = delete;
    Digest& operator=(const Digest&) = delete;
    ~Digest();

    void update(Bytes bytes);
    // The raw value of everything since construction or the last finish(); CRCs big endian, as S3
    // sends them. The digest starts afresh.
    [[nodiscard]] std::string finish();
    [[nodiscard]] DigestKind kind() const { return kind_; }

  private:
    void start();

    DigestKind kind_;
    std::uint64_t crc_ = 0;    // CRC kinds: the value so far
    void* context_ = nullptr;  // hash kinds: an EVP_MD_CTX, owned; null after a move
};

// Raw values of one whole message.
std::string digest_of(DigestKind kind, Bytes bytes);
std::string md5(Bytes bytes);
std::string sha1(Bytes bytes);
std::string sha256(Bytes bytes);
std::string hmac_sha256(Bytes key, Bytes bytes);  // RFC 2104

// The raw CRC of a then b from the raw CRCs of both: how the checksum of a whole multipart object
// comes from those of its parts. `kind` is a CRC, and both values have its size.
std::string combine_crc(DigestKind kind, Bytes crc_a, Bytes crc_b, std::uint64_t length_b);

// Takes the same time wherever the first difference is. Different lengths are unequal.
bool equal_constant_time(Bytes a, Bytes b);

}  // namespace hamster::crypto
