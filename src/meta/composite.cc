#include "meta/composite.h"

#include "base/assert.h"
#include "base/encoding.h"
#include "crypto/digest.h"

namespace hamster::meta {

namespace {

using crypto::DigestKind;

std::optional<DigestKind> kind_of(proto::ChecksumAlgorithm algorithm) {
    switch (algorithm) {
        case proto::CHECKSUM_CRC32:
            return DigestKind::kCrc32;
        case proto::CHECKSUM_CRC32C:
            return DigestKind::kCrc32c;
        case proto::CHECKSUM_CRC64NVME:
            return DigestKind::kCrc64Nvme;
        case proto::CHECKSUM_SHA1:
            return DigestKind::kSha1;
        case proto::CHECKSUM_SHA256:
            return DigestKind::kSha256;
        default:
            return std::nullopt;
    }
}

std::string full_object(DigestKind kind, std::span<const proto::Part> parts) {
    std::string whole(crypto::digest_size(kind), '\0');  // the CRC of nothing is 0
    for (const proto::Part& part : parts) {
        whole = crypto::combine_crc(kind, base::as_bytes(whole),
                                    base::as_bytes(part.checksum().value()), part.size());
    }
    return whole;
}

std::string composite(DigestKind kind, std::span<const proto::Part> parts) {
    std::string joined;
    for (const proto::Part& part : parts) {
        joined.append(part.checksum().value());
    }
    return crypto::digest_of(kind, base::as_bytes(joined));
}

}  // namespace

std::string composite_etag(std::span<const proto::Part> parts) {
    HAMSTER_ASSERT(!parts.empty());
    std::string joined;
    for (const proto::Part& part : parts) {
        joined.append(part.md5());
    }
    return base::hex_encode(base::as_bytes(crypto::md5(base::as_bytes(joined)))) + "-" +
           std::to_string(parts.size());
}

std::optional<proto::Checksum> composite_checksum(const proto::Upload& upload,
                                                  std::span<const proto::Part> parts) {
    const proto::ChecksumAlgorithm algorithm = upload.checksum_algorithm();
    proto::ChecksumType type = upload.checksum_type();
    if (type == proto::CHECKSUM_TYPE_UNSPECIFIED) {
        type = algorithm == proto::CHECKSUM_CRC64NVME ? proto::CHECKSUM_TYPE_FULL_OBJECT
                                                      : proto::CHECKSUM_TYPE_COMPOSITE;
    }
    const auto kind = kind_of(algorithm);
    const bool full = type == proto::CHECKSUM_TYPE_FULL_OBJECT;
    if (!kind || (full && !crypto::is_crc(*kind))) return std::nullopt;
    for (const proto::Part& part : parts) {
        const proto::Checksum& own = part.checksum();
        if (own.algorithm() != algorithm || own.value().size() != crypto::digest_size(*kind)) {
            return std::nullopt;
        }
    }
    proto::Checksum whole;
    whole.set_algorithm(algorithm);
    whole.set_type(type);
    whole.set_value(full ? full_object(*kind, parts) : composite(*kind, parts));
    return whole;
}

}  // namespace hamster::meta
