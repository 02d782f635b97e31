// The control API: what `hamster user`, `key` and `status` speak with the running node, JSON over
// HTTP on a unix socket in the data directory that only its owner may open (0600). That is its
// whole authentication.
//
//   GET  /v1/status                               the node, and "cluster"
//   GET  /v1/users
//   POST /v1/users/create|disable|enable|delete   {"name": NAME}
//   POST /v1/keys/create                          {"name": NAME}
//   POST /v1/keys/revoke                          {"access_key_id": ID}
//
// and what cluster_api.h lists.
//
// Errors: {"error": CODE, "message": TEXT} with status 400, 404, 409, 503 or 500.
#pragma once

#include <string>

#include "admin/http_server.h"
#include "admin/subject.h"

namespace hamster::admin {

class Control final : public HttpHandler {
  public:
    explicit Control(Subject* subject) : subject_(subject) {}
    runtime::Task<HttpAnswer> handle(HttpRequest request) override;

  private:
    runtime::Task<Result<std::string>> perform(HttpRequest request);
    runtime::Task<Result<std::string>> change(std::string path, std::string name);

    Subject* subject_;
};

}  // namespace hamster::admin
