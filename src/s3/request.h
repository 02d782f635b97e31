// A request that has been authenticated: the only thing a handler can be called with. Bucket and
// key are parsed once, here; authorization and storage use the same values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "s3/action.h"

namespace hamster::s3 {

struct Header {
    std::string name;   // lower case
    std::string value;  // without surrounding white space
};

struct QueryParam {
    std::string name;   // decoded
    std::string value;  // decoded; empty when valueless
    bool has_value = false;
};

// The parsed head of one HTTP request.
struct RequestHead {
    std::string method;
    std::string target;    // as sent
    std::string raw_path;  // path of the target, still encoded
    std::string raw_query;
    std::vector<QueryParam> query;
    std::vector<Header> headers;
    unsigned http_minor = 1;
    bool keep_alive = true;
    bool secure = false;  // came over TLS
    bool expect_continue = false;
    bool chunked = false;                         // Transfer-Encoding: chunked
    std::optional<std::uint64_t> content_length;  // absent when chunked or none

    // The first header of that (lower-case) name; nullopt when absent.
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const;
    [[nodiscard]] std::optional<std::string_view> param(std::string_view name) const;
    [[nodiscard]] bool has_param(std::string_view name) const;
    // Scheme, host and path as the client addressed us: the URL of the bucket or object.
    [[nodiscard]] std::string url() const;
};

struct Identity {
    base::UserId user;  // zero: root
    std::string name;   // display name
    std::string access_key_id;
    [[nodiscard]] bool is_root() const { return user.is_zero(); }
};

class Authenticator;

// Immutable. Made by the authenticator only.
class VerifiedRequest {
  public:
    [[nodiscard]] const RequestHead& head() const { return head_; }
    [[nodiscard]] Action action() const { return action_; }
    [[nodiscard]] const Identity& identity() const { return identity_; }
    [[nodiscard]] const std::string& bucket() const { return bucket_; }  // "" for the service
    [[nodiscard]] const std::string& key() const { return key_; }  // "" for bucket and service
    [[nodiscard]] const std::string& request_id() const { return request_id_; }  // x-amz-request-id
    [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
        return head_.header(name);
    }
    [[nodiscard]] std::optional<std::string_view> param(std::string_view name) const {
        return head_.param(name);
    }

  private:
    friend class Authenticator;
    friend struct TrustedRequest;  // tests of operations; the product does not define it
    VerifiedRequest() = default;
    RequestHead head_;
    Action action_ = Action::kListBuckets;
    Identity identity_;
    std::string bucket_;
    std::string key_;
    std::string request_id_;
};

}  // namespace hamster::s3
