#include "s3/server.h"

#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "s3/session.h"

namespace hamster::s3 {

namespace {
// After a failed accept (out of file descriptors, mostly) and between looks while draining.
constexpr runtime::Micros kAcceptPause = std::chrono::milliseconds(100);
constexpr runtime::Micros kDrainLook = std::chrono::milliseconds(10);
}  // namespace

Server::Server(Context* context, CredentialSource* credentials, Dispatch dispatch,
               ServerOptions options)
    : context_(context),
      authenticator_(context->world, context->settings, credentials),
      metrics_(context->metrics),
      frontend_{context, &authenticator_, dispatch, &metrics_, &reply_head_, options} {}

Server::~Server() = default;

void Server::start(std::unique_ptr<runtime::Listener> listener) {
    HAMSTER_ASSERT(!listener_ && listener);
    listener_ = std::move(listener);
    runtime::spawn(context_->world->executor, gate_, "s3 accept", accept_loop(this));
}

runtime::Task<void> Server::accept_loop(Server* server) {
    while (!server->draining_) {
        auto stream = co_await server->listener_->accept();
        if (stream) {
            server->serve(std::move(*stream));
            continue;
        }
        if (server->draining_ || stream.error().code == Code::kClosed) co_return;
        LOG_WARN("s3", "accepting a connection failed: {}", stream.error().context);
        co_await server->context_->world->clock.sleep(kAcceptPause);
    }
}

void Server::serve(std::unique_ptr<runtime::Stream> stream) {
    base::Gauge& connections = metrics_.connections();
    if (draining_ || connections.value() >= frontend_.options.max_connections) {
        stream->close();
        return;
    }
    connections.add(1);
    runtime::spawn(context_->world->executor, gate_, "s3 session",
                   run_session(this, std::move(stream)));
}

runtime::Task<void> Server::run_session(Server* server, std::unique_ptr<runtime::Stream> stream) {
    Session session(&server->frontend_, std::move(stream));
    const std::uint64_t id = server->arrivals_++;
    server->sessions_.emplace(id, &session);
    if (server->draining_) session.stop();
    co_await session.run();
    server->sessions_.erase(id);
    server->metrics_.connections().add(-1);
}

runtime::Task<void> Server::drain(runtime::Micros limit) {
    draining_ = true;
    if (listener_) listener_->close();
    for (const auto& [id, session] : sessions_) session->stop();
    runtime::Clock& clock = context_->world->clock;
    const runtime::Time until = clock.now() + limit;
    while (!sessions_.empty() && clock.now() < until) {
        co_await clock.sleep(kDrainLook);
    }
    for (const auto& [id, session] : sessions_) session->abort();
    co_await gate_.close();
}

}  // namespace hamster::s3
