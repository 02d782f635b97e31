#include "crypto/join_token.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "crypto/crc.h"
#include "crypto/digest.h"

namespace hamster::crypto {
namespace {

constexpr std::string_view kFamily = "hamster";
constexpr std::string_view kPrefix = "hamster1.";
constexpr std::string_view kSpace = " \t\r\n";
constexpr std::size_t kChecksum = 4;
// Token id, secret, cluster, expiry, fingerprint, number of addresses.
constexpr std::size_t kFixed = 16 + Key256::kSize + 16 + 8 + 32 + 1;
constexpr std::size_t kLongest = kFixed + kMaxTokenAddresses * (1 + kMaxTokenAddress) + kChecksum;
static_assert(kPrefix.size() + (kLongest * 4 + 2) / 3 <= kMaxTokenText);
static_assert(kMaxTokenAddress <= std::numeric_limits<std::uint8_t>::max());

// At the end of every refusal: what a person can do.
constexpr std::string_view kCopyAgain = "; copy it again, all of it, on one line";
constexpr std::string_view kMintAgain = "; run `hamster token` on a member and use what it prints";

std::unexpected<Error> refuse(std::string_view what, std::string_view advice) {
    return fail(Code::kInvalid, std::string(what).append(advice));
}

bool is_ip(int family, std::string_view text) {
    std::array<std::byte, sizeof(in6_addr)> address{};
    return inet_pton(family, std::string(text).c_str(), address.data()) == 1;
}

// ip:port or [ip6]:port, the port neither 0 nor with leading zeros.
bool is_address(std::string_view text) {
    if (text.size() > kMaxTokenAddress || text.contains('\0')) return false;
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    const auto port = base::parse_u64(text.substr(colon + 1));
    if (!port || *port == 0 || *port > std::numeric_limits<std::uint16_t>::max()) return false;
    const std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        return is_ip(AF_INET6, host.substr(1, host.size() - 2));
    }
    return is_ip(AF_INET, host);
}

Result<> check_addresses(const std::vector<std::string>& addresses) {
    if (addresses.empty() || addresses.size() > kMaxTokenAddresses) {
        return fail(Code::kInvalid, "a join token carries 1 to " +
                                        std::to_string(kMaxTokenAddresses) + " addresses, not " +
                                        std::to_string(addresses.size()));
    }
    for (const std::string& address : addresses) {
        if (is_address(address)) continue;
        return fail(Code::kInvalid, "'" + address.substr(0, kMaxTokenAddress) +
                                        "' is not an address a join token can carry: it must be "
                                        "IP:PORT or [IPV6]:PORT");
    }
    return {};
}

std::string secret_hash(const TokenProof& proof) {
    Digest digest(DigestKind::kSha256);
    digest.update(proof.id.raw);
    digest.update(proof.secret.bytes());
    return digest.finish();
}

// Takes fields off the front of bytes whose length was checked.
class Fields {
  public:
    explicit Fields(std::string_view bytes) : rest_(bytes) {}
    [[nodiscard]] std::size_t left() const { return rest_.size(); }
    std::string_view take(std::size_t size) {
        HAMSTER_ASSERT(size <= rest_.size(), size, rest_.size());
        const std::string_view field = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return field;
    }
    std::size_t take_u8() { return static_cast<std::uint8_t>(take(1)[0]); }

  private:
    std::string_view rest_;
};

// nullopt unless exactly `count` well-formed addresses are left.
std::optional<std::vector<std::string>> parse_addresses(Fields fields, std::size_t count) {
    std::vector<std::string> out;
    if (count > kMaxTokenAddresses) return std::nullopt;
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        if (fields.left() == 0) return std::nullopt;
        const std::size_t size = fields.take_u8();
        if (size > fields.left()) return std::nullopt;
        out.emplace_back(fields.take(size));
    }
    if (fields.left() != 0 || !check_addresses(out)) return std::nullopt;
    return out;
}

