// Who is who between the nodes of a cluster: Ed25519 keys, the cluster's own certificate authority
// (CA), and the certificates it gives to nodes. The profile is docs/formats/certificates.md. Pure:
// the time and the randomness are the caller's; any thread.
//
// How a node comes to its certificate: it makes a SigningKey and a SigningRequest, and sends only
// the request; a holder of the CA key decides which node it is and issues. From then on every
// connection is judged by identity_of() alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "crypto/key.h"
#include "crypto/random.h"

namespace hamster::crypto {

using base::Bytes;
using base::ClusterId;
using base::NodeId;

// Longest certificate or request that is read, in bytes of DER. Ours have under 600.
inline constexpr std::size_t kMaxCertificate = 4096;
// Longest PEM text that is read, in bytes: base 64, its lines and room for white space.
inline constexpr std::size_t kMaxPem = 2 * kMaxCertificate;
// No clock that is a day behind finds a new certificate not yet valid.
inline constexpr std::uint64_t kBackdatedMs = 24ULL * 3600 * 1000;
// 100 years, for tools that insist on an end; identity_of() never looks at the times of a CA.
inline constexpr std::uint64_t kCaLifeMs = 36524ULL * 24 * 3600 * 1000;
// 10 years. A node is cut off by removing it from the members, not by waiting.
inline constexpr std::uint64_t kNodeLifeMs = 3652ULL * 24 * 3600 * 1000;

// SHA-256 over the DER of a certificate.
struct Fingerprint {
    std::array<std::byte, 32> raw{};
    auto operator<=>(const Fingerprint&) const = default;
    static std::optional<Fingerprint> from_bytes(Bytes bytes);  // exactly 32 bytes, else nullopt
    [[nodiscard]] std::string hex() const { return base::hex_encode(raw); }
};

// An Ed25519 private key (RFC 8032): any 32 random bytes are one.
class SigningKey {
  public:
    explicit SigningKey(const Key256& seed) : seed_(seed) {}
    static SigningKey generate(KeySource* random) { return SigningKey(random->key()); }
    // PKCS#8, not encrypted, as RFC 8410 writes it. kInvalid for anything else.
    static Result<SigningKey> from_der(Bytes der);
    static Result<SigningKey> from_pem(std::string_view pem);
    // Secrets: for a file of mode 0600, or to be sealed.
    [[nodiscard]] std::string der() const;
    [[nodiscard]] std::string pem() const;
    [[nodiscard]] const Key256& seed() const { return seed_; }
    [[nodiscard]] std::string public_key() const;  // 32 bytes

  private:
    Key256 seed_;
};

// A well-formed X.509 certificate of whomever; nothing in it is believed yet.
class Certificate {
  public:
    // Exactly one certificate in canonical DER, else kInvalid.
    static Result<Certificate> from_der(Bytes der);
    static Result<Certificate> from_pem(std::string_view pem);
    [[nodiscard]] const std::string& der() const { return der_; }
    [[nodiscard]] std::string pem() const;
    [[nodiscard]] Fingerprint fingerprint() const;
    // Whether it certifies the public half of `key`.
    [[nodiscard]] bool is_of(const SigningKey& key) const;
    bool operator==(const Certificate&) const = default;

  private:
    explicit Certificate(std::string der) : der_(std::move(der)) {}
    std::string der_;
};

// A PKCS#10 request (RFC 2986): a public key, signed with its private half. It asks for no name;
// what it says besides the key is ignored.
class SigningRequest {
  public:
    static SigningRequest make(const SigningKey& key);
    // Exactly one request in canonical DER, else kInvalid. Its signature is checked by issue().
    static Result<SigningRequest> from_der(Bytes der);
    static Result<SigningRequest> from_pem(std::string_view pem);
    [[nodiscard]] const std::string& der() const { return der_; }
    [[nodiscard]] std::string pem() const;
    // 32 bytes; empty when it is not for an Ed25519 key. Not checked to be the signer's.
    [[nodiscard]] std::string public_key() const;

  private:
    explicit SigningRequest(std::string der) : der_(std::move(der)) {}
    std::string der_;
};

// The public half of a cluster's CA, checked to be one.
class ClusterCa {
  public:
    // kInvalid: not self-signed with Ed25519, not a CA of path length 0, or its subject is not a
    // cluster's. Says nothing about whether it is the right one: compare its fingerprint.
    static Result<ClusterCa> from(Certificate certificate);
    [[nodiscard]] const Certificate& certificate() const { return certificate_; }
    [[nodiscard]] const ClusterId& cluster() const { return cluster_; }

  private:
    ClusterCa(Certificate certificate, ClusterId cluster)
        : certificate_(std::move(certificate)), cluster_(cluster) {}
    Certificate certificate_;
    ClusterId cluster_;
};

// A CA together with its private key: whoever holds it decides who is a node of the cluster.
class Issuer {
  public:
    // A new CA. `cluster` is not zero.
    static Issuer found(KeySource* random, ClusterId cluster, std::uint64_t now_ms);
    // kInvalid when the key is not the certificate's.
    static Result<Issuer> from(ClusterCa ca, SigningKey key);
    [[nodiscard]] const ClusterCa& ca() const { return ca_; }
    [[nodiscard]] const SigningKey& key() const { return key_; }

    // A certificate for the key of `request`, as `node`, which is not zero. kInvalid when the
    // request is not for an Ed25519 key or not signed with it.
    [[nodiscard]] Result<Certificate> issue(KeySource* random, const SigningRequest& request,
                                            NodeId node, std::uint64_t now_ms) const;

  private:
    Issuer(ClusterCa ca, SigningKey key) : ca_(std::move(ca)), key_(std::move(key)) {}
    ClusterCa ca_;
    SigningKey key_;
};

struct Identity {
    ClusterId cluster;
    NodeId node;
    auto operator<=>(const Identity&) const = default;
};

// Whose certificate it is, when `ca` issued it as a node certificate and `now_ms` lies in its time;
// else kDenied, and the context says what is wrong. Proves nothing about who sent it: the TLS
// handshake does. Whether the node is still a member is the caller's question.
Result<Identity> identity_of(const Certificate& certificate, const ClusterCa& ca,
                             std::uint64_t now_ms);

}  // namespace hamster::crypto
