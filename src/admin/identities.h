// Users and their key pairs. Secrets are sealed under the cluster secret before they reach the
// metadata, and shown once, to whoever created them. Control loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "crypto/key.h"
#include "crypto/random.h"
#include "meta/group.h"
#include "proto/records.pb.h"
#include "runtime/world.h"

namespace hamster::admin {

struct KeyPair {
    std::string access_key_id;      // 20 characters of A-Z and 2-7
    std::string secret_access_key;  // 40 letters and digits
};

struct UserRow {
    proto::User user;
    std::vector<std::string> access_key_ids;
};

// What a secret is sealed for: it does not open in another row.
std::string seal_context(std::string_view access_key_id, std::string_view user_id);

// kInvalid, saying which names are possible.
Result<void> check_user_name(std::string_view name);
// The key pair of root, from the environment. kInvalid when empty, short or well known; the text
// says how to set a good one.
Result<void> check_root_credential(std::string_view access_key_id,
                                   std::string_view secret_access_key);

class Identities {
  public:
    Identities(meta::Router* router, crypto::KeySource* keys, crypto::Key256 cluster_secret)
        : router_(router), keys_(keys), cluster_secret_(cluster_secret) {}

    runtime::Task<Result<KeyPair>> create_user(std::string name);
    runtime::Task<Result<std::vector<UserRow>>> users();
    runtime::Task<Result<void>> set_disabled(std::string name, bool disabled);
    // With all its keys. kPrecondition while the user owns buckets.
    runtime::Task<Result<void>> delete_user(std::string name);
    runtime::Task<Result<KeyPair>> create_key(std::string name);
    runtime::Task<Result<void>> revoke_key(std::string access_key_id);

    // Opens the sealed secret of a credential. Any thread.
    [[nodiscard]] Result<std::string> secret_of(const proto::Credential& credential) const;
    // Grows with every change: what was looked up under an older one must be looked up again.
    // Any thread.
    [[nodiscard]] std::uint64_t generation() const { return generation_.load(); }
    // Users or keys were changed by whichever node.
    void note_change() { generation_.fetch_add(1); }

  private:
    runtime::Task<Result<void>> propose(proto::Command command);
    runtime::Task<Result<proto::User>> user_named(std::string name);
    runtime::Task<Result<KeyPair>> create_key_for(proto::User user);

    meta::Router* router_;
    crypto::KeySource* keys_;
    crypto::Key256 cluster_secret_;
    std::atomic<std::uint64_t> generation_{1};
};

}  // namespace hamster::admin
