#include "crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/encoding.h"
#include "crypto/crc.h"

namespace hamster::crypto {
namespace {

constexpr std::size_t kSha256Size = 32;
constexpr std::size_t kSha256Block = 64;

// Fetched once per process and never freed: a fetch costs more than hashing a small object.
const EVP_MD* algorithm(DigestKind kind) {
    static const EVP_MD* const kMd5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
    static const EVP_MD* const kSha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
    static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    const EVP_MD* found = nullptr;
    if (kind == DigestKind::kMd5) found = kMd5;
    if (kind == DigestKind::kSha1) found = kSha1;
    if (kind == DigestKind::kSha256) found = kSha256;
    HAMSTER_ASSERT(found != nullptr, static_cast<int>(kind));
    return found;
}

// Contexts for reuse, per thread: making one and binding it to an algorithm allocates several
// times. A context may be returned to another thread's pool than it came from.
class ContextPool {
  public:
    ContextPool() = default;
    ContextPool(const ContextPool&) = delete;
    ContextPool& operator=(const ContextPool&) = delete;
    ~ContextPool() {
        for (auto& free : free_) {
            for (EVP_MD_CTX* context : free) EVP_MD_CTX_free(context);
        }
    }
    EVP_MD_CTX* take(DigestKind kind) {
        auto& free = free_[static_cast<std::size_t>(kind)];
        if (free.empty()) {
            EVP_MD_CTX* context = EVP_MD_CTX_new();
            HAMSTER_ASSERT(context != nullptr);
            return context;
        }
        EVP_MD_CTX* context = free.back();
        free.pop_back();
        return context;
    }
    void give(DigestKind kind, EVP_MD_CTX* context) {
        auto& free = free_[static_cast<std::size_t>(kind)];
        if (free.size() < kMaxFree) {
            free.push_back(context);
        } else {
            EVP_MD_CTX_free(context);
        }
    }

