// The one authenticator: turns a parsed head into a VerifiedRequest, or refuses it. Every way to
// sign (header, presigned URL, POST form) ends here, and nothing else can make a VerifiedRequest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/world.h"
#include "s3/auth_header.h"
#include "s3/context.h"
#include "s3/error.h"
#include "s3/form_fields.h"
#include "s3/payload.h"
#include "s3/request.h"
#include "s3/sigv4.h"

namespace hamster::s3 {

struct Credential {
    std::string secret;
    Identity identity;
};

// Where access keys are looked up. Used on the loop of its authenticator.
class CredentialSource {
  public:
    virtual ~CredentialSource() = default;
    // nullopt: no such key, or its user is disabled.
    virtual runtime::Task<Result<std::optional<Credential>>> find(std::string access_key_id) = 0;
};

struct Authenticated {
    VerifiedRequest request;
    PayloadPlan payload;
};

struct AuthenticatedForm {
    VerifiedRequest request;  // fields appear as headers, so PutObject's code reads them
    std::uint64_t min_bytes = 0;
    std::uint64_t max_bytes = UINT64_MAX;
};

inline constexpr std::uint64_t kMaxSkewMs = 15 * 60 * 1000;  // S3

// One per I/O loop.
class Authenticator {
  public:
    Authenticator(runtime::World* world, const Settings* settings, CredentialSource* credentials)
        : world_(world), settings_(settings), credentials_(credentials) {}

    // Address, signature, route and headers, in this order.
    runtime::Task<S3Result<Authenticated>> verify(RequestHead head, std::string request_id);
    // A form upload: signature and policy over `fields`; the file has not been read. The head must
    // have no other authentication.
    runtime::Task<S3Result<AuthenticatedForm>> verify_form(RequestHead head, FormFields fields,
                                                           std::string file_name,
                                                           std::string request_id);

  private:
    // Identity and signing key of the claim, with the same work for unknown keys.
    struct Signer {
        std::optional<Identity> identity;
        std::string key;
    };
    runtime::Task<S3Result<Signer>> signer_of(std::string access_key_id, Scope scope);

    runtime::World* world_;
    const Settings* settings_;
    CredentialSource* credentials_;
    SigningKeyCache keys_;
};

}  // namespace hamster::s3
