#include "crypto/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/assert.h"

namespace hamster::crypto {
namespace {

constexpr std::byte kVersion{1};
constexpr std::size_t kNonceSize = 12;
constexpr std::size_t kTagSize = 16;
static_assert(kSealOverhead == 1 + kNonceSize + kTagSize);

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* raw(Bytes bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(std::string* text, std::size_t offset) {
    return reinterpret_cast<unsigned char*>(text->data()) + offset;
}
int length_of(Bytes bytes) { return static_cast<int>(bytes.size()); }

// Ready for data. The version is authenticated too, in front of the caller's context.
Context start(bool encrypt, const Key256& key, Bytes nonce, Bytes context) {
    static const EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    HAMSTER_ASSERT(kCipher != nullptr);
    HAMSTER_ASSERT(nonce.size() == kNonceSize && context.size() <= kMaxSecret, nonce.size(),
                   context.size());
    Context cipher(EVP_CIPHER_CTX_new());
    HAMSTER_ASSERT(cipher != nullptr);
    int ok = EVP_CipherInit_ex2(cipher.get(), kCipher, raw(key.bytes()), raw(nonce),
                                encrypt ? 1 : 0, nullptr);
    HAMSTER_ASSERT(ok == 1);
    int done = 0;
    ok = EVP_CipherUpdate(cipher.get(), nullptr, &done, raw(Bytes(&kVersion, 1)), 1);
    HAMSTER_ASSERT(ok == 1);
    if (!context.empty()) {
        ok = EVP_CipherUpdate(cipher.get(), nullptr, &done, raw(context), length_of(context));
        HAMSTER_ASSERT(ok == 1);
    }
    return cipher;
}

}  // namespace

std::string seal(KeySource* nonces, const Key256& key, Bytes plaintext, Bytes context) {
    HAMSTER_ASSERT(plaintext.size() <= kMaxSecret, plaintext.size());
    std::array<std::byte, kNonceSize> nonce{};
    nonces->fill(nonce);
    const Context cipher = start(true, key, nonce, context);

    std::string out;
    out.push_back(static_cast<char>(kVersion));
    out += base::as_text(nonce);
    const std::size_t header = out.size();
    out.resize(plaintext.size() + kSealOverhead);
    int done = 0;
    if (!plaintext.empty()) {
        const int ok = EVP_CipherUpdate(cipher.get(), raw(&out, header), &done, raw(plaintext),
                                        length_of(plaintext));
        HAMSTER_ASSERT(ok == 1 && done == length_of(plaintext), done);
    }
    const std::size_t tag = header + plaintext.size();
    int ok = EVP_CipherFinal_ex(cipher.get(), raw(&out, tag), &done);
    HAMSTER_ASSERT(ok == 1 && done == 0, done);
    ok = EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, raw(&out, tag));
    HAMSTER_ASSERT(ok == 1);
    return out;
}

Result<std::string> open(const Key256& key, Bytes sealed, Bytes context) {
    if (sealed.empty()) return fail(Code::kCorrupt, "the sealed secret is empty");
    if (sealed[0] != kVersion) {
        return fail(Code::kUnsupported, "the sealed secret has a format this version cannot read");
    }
    if (sealed.size() < kSealOverhead || sealed.size() > kMaxSecret + kSealOverhead) {
        return fail(Code::kCorrupt, "the sealed secret has an impossible length");
    }
    const Bytes ciphertext = sealed.subspan(1 + kNonceSize, sealed.size() - kSealOverhead);
    std::array<std::byte, kTagSize> tag{};
    std::copy_n(sealed.end() - kTagSize, kTagSize, tag.begin());
    const Context cipher = start(false, key, sealed.subspan(1, kNonceSize), context);

    std::string out(ciphertext.size(), '\0');
    int done = 0;
    int ok = 1;
    if (!ciphertext.empty()) {
        ok = EVP_CipherUpdate(cipher.get(), raw(&out, 0), &done, raw(ciphertext),
                              length_of(ciphertext));
        HAMSTER_ASSERT(ok == 1);
    }
    ok = EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data());
    HAMSTER_ASSERT(ok == 1);
    if (EVP_CipherFinal_ex(cipher.get(), raw(&out, out.size()), &done) != 1) {
        OPENSSL_cleanse(out.data(), out.size());
        return fail(Code::kCorrupt,
                    "the sealed secret does not open: it is damaged, or sealed under another key");
    }
    return out;
}

}  // namespace hamster::crypto
