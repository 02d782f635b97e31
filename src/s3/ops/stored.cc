#include "s3/ops/stored.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "meta/limits.h"

namespace hamster::s3::ops {

namespace {

crypto::DigestKind digest_kind(proto::ChecksumAlgorithm algorithm) {
    switch (algorithm) {
        case proto::CHECKSUM_CRC32:
            return crypto::DigestKind::kCrc32;
        case proto::CHECKSUM_CRC32C:
            return crypto::DigestKind::kCrc32c;
        case proto::CHECKSUM_SHA1:
            return crypto::DigestKind::kSha1;
        case proto::CHECKSUM_SHA256:
            return crypto::DigestKind::kSha256;
        default:
            return crypto::DigestKind::kCrc64Nvme;
    }
}

// A stored body read once more, hashed on its way.
class CopySource final : public objects::BodySource {
  public:
    CopySource(std::unique_ptr<objects::BodyReader> reader, proto::ChecksumAlgorithm algorithm)
        : reader_(std::move(reader)), md5_(crypto::DigestKind::kMd5) {
        if (algorithm != proto::CHECKSUM_NONE) checksum_.emplace(digest_kind(algorithm));
    }

    runtime::Task<Result<std::size_t>> read(base::MutableBytes out) override {
        std::size_t filled = 0;
        while (filled < out.size()) {
            if (at_ == piece_.size()) {
                auto next = co_await reader_->next();
                if (!next) co_return std::unexpected(std::move(next).error());
                if (next->empty()) break;
                take(std::move(*next));
            }
            const std::size_t n = std::min(out.size() - filled, piece_.size() - at_);
            std::memcpy(out.data() + filled, piece_.data() + at_, n);
            filled += n;
            at_ += n;
        }
        co_return filled;
    }
    std::string md5() { return md5_.finish(); }
    std::string checksum() { return checksum_ ? checksum_->finish() : std::string(); }

  private:
    void take(base::Buffer piece) {
        piece_ = std::move(piece);
        at_ = 0;
        md5_.update(piece_.bytes());
        if (checksum_) checksum_->update(piece_.bytes());
    }

    std::unique_ptr<objects::BodyReader> reader_;
    crypto::Digest md5_;
    std::optional<crypto::Digest> checksum_;
    base::Buffer piece_;
    std::size_t at_ = 0;
};

// Has the command name another body than the one it was made for.
void name_blob(proto::Command* command, const proto::NewBlob& blob) {
    if (command->has_put_part()) {
        proto::PutPart& put = *command->mutable_put_part();
        *put.mutable_new_blobs(0) = blob;
        put.mutable_part()->set_blob_id(blob.blob_id());
    } else {
        proto::PutObject& put = *command->mutable_put_object();
        *put.mutable_new_blobs(0) = blob;
        put.mutable_version()->mutable_parts(0)->set_blob_id(blob.blob_id());
    }
}

}  // namespace

proto::Part part_of(const Stored& stored, std::uint32_t number) {
    proto::Part part;
    part.set_number(number);
    if (stored.body.blob) part.set_blob_id(stored.body.blob->blob_id());
    part.set_size(stored.body.size);
    part.set_md5(stored.md5);
    if (stored.checksum.algorithm() != proto::CHECKSUM_NONE) {
        *part.mutable_checksum() = stored.checksum;
    }
    return part;
}

std::string etag_of(const Stored& stored) { return base::hex_encode(base::as_bytes(stored.md5)); }

S3Result<> check_put_size(std::uint64_t size) {
    if (size <= meta::kMaxObjectPutBytes) return {};
    S3Error error{ErrorCode::kEntityTooLarge, {}, {}, {}};
    error.details.emplace_back("ProposedSize", std::to_string(size));
    error.details.emplace_back("MaxSizeAllowed", std::to_string(meta::kMaxObjectPutBytes));
    return std::unexpected(std::move(error));
}

S3Result<> check_before_body(const Context& context, const RequestBody& body) {
    if (!body.length()) return refuse(ErrorCode::kMissingContentLength);
    TRY(check_put_size(*body.length()));
    if (context.objects->refuses_bodies()) return refuse(ErrorCode::kInsufficientStorage);
    return {};
}

runtime::Task<S3Result<Stored>> store_request_body(Context* context, RequestBody* body,
                                                   proto::ChecksumAlgorithm algorithm) {
    body->want_md5();
    if (algorithm != proto::CHECKSUM_NONE) body->want_checksum(algorithm);
    auto stored = co_await context->objects->store(body, body->length());
    if (!stored) {
        if (body->failure()) co_return std::unexpected(*body->failure());
        co_return std::unexpected(from_error(stored.error()));
    }
    Stored out{std::move(*stored), body->md5(), {}};
    if (auto checksum = body->checksum()) {
        out.checksum = std::move(*checksum);
        out.checksum.set_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    }
    co_return out;
}

runtime::Task<S3Result<Stored>> store_copy(Context* context, meta::View view,
                                           std::vector<proto::Part> parts, objects::ByteRange range,
                                           proto::ChecksumAlgorithm algorithm) {
    std::unique_ptr<objects::BodyReader> reader;
    if (range.length > 0) {
        auto opened = co_await context->objects->open(std::move(view), std::move(parts), range);
        if (!opened) co_return std::unexpected(from_error(opened.error()));
        reader = std::move(*opened);
    }
    Stored out;
    if (reader == nullptr) {
        out.md5 = crypto::md5({});
        if (algorithm != proto::CHECKSUM_NONE) {
            out.checksum.set_value(crypto::digest_of(digest_kind(algorithm), {}));
        }
    } else {
        CopySource source(std::move(reader), algorithm);
        auto stored = co_await context->objects->store(&source, range.length);
        if (!stored) co_return std::unexpected(from_error(stored.error()));
        out.body = std::move(*stored);
        out.md5 = source.md5();
        out.checksum.set_value(source.checksum());
    }
    if (algorithm != proto::CHECKSUM_NONE) {
        out.checksum.set_algorithm(algorithm);
        out.checksum.set_type(proto::CHECKSUM_TYPE_FULL_OBJECT);
    }
    co_return out;
}

runtime::Task<S3Result<Committed>> commit_body(Context* context, meta::Group* group,
                                               proto::Command command, objects::StoredBody* body) {
    for (int settles = 0;; ++settles) {
        proto::Command copy = command;
        auto committed = co_await commit(context->world, group, std::move(copy));
        const bool has_moved = committed && body != nullptr && body->blob &&
                               committed->answer.status() == proto::Answer::LAYOUT_CHANGED;
        if (!has_moved || settles == kMaxSettles) co_return committed;
        auto settled = co_await context->objects->settle(*body);
        if (!settled) {
            LOG_WARN("s3", "a body cannot follow the layout: {}", settled.error().context);
            co_return committed;
        }
        *body = std::move(*settled);
        name_blob(&command, *body->blob);
    }
}

}  // namespace hamster::s3::ops
