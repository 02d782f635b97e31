// What the admin address answers to anybody who can reach it: /metrics, /healthz, /readyz. Nothing
// here changes anything or shows a secret.
#pragma once

#include "admin/http_server.h"
#include "admin/subject.h"

namespace hamster::admin {

class Endpoints final : public HttpHandler {
  public:
    explicit Endpoints(Subject* subject);
    runtime::Task<HttpAnswer> handle(HttpRequest request) override;

  private:
    runtime::Task<HttpAnswer> metrics();
    runtime::Task<HttpAnswer> health();
    runtime::Task<HttpAnswer> ready();

    Subject* subject_;
    struct Gauges;
    std::shared_ptr<Gauges> gauges_;
};

}  // namespace hamster::admin
