// Sealing of small secrets (users' secret keys, wrapped object keys) with AES-256-GCM. The format
// is docs/formats/secrets.md. Pure but for the nonce; any thread.
#pragma once

#include <cstddef>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/key.h"
#include "crypto/random.h"

namespace hamster::crypto {

using base::Bytes;

// What a sealed secret is longer than its plaintext: version, nonce and tag, in bytes.
inline constexpr std::size_t kSealOverhead = 1 + 12 + 16;
// Longest plaintext in bytes. Secrets are keys and passwords; more is a mistake.
inline constexpr std::size_t kMaxSecret = 64 * 1024;

// `context` is authenticated but not stored: it says what the secret is of ("user" and its id), so
// that a sealed value moved to another place does not open. With random nonces one key may seal
// 2^32 secrets (NIST SP 800-38D section 8.3). plaintext.size() <= kMaxSecret.
std::string seal(KeySource* nonces, const Key256& key, Bytes plaintext, Bytes context);

// kUnsupported: a newer format. kCorrupt: damaged, or another key or context.
Result<std::string> open(const Key256& key, Bytes sealed, Bytes context);

}  // namespace hamster::crypto
