// Join tokens: what a person carries from a member to a new node. A token proves to the cluster
// that the newcomer was invited, and pins the cluster's CA, so that the newcomer knows whom it
// talks to. The format is docs/formats/join-token.md. Pure but for minting; any thread.
//
// A token works once and until it expires. Both are for the cluster to decide, which keeps a
// StoredToken of each and judges by its own clock; nothing here looks at the time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/random.h"

namespace hamster::crypto {

struct TokenTag;
using TokenId = base::Id128<TokenTag>;  // random

// Where a token says that members can be reached: enough that some of them are up.
inline constexpr std::size_t kMaxTokenAddresses = 8;
// Length of one of them in bytes: an IPv6 address in brackets and a port have at most 53.
inline constexpr std::size_t kMaxTokenAddress = 64;
// Longest text that is looked at, in bytes; the longest token has 848.
inline constexpr std::size_t kMaxTokenText = 1024;

// What the one who mints decides.
struct TokenTerms {
    ClusterId cluster;
    Fingerprint ca;
    std::uint64_t expires_ms = 0;        // since 1970, by the cluster's clock
    std::vector<std::string> addresses;  // ip:port or [ip6]:port of members
    bool operator==(const TokenTerms&) const = default;
};

// What the newcomer shows to the cluster, over a connection to a holder of the pinned CA's key.
struct TokenProof {
    TokenId id;
    Key256 secret;
    bool operator==(const TokenProof&) const = default;  // in constant time but for the id
};

struct JoinToken {
    TokenProof proof;
    TokenTerms terms;
    bool operator==(const JoinToken&) const = default;
};

// What the cluster keeps. It does not help anybody to join: the secret is too random to be guessed
// from its hash.
struct StoredToken {
    TokenId id;
    std::array<std::byte, 32> secret_hash{};  // SHA-256 of id, secret
    std::uint64_t expires_ms = 0;
    bool operator==(const StoredToken&) const = default;
};

// kInvalid: no address, too many, or one that is not ip:port, with a port, in at most
// kMaxTokenAddress bytes.
Result<JoinToken> mint(KeySource* random, TokenTerms terms);

// One word of printable ASCII without quotes or blanks: a secret until it is used or expires.
std::string encode(const JoinToken& token);
// White space around the token is ignored. kInvalid, and the context says what to do, for anything
// that encode() did not write; whether the cluster knows the token is the cluster's to say.
Result<JoinToken> decode(std::string_view text);

StoredToken stored(const JoinToken& token);
// Whether `presented` is the token that `kept` is of. In constant time but for the id.
bool matches(const StoredToken& kept, const TokenProof& presented);

}  // namespace hamster::crypto