// The bytes before the checksum. Nobody mistypes his way here: the checksum was right.
Result<JoinToken> parse(std::string_view bytes) {
    constexpr std::string_view kMalformed = "the join token is malformed";
    if (bytes.size() < kFixed) return refuse(kMalformed, kMintAgain);
    Fields fields(bytes);
    JoinToken token;
    token.proof.id = *TokenId::from_bytes(fields.take(16));
    token.proof.secret = *Key256::from_bytes(base::as_bytes(fields.take(Key256::kSize)));
    token.terms.cluster = *ClusterId::from_bytes(fields.take(16));
    token.terms.expires_ms = base::get_be64(fields.take(8).data());
    token.terms.ca = *Fingerprint::from_bytes(base::as_bytes(fields.take(32)));
    const std::size_t count = fields.take_u8();
    auto addresses = parse_addresses(fields, count);
    if (!addresses || token.terms.cluster.is_zero()) return refuse(kMalformed, kMintAgain);
    token.terms.addresses = *std::move(addresses);
    return token;
}

// The base 64 digits of a token: what is left without white space and prefix.
Result<std::string_view> digits_of(std::string_view text) {
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return refuse("the join token is empty", kMintAgain);
    text = text.substr(first, text.find_last_not_of(kSpace) - first + 1);
    if (text.size() > kMaxTokenText) {
        return refuse("this is too long for a join token", kCopyAgain);
    }
    if (text.find_first_of(kSpace) != std::string_view::npos) {
        return refuse("there is a blank or a line break inside the join token", kCopyAgain);
    }
    if (text.starts_with(kPrefix)) return text.substr(kPrefix.size());
    const std::size_t dot = text.find('.');
    if (text.starts_with(kFamily) && dot != std::string_view::npos &&
        base::parse_u64(text.substr(kFamily.size(), dot - kFamily.size()))) {
        return refuse("the join token has a version that this hamster does not know",
                      "; upgrade this node, or copy the token again if it was typed");
    }
    return refuse("this is not a join token: it does not start with hamster1.", kMintAgain);
}

std::uint32_t checksum_of(std::string_view bytes) { return crc32c(0, base::as_bytes(bytes)); }

}  // namespace

Result<JoinToken> mint(KeySource* random, TokenTerms terms) {
    HAMSTER_ASSERT(!terms.cluster.is_zero());
    TRY(check_addresses(terms.addresses));
    JoinToken token;
    random->fill(token.proof.id.raw);
    token.proof.secret = random->key();
    token.terms = std::move(terms);
    return token;
}

std::string encode(const JoinToken& token) {
    const TokenTerms& terms = token.terms;
    HAMSTER_ASSERT(check_addresses(terms.addresses).has_value(), terms.addresses.size());
    std::string bytes;
    bytes.reserve(kLongest);  // so that no copy of the secret is left behind
    bytes.append(token.proof.id.view());
    bytes.append(base::as_text(token.proof.secret.bytes()));
    bytes.append(terms.cluster.view());
    base::put_be64(bytes, terms.expires_ms);
    bytes.append(base::as_text(terms.ca.raw));
    bytes.push_back(static_cast<char>(terms.addresses.size()));
    for (const std::string& address : terms.addresses) {
        bytes.push_back(static_cast<char>(address.size()));
        bytes.append(address);
    }
    base::put_be32(bytes, checksum_of(bytes));
    HAMSTER_ASSERT(bytes.size() <= kLongest, bytes.size());
    std::string text = std::string(kPrefix).append(base::base64url_encode(base::as_bytes(bytes)));
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return text;
}

Result<JoinToken> decode(std::string_view text) {
    TRY_ASSIGN(const std::string_view digits, digits_of(text));
    std::optional<std::string> bytes = base::base64url_decode(digits);
    constexpr std::string_view kDamaged = "the join token is cut off or mistyped";
    if (!bytes || bytes->size() < kChecksum) return refuse(kDamaged, kCopyAgain);
    const std::string_view body = std::string_view(*bytes).substr(0, bytes->size() - kChecksum);
    if (base::get_be32(bytes->data() + body.size()) != checksum_of(body)) {
        return refuse(kDamaged, kCopyAgain);
    }
    auto token = parse(body);
    OPENSSL_cleanse(bytes->data(), bytes->size());
    return token;
}

StoredToken stored(const JoinToken& token) {
    StoredToken out{.id = token.proof.id, .expires_ms = token.terms.expires_ms};
    const std::string hash = secret_hash(token.proof);
    std::copy_n(base::as_bytes(hash).begin(), out.secret_hash.size(), out.secret_hash.begin());
    return out;
}

bool matches(const StoredToken& kept, const TokenProof& presented) {
    return kept.id == presented.id &&
           equal_constant_time(kept.secret_hash, base::as_bytes(secret_hash(presented)));
}

}  // namespace hamster::crypto
