// The S3 front door of one I/O loop: everything of it that lives and runs there. Called from the
// control loop.
#pragma once

#include <memory>
#include <string>

#include "admin/credentials.h"
#include "base/metrics.h"
#include "base/result.h"
#include "objects/service.h"
#include "runtime/world.h"
#include "s3/context.h"
#include "s3/server.h"

namespace hamster::node {

class Front {
  public:
    // All pointers must outlive the front; `world` is that of its loop.
    Front(runtime::World* world, objects::Service* objects, const s3::Settings* settings,
          base::Metrics* metrics, admin::RootCredential root, meta::Router* router,
          const admin::Identities* identities);

    // Binds the address. Connections wait until serve().
    runtime::Task<Result<void>> open(std::string address, runtime::TlsServer* tls);
    runtime::Task<void> serve();
    // Once, also when open() failed or was never called. True when every request had finished.
    runtime::Task<bool> drain(runtime::Micros limit);

  private:
    runtime::Task<Result<void>> open_here(std::string address, runtime::TlsServer* tls);
    runtime::Task<bool> serve_here();
    runtime::Task<bool> drain_here(runtime::Micros limit);

    runtime::World* world_;
    s3::Context context_;
    admin::Credentials credentials_;
    s3::Server server_;
    std::unique_ptr<runtime::Listener> listener_;
};

}  // namespace hamster::node