  private:
    static constexpr std::size_t kMaxFree = 64;  // contexts per kind and thread, about 300 B each
    std::array<std::vector<EVP_MD_CTX*>, 3> free_;
};

ContextPool& pool() {
    thread_local ContextPool pool;
    return pool;
}

EVP_MD_CTX* as_context(void* context) { return static_cast<EVP_MD_CTX*>(context); }

std::string big_endian(DigestKind kind, std::uint64_t crc) {
    std::string out;
    if (kind == DigestKind::kCrc64Nvme) {
        base::put_be64(out, crc);
    } else {
        base::put_be32(out, static_cast<std::uint32_t>(crc));
    }
    return out;
}

std::uint64_t advance(DigestKind kind, std::uint64_t crc, Bytes bytes) {
    const auto narrow = static_cast<std::uint32_t>(crc);
    if (kind == DigestKind::kCrc32) return crc32(narrow, bytes);
    if (kind == DigestKind::kCrc32c) return crc32c(narrow, bytes);
    return crc64nvme(crc, bytes);
}

}  // namespace

std::size_t digest_size(DigestKind kind) {
    switch (kind) {
        case DigestKind::kMd5:
            return 16;
        case DigestKind::kSha1:
            return 20;
        case DigestKind::kSha256:
            return kSha256Size;
        case DigestKind::kCrc32:
            return 4;
        case DigestKind::kCrc32c:
            return 4;
        case DigestKind::kCrc64Nvme:
            return 8;
    }
    HAMSTER_ASSERT(false, static_cast<int>(kind));
    return 0;
}

bool is_crc(DigestKind kind) { return kind >= DigestKind::kCrc32; }

Digest::Digest(DigestKind kind) : kind_(kind) {
    if (is_crc(kind_)) return;
    context_ = pool().take(kind_);
    start();
}

Digest::Digest(Digest&& other) noexcept
    : kind_(other.kind_), crc_(other.crc_), context_(std::exchange(other.context_, nullptr)) {}

Digest& Digest::operator=(Digest&& other) noexcept {
    std::swap(kind_, other.kind_);
    std::swap(crc_, other.crc_);
    std::swap(context_, other.context_);
    return *this;
}

Digest::~Digest() {
    if (context_ != nullptr) pool().give(kind_, as_context(context_));
}

void Digest::start() {
    // The same algorithm again keeps the state that the context already has.
    const int ok = EVP_DigestInit_ex2(as_context(context_), algorithm(kind_), nullptr);
    HAMSTER_ASSERT(ok == 1);
}

void Digest::update(Bytes bytes) {
    if (is_crc(kind_)) {
        crc_ = advance(kind_, crc_, bytes);
        return;
    }
    HAMSTER_ASSERT(context_ != nullptr);
    const int ok = EVP_DigestUpdate(as_context(context_), bytes.data(), bytes.size());
    HAMSTER_ASSERT(ok == 1);
}

std::string Digest::finish() {
    if (is_crc(kind_)) return big_endian(kind_, std::exchange(crc_, 0));
    HAMSTER_ASSERT(context_ != nullptr);
    std::string out(digest_size(kind_), '\0');
    unsigned length = 0;
    const int ok = EVP_DigestFinal_ex(as_context(context_),
                                      reinterpret_cast<unsigned char*>(out.data()), &length);
    HAMSTER_ASSERT(ok == 1 && length == out.size(), length);
    start();
    return out;
}

std::string digest_of(DigestKind kind, Bytes bytes) {
    Digest digest(kind);
    digest.update(bytes);
    return digest.finish();
}

std::string md5(Bytes bytes) { return digest_of(DigestKind::kMd5, bytes); }
std::string sha1(Bytes bytes) { return digest_of(DigestKind::kSha1, bytes); }
std::string sha256(Bytes bytes) { return digest_of(DigestKind::kSha256, bytes); }

std::string hmac_sha256(Bytes key, Bytes bytes) {
    std::array<std::byte, kSha256Block> pad{};
    if (key.size() > pad.size()) {
        const std::string short_key = sha256(key);
        std::copy_n(base::as_bytes(short_key).begin(), short_key.size(), pad.begin());
    } else {
        std::copy(key.begin(), key.end(), pad.begin());
    }
    // Not EVP_MAC: in OpenSSL 3.0 setting one up costs more than these two hashes.
    Digest digest(DigestKind::kSha256);
    for (std::byte& b : pad) b ^= std::byte{0x36};
    digest.update(pad);
    digest.update(bytes);
    const std::string inner = digest.finish();
    for (std::byte& b : pad) b ^= std::byte{0x36 ^ 0x5C};
    digest.update(pad);
    digest.update(base::as_bytes(inner));
    OPENSSL_cleanse(pad.data(), pad.size());
    return digest.finish();
}

std::string combine_crc(DigestKind kind, Bytes crc_a, Bytes crc_b, std::uint64_t length_b) {
    HAMSTER_ASSERT(is_crc(kind), static_cast<int>(kind));
    HAMSTER_ASSERT(crc_a.size() == digest_size(kind), crc_a.size());
    HAMSTER_ASSERT(crc_b.size() == digest_size(kind), crc_b.size());
    if (kind == DigestKind::kCrc64Nvme) {
        const std::uint64_t a = base::get_be64(crc_a.data());
        const std::uint64_t b = base::get_be64(crc_b.data());
        return big_endian(kind, crc64nvme_combine(a, b, length_b));
    }
    const std::uint32_t a = base::get_be32(crc_a.data());
    const std::uint32_t b = base::get_be32(crc_b.data());
    const bool castagnoli = kind == DigestKind::kCrc32c;
    return big_endian(kind,
                      castagnoli ? crc32c_combine(a, b, length_b) : crc32_combine(a, b, length_b));
}

bool equal_constant_time(Bytes a, Bytes b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace hamster::crypto
