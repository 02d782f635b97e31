// Requests of the load generator as bytes: heads signed with SigV4, bodies that are generated once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "cli/bench_options.h"
#include "s3/sigv4.h"

namespace hamster::cli::bench {

enum class Op : std::uint8_t { kPut, kGet, kStat, kDelete, kList, kAdmin };
inline constexpr std::size_t kOps = 6;
std::string_view name_of(Op op);

struct Request {
    Op op = Op::kGet;
    std::string_view method = "GET";
    std::string path;                // encoded
    std::string query;               // canonical: sorted, encoded
    std::uint64_t object = 0;        // whose content goes out, or comes back
    std::uint64_t sends_object = 0;  // bytes of it in the body
    std::string body;                // otherwise: the body itself
    std::string content_md5;         // base64; empty: none
};

// What objects consist of: object n is a window of one random block, repeated. Immutable once
// made, shared by all loops.
class Content {
  public:
    explicit Content(std::uint64_t size, bool hashed);
    // Bytes [offset, offset + n) of an object, n as large as is at hand but at most `limit` > 0.
    [[nodiscard]] base::Bytes at(std::uint64_t object, std::uint64_t offset,
                                 std::uint64_t limit) const;
    // Hex SHA-256 of the whole object; UNSIGNED-PAYLOAD when not hashed.
    [[nodiscard]] std::string_view sha256(std::uint64_t object) const;
    [[nodiscard]] std::uint64_t size() const { return size_; }

  private:
    static constexpr std::size_t kBlockBytes = 1 << 20;
    static constexpr std::size_t kVariants = 16;
    static constexpr std::size_t kShift = kBlockBytes / kVariants;
    // Hashing the variants of large objects would take longer than the run.
    static constexpr std::uint64_t kOneVariantFrom = 16 << 20;

    std::uint64_t size_;
    std::uint64_t variants_;
    std::string block_;
    std::vector<std::string> sha256_;
};

// Writes and signs heads. One loop.
class Signer {
  public:
    explicit Signer(const Options& options);
    // Appends the head of `request` to `out`. `payload_hash` as in x-amz-content-sha256.
    void append_head(std::string* out, const Request& request, std::string_view payload_hash,
                     std::uint64_t unix_ms);

  private:
    void append_signature(std::string* out, const Request& request, std::string_view payload_hash);
    void tell_time(std::uint64_t unix_ms);

    s3::SigningIdentity identity_;
    s3::SigningKeyCache keys_;
    std::string host_;
    std::uint64_t second_ = 0;
    std::string date_;
    s3::Scope scope_;
    std::string canonical_;
};

}  // namespace hamster::cli::bench
