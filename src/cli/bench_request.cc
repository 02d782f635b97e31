#include "cli/bench_request.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "base/encoding.h"
#include "crypto/digest.h"
#include "runtime/prng.h"

namespace hamster::cli::bench {

namespace {

constexpr std::string_view kSignedHeaders = "host;x-amz-content-sha256;x-amz-date";
constexpr std::string_view kSignedWithMd5 = "content-md5;host;x-amz-content-sha256;x-amz-date";

void append_number(std::string* out, std::uint64_t n) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof(digits), n).ptr;
    out->append(digits, end);
}

}  // namespace

std::string_view name_of(Op op) {
    constexpr std::string_view kNames[kOps] = {"PUT", "GET", "STAT", "DELETE", "LIST", "ADMIN"};
    return kNames[static_cast<std::size_t>(op)];
}

Content::Content(std::uint64_t size, bool hashed)
    : size_(size), variants_(size >= kOneVariantFrom ? 1 : kVariants) {
    runtime::Prng prng(size);  // the same bytes in every run, so that -reuse can -verify
    block_.resize(kBlockBytes);
    prng.fill({reinterpret_cast<std::byte*>(block_.data()), block_.size()});
    if (!hashed) return;
    for (std::uint64_t variant = 0; variant < variants_; ++variant) {
        crypto::Digest digest(crypto::DigestKind::kSha256);
        for (std::uint64_t done = 0; done < size;) {
            const base::Bytes piece = at(variant, done, size - done);
            digest.update(piece);
            done += piece.size();
        }
        sha256_.push_back(base::hex_encode(base::as_bytes(digest.finish())));
    }
}

base::Bytes Content::at(std::uint64_t object, std::uint64_t offset, std::uint64_t limit) const {
    HAMSTER_ASSERT(limit > 0);
    const std::uint64_t start = (object % variants_ * kShift + offset) % kBlockBytes;
    const std::uint64_t n = std::min<std::uint64_t>(kBlockBytes - start, limit);
    return base::as_bytes(block_).subspan(start, n);
}

std::string_view Content::sha256(std::uint64_t object) const {
    return sha256_.empty() ? s3::kUnsignedPayload : sha256_[object % variants_];
}

Signer::Signer(const Options& options)
    : identity_{options.access_key_id, options.secret, options.region},
      host_(options.endpoint.host_header()) {}

void Signer::tell_time(std::uint64_t unix_ms) {
    if (unix_ms / 1000 == second_) return;
    second_ = unix_ms / 1000;
    date_ = base::amz_date(unix_ms);
    scope_ = {date_.substr(0, 8), identity_.region};
}

void Signer::append_head(std::string* out, const Request& request, std::string_view payload_hash,
                         std::uint64_t unix_ms) {
    *out += request.method;
    *out += ' ';
    *out += request.path;
    if (!request.query.empty()) {
        *out += '?';
        *out += request.query;
    }
    *out += " HTTP/1.1\r\nhost: ";
    *out += host_;
    const std::uint64_t length = request.sends_object + request.body.size();
    if (length > 0 || request.method == "PUT" || request.method == "POST") {
        *out += "\r\ncontent-length: ";
        append_number(out, length);
    }
    if (!request.content_md5.empty()) {
        *out += "\r\ncontent-md5: ";
        *out += request.content_md5;
    }
    if (!identity_.access_key_id.empty()) {
        tell_time(unix_ms);
        append_signature(out, request, payload_hash);
    }
    *out += "\r\n\r\n";
}

void Signer::append_signature(std::string* out, const Request& request,
                              std::string_view payload_hash) {
    const bool has_md5 = !request.content_md5.empty();
    const std::string_view names = has_md5 ? kSignedWithMd5 : kSignedHeaders;
    canonical_.clear();
    canonical_ += request.method;
    canonical_ += '\n';
    canonical_ += request.path;
    canonical_ += '\n';
    canonical_ += request.query;
    canonical_ += '\n';
    if (has_md5) {
        canonical_ += "content-md5:";
        canonical_ += request.content_md5;
        canonical_ += '\n';
    }
    canonical_ += "host:";
    canonical_ += host_;
    canonical_ += "\nx-amz-content-sha256:";
    canonical_ += payload_hash;
    canonical_ += "\nx-amz-date:";
    canonical_ += date_;
    canonical_ += "\n\n";
    canonical_ += names;
    canonical_ += '\n';
    canonical_ += payload_hash;
    const std::string& key = keys_.get(identity_.access_key_id, identity_.secret, scope_);
    *out += "\r\nx-amz-content-sha256: ";
    *out += payload_hash;
    *out += "\r\nx-amz-date: ";
    *out += date_;
    *out += "\r\nauthorization: ";
    *out += s3::kAlgorithm;
    *out += " Credential=";
    *out += identity_.access_key_id;
    *out += '/';
    *out += scope_.text();
    *out += ", SignedHeaders=";
    *out += names;
    *out += ", Signature=";
    *out += s3::sign(key, s3::string_to_sign(date_, scope_, canonical_));
}

}  // namespace hamster::cli::bench
