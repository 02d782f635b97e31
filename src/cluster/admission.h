// The member's side of joining: minting tokens and admitting who shows one. Control loop.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cluster/join.h"
#include "crypto/key.h"
#include "crypto/random.h"
#include "meta/group.h"
#include "runtime/world.h"

namespace hamster::cluster {

inline constexpr std::uint64_t kDefaultTokenLifeMs = 24ULL * 3600 * 1000;
inline constexpr std::uint64_t kMaxTokenLifeMs = 30 * kDefaultTokenLifeMs;

struct MintedToken {
    std::string text;
    std::uint64_t expires_ms = 0;
};

class Admission {
  public:
    Admission(runtime::World* control, crypto::KeySource* keys, meta::Group* group,
              crypto::Key256 secret)
        : control_(control), keys_(keys), group_(group), secret_(secret) {}

    // A token that works once, for `life_ms`. It names up to kMaxTokenAddresses members, `first`
    // before all.
    runtime::Task<Result<MintedToken>> mint(std::uint64_t life_ms, std::string first);
    // Talks to one newcomer: reads its request, answers, closes.
    runtime::Task<void> serve(rpc::StreamPtr stream);

  private:
    runtime::Task<Result<proto::JoinReply>> admit(proto::JoinRequest request);

    runtime::World* control_;
    crypto::KeySource* keys_;
    meta::Group* group_;
    const crypto::Key256 secret_;
};

}  // namespace hamster::cluster
