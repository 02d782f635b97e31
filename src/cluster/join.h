// How a newcomer gets in: one exchange with any member, over TLS. The member proves to hold a
// certificate of the CA that the token pins; the newcomer has none yet and shows the token. Its
// private key never travels. Bytes: docs/formats/cluster-requests.md.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "crypto/certificate.h"
#include "crypto/join_token.h"
#include "proto/cluster.pb.h"
#include "rpc/connection.h"
#include "runtime/world.h"

namespace hamster::cluster {

// Longest request and reply that are read, in bytes.
inline constexpr std::size_t kMaxJoinRequest = 16U << 10U;
inline constexpr std::size_t kMaxJoinReply = 2U << 20U;

// One message behind its length. kTooLarge, kCorrupt, kClosed and the stream's errors.
runtime::Task<Result<void>> write_message(runtime::Stream* stream, std::string message);
runtime::Task<Result<std::string>> read_message(runtime::Stream* stream, std::size_t limit);

// The credentials and the secret that a member gave to a newcomer.
struct Welcome {
    crypto::ClusterCa ca;
    crypto::Certificate certificate;
    crypto::Key256 secret;
    proto::Acquaintances acquaintances;
};

// Asks the members that the token names, one after the other, until one answers for the cluster:
// its refusal is final. `self` has id, name, labels and addresses; `replaces` names the member
// whose place it takes, empty: nobody's. kDenied: refused, the context says why; kUnavailable:
// nobody was reached, the token is not used up.
runtime::Task<Result<Welcome>> join(runtime::World* control, crypto::JoinToken token,
                                    crypto::SigningKey key, proto::Node self, std::string replaces);

}  // namespace hamster::cluster
