#include "s3/body_verifier.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/planted.h"
#include "meta/limits.h"

namespace hamster::s3 {

namespace {

// Below this many bytes a trip to the pool costs more than it saves.
constexpr std::uint64_t kMinPoolBytes = 64 * 1024;
// Bytes digested on the loop at a time, so that they are still in the cache.
constexpr std::size_t kLoopPiece = 256 * 1024;

struct ChecksumName {
    proto::ChecksumAlgorithm algorithm;
    crypto::DigestKind kind;
    std::string_view upper;
    std::string_view header;
};

constexpr std::array kChecksums = {
    ChecksumName{proto::CHECKSUM_CRC32, crypto::DigestKind::kCrc32, "CRC32",
                 "x-amz-checksum-crc32"},
    ChecksumName{proto::CHECKSUM_CRC32C, crypto::DigestKind::kCrc32c, "CRC32C",
                 "x-amz-checksum-crc32c"},
    ChecksumName{proto::CHECKSUM_CRC64NVME, crypto::DigestKind::kCrc64Nvme, "CRC64NVME",
                 "x-amz-checksum-crc64nvme"},
    ChecksumName{proto::CHECKSUM_SHA1, crypto::DigestKind::kSha1, "SHA1", "x-amz-checksum-sha1"},
    ChecksumName{proto::CHECKSUM_SHA256, crypto::DigestKind::kSha256, "SHA256",
                 "x-amz-checksum-sha256"},
};

const ChecksumName& name_of(proto::ChecksumAlgorithm algorithm) {
    for (const ChecksumName& row : kChecksums) {
        if (row.algorithm == algorithm) return row;
    }
    HAMSTER_ASSERT(false, static_cast<int>(algorithm));
    return kChecksums.front();
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return out;
}

S3Result<std::string> decode_checksum(const ChecksumName& row, std::string_view text) {
    auto raw = base::base64_decode(text);
    if (!raw || raw->size() != crypto::digest_size(row.kind)) {
        return refuse(ErrorCode::kInvalidRequest,
                      "Value for " + std::string(row.header) + " header is invalid.");
    }
    return std::move(*raw);
}

S3Result<> find_checksum(const RequestHead& head, const PayloadPlan& plan, BodyExpectations& out) {
    std::size_t found = 0;
    for (const ChecksumName& row : kChecksums) {
        const auto value = head.header(row.header);
        const bool trailing = std::ranges::find(plan.trailers, row.header) != plan.trailers.end();
        if (!value && !trailing) continue;
        if (++found > 1 || (value && trailing)) {
            return refuse(ErrorCode::kInvalidRequest,
                          "Expecting a single x-amz-checksum- header. Multiple checksum Types are "
                          "not allowed.");
        }
        out.algorithm = row.algorithm;
        out.in_trailer = trailing;
        if (!value) continue;
        auto raw = decode_checksum(row, *value);
        if (!raw) return std::unexpected(raw.error());
        out.checksum = std::move(*raw);
    }
    if (found == 0 && !plan.trailers.empty()) {
        return refuse(ErrorCode::kInvalidRequest,
                      "The value specified in the x-amz-trailer header is not supported");
    }
    return {};
}

S3Result<> find_sdk_algorithm(const RequestHead& head, BodyExpectations& out) {
    const auto named = head.header("x-amz-sdk-checksum-algorithm");
    if (!named) return {};
    const std::string wanted = upper(*named);
    const auto row = std::ranges::find(kChecksums, wanted, &ChecksumName::upper);
    const bool differs = out.algorithm != proto::CHECKSUM_NONE && row != kChecksums.end() &&
                         row->algorithm != out.algorithm;
    if (row == kChecksums.end() || differs) {
        return refuse(ErrorCode::kInvalidRequest,
                      "Value for x-amz-sdk-checksum-algorithm header is invalid.");
    }
    out.algorithm = row->algorithm;
    return {};
}

}  // namespace

S3Result<BodyExpectations> expectations_of(const RequestHead& head, Action action,
                                           const PayloadPlan& plan) {
    BodyExpectations out;
    out.length = plan.length;
    out.sha256_hex = plan.sha256_hex;
    if (const auto text = head.header("content-md5")) {
        auto raw = base::base64_decode(*text);
        if (!raw || raw->size() != 16) return refuse(ErrorCode::kInvalidDigest);
        out.content_md5 = std::move(*raw);
    }
    if (action == Action::kCompleteMultipartUpload) return out;
    if (auto r = find_checksum(head, plan, out); !r) return std::unexpected(r.error());
    if (auto r = find_sdk_algorithm(head, out); !r) return std::unexpected(r.error());
    return out;
}

BodyVerifier::BodyVerifier(runtime::World* world, ByteSource* source,
                           const AwsChunkedSource* chunked, BodyExpectations expected)
    : source_(source), chunked_(chunked), expected_(std::move(expected)), lane_(world) {}

void BodyVerifier::want_checksum(proto::ChecksumAlgorithm algorithm) {
    HAMSTER_ASSERT(!started_);
    wanted_ = algorithm;
}

void BodyVerifier::want_md5() {
    HAMSTER_ASSERT(!started_);
    wants_md5_ = true;
}

void BodyVerifier::want(crypto::DigestKind kind) {
    const bool present = std::ranges::any_of(
        digests_, [kind](const crypto::Digest& digest) { return digest.kind() == kind; });
    if (!present) digests_.emplace_back(kind);
}

std::unexpected<Error> BodyVerifier::fail_with(S3Error error) {
    failure_ = std::move(error);
    return fail(Code::kInvalid, std::string(row_of(failure_->code).name));
}

// Reads until `out` is full or the source has ended, and digests what came.
runtime::Task<S3Result<std::size_t>> BodyVerifier::fill(base::MutableBytes out) {
    std::size_t filled = 0;
    while (filled < out.size() && !source_ended_) {
        const std::size_t piece = std::min(kLoopPiece, out.size() - filled);
        auto n = co_await source_->read_some(out.subspan(filled, piece));
        CO_TRY(n);
        if (*n == 0) source_ended_ = true;
        const base::Bytes fresh = out.subspan(filled, *n);
        for (crypto::Digest& digest : digests_) digest.update(fresh);
        filled += *n;
        bytes_ += *n;
        if (bytes_ > expected_.max_bytes || bytes_ > meta::kMaxObjectPutBytes) {
            co_return refuse(ErrorCode::kEntityTooLarge);
        }
        if (bytes_ > expected_.length.value_or(UINT64_MAX)) {
            co_return refuse(ErrorCode::kIncompleteBody);
        }
    }
    co_return filled;
}

runtime::Task<Result<std::size_t>> BodyVerifier::read(base::MutableBytes out) {
    if (failure_) co_return fail(Code::kInvalid, "the body has failed before");
    if (verified_ || out.empty()) co_return std::size_t{0};
    if (!started_) {
        started_ = true;
        const bool needs_md5 = wants_md5_ || !expected_.content_md5.empty();
        md5_on_pool_ = needs_md5 && expected_.length.value_or(UINT64_MAX) >= kMinPoolBytes;
        if (needs_md5 && !md5_on_pool_) want(crypto::DigestKind::kMd5);
        if (!expected_.sha256_hex.empty()) want(crypto::DigestKind::kSha256);
        if (announced() != proto::CHECKSUM_NONE) want(name_of(announced()).kind);
        if (wanted_ != proto::CHECKSUM_NONE) want(name_of(wanted_).kind);
    }
    auto filled = co_await fill(out);
    if (!filled) co_return fail_with(std::move(filled).error());
    if (*filled > 0) {
        if (md5_on_pool_) co_await lane_.update(out.first(*filled));
        co_return *filled;
    }
    auto right = co_await verify();
    if (!right) co_return fail_with(std::move(right).error());
    verified_ = true;
    co_return std::size_t{0};
}

const std::string& BodyVerifier::value_of(crypto::DigestKind kind) const {
    for (const auto& [k, value] : values_) {
        if (k == kind) return value;
    }
    HAMSTER_ASSERT(false, static_cast<int>(kind));
    return md5_;
}

runtime::Task<S3Result<>> BodyVerifier::verify() {
    if (expected_.length && bytes_ != *expected_.length) {
        co_return refuse(ErrorCode::kIncompleteBody);
    }
    if (bytes_ < expected_.min_bytes) co_return refuse(ErrorCode::kEntityTooSmall);
    for (crypto::Digest& digest : digests_) values_.emplace_back(digest.kind(), digest.finish());
    if (md5_on_pool_) {
        md5_ = co_await lane_.finish();
    } else if (wants_md5_ || !expected_.content_md5.empty()) {
        md5_ = value_of(crypto::DigestKind::kMd5);
    }
    if (!expected_.content_md5.empty() && expected_.content_md5 != md5_) {
        co_return refuse(ErrorCode::kBadDigest);
    }
    if (!expected_.sha256_hex.empty() &&
        base::hex_encode(base::as_bytes(value_of(crypto::DigestKind::kSha256))) !=
            expected_.sha256_hex) {
        co_return refuse(ErrorCode::kXAmzContentSha256Mismatch);
    }
    co_return check_checksum();
}

S3Result<> BodyVerifier::check_checksum() const {
    if (announced() == proto::CHECKSUM_NONE) return {};
    if (base::planted(base::Bug::kCommitUnverified)) return {};
    const ChecksumName& row = name_of(announced());
    std::string claimed = expected_.checksum;
    if (expected_.in_trailer) {
        HAMSTER_ASSERT(chunked_ != nullptr);
        for (const auto& [name, value] : chunked_->chunks().trailers()) {
            if (name != row.header) continue;
            auto raw = decode_checksum(row, value);
            if (!raw) return std::unexpected(raw.error());
            claimed = std::move(*raw);
        }
        if (claimed.empty()) return refuse(ErrorCode::kMalformedTrailer);
    }
    if (claimed.empty() || claimed == value_of(row.kind)) return {};
    return refuse(
        ErrorCode::kBadDigest,
        "The " + std::string(row.upper) + " you specified did not match the calculated checksum.");
}

std::optional<proto::Checksum> BodyVerifier::checksum() const {
    const auto algorithm = wanted_ != proto::CHECKSUM_NONE ? wanted_ : announced();
    if (algorithm == proto::CHECKSUM_NONE || !verified_) return std::nullopt;
    proto::Checksum out;
    out.set_algorithm(algorithm);
    out.set_value(value_of(name_of(algorithm).kind));
    out.set_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    return out;
}

runtime::Task<S3Result<std::string>> read_all(RequestBody* body, std::size_t limit) {
    if (body->length().value_or(0) > limit) co_return refuse(ErrorCode::kMalformedXml);
    std::string out;
    std::string piece(std::min<std::size_t>(limit + 1, 64 * 1024), '\0');
    while (true) {
        base::MutableBytes room(reinterpret_cast<std::byte*>(piece.data()), piece.size());
        auto n = co_await body->read(room);
        if (!n) {
            if (body->failure()) co_return std::unexpected(*body->failure());
            co_return std::unexpected(from_error(n.error()));
        }
        if (*n == 0) co_return out;
        if (out.size() + *n > limit) co_return refuse(ErrorCode::kMalformedXml);
        out.append(piece.data(), *n);
    }
}

}  // namespace hamster::s3
