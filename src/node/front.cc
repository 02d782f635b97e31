#include "node/front.h"

#include <utility>

#include "runtime/task.h"
#include "s3/ops/handlers.h"

namespace hamster::node {

using runtime::Task;

Front::Front(runtime::World* world, objects::Service* objects, const s3::Settings* settings,
             base::Metrics* metrics, admin::RootCredential root, meta::Router* router,
             const admin::Identities* identities)
    : world_(world),
      context_{world, objects, settings, metrics},
      credentials_(std::move(root), router, identities),
      server_(&context_, &credentials_, s3::ops::handler_of, s3::ServerOptions{}) {}

Task<Result<void>> Front::open(std::string address, runtime::TlsServer* tls) {
    auto opened = co_await runtime::run_on(world_->executor, open_here(std::move(address), tls));
    co_return opened;
}

Task<Result<void>> Front::open_here(std::string address, runtime::TlsServer* tls) {
    CO_TRY_ASSIGN(listener_, world_->network.listen(std::move(address), tls));
    co_return Result<void>{};
}

Task<void> Front::serve() { (void)co_await runtime::run_on(world_->executor, serve_here()); }

Task<bool> Front::serve_here() {
    server_.start(std::move(listener_));
    co_return true;
}

Task<bool> Front::drain(runtime::Micros limit) {
    const bool drained = co_await runtime::run_on(world_->executor, drain_here(limit));
    co_return drained;
}

Task<bool> Front::drain_here(runtime::Micros limit) {
    listener_.reset();
    co_await server_.drain(limit);
    co_return server_.sessions() == 0;
}

}  // namespace hamster::node
