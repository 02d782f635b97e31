#include "crypto/key.h"

#include <openssl/crypto.h>

#include <algorithm>

namespace hamster::crypto {

Key256::~Key256() { OPENSSL_cleanse(raw.data(), raw.size()); }

std::optional<Key256> Key256::from_bytes(base::Bytes bytes) {
    if (bytes.size() != kSize) return std::nullopt;
    Key256 key;
    std::copy(bytes.begin(), bytes.end(), key.raw.begin());
    return key;
}

bool Key256::operator==(const Key256& other) const {
    return CRYPTO_memcmp(raw.data(), other.raw.data(), raw.size()) == 0;
}

}  // namespace hamster::crypto
