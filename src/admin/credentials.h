// Where the S3 front door of one loop looks access keys up: root from the environment, users from
// the metadata. Opened secrets are kept in memory until any user or key changes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "admin/identities.h"
#include "meta/group.h"
#include "s3/authenticator.h"

namespace hamster::admin {

struct RootCredential {
    std::string access_key_id;
    std::string secret_access_key;
};

// One loop.
class Credentials final : public s3::CredentialSource {
  public:
    Credentials(RootCredential root, meta::Router* router, const Identities* identities)
        : root_(std::move(root)), router_(router), identities_(identities) {}
    runtime::Task<Result<std::optional<s3::Credential>>> find(std::string access_key_id) override;

  private:
    RootCredential root_;
    meta::Router* router_;
    const Identities* identities_;
    std::uint64_t generation_ = 0;  // of everything in known_
    std::map<std::string, s3::Credential, std::less<>> known_;
};

}  // namespace hamster::admin
