#include "cluster/port.h"

#include <utility>

#include "base/log.h"

namespace hamster::cluster {

using runtime::Task;

namespace {

// Beyond these whoever connects is cut off: strangers must not hold up the members.
constexpr std::size_t kMaxGreeting = 64;
constexpr std::size_t kMaxJoining = 8;
constexpr runtime::Micros kGreetWithin = std::chrono::seconds(5);
constexpr runtime::Micros kAfterError = std::chrono::milliseconds(100);

}  // namespace

Result<void> Port::open(const std::string& address) {
    TRY_ASSIGN(listener_, control_->network.listen_nodes(address, links_->tls()));
    runtime::spawn(control_->executor, gate_, "cluster port", accept_loop());
    return {};
}

Task<void> Port::accept_loop() {
    while (!stopping_) {
        auto accepted = co_await listener_->accept();
        if (stopping_ || (!accepted && accepted.error().code == Code::kClosed)) co_return;
        if (!accepted) {
            LOG_WARN("cluster", "the cluster port: {}", accepted.error().context);
            co_await control_->clock.sleep(kAfterError);
            continue;
        }
        if (greeting_ >= kMaxGreeting) continue;
        ++greeting_;
        runtime::spawn(control_->executor, gate_, "cluster greeting", greet(std::move(*accepted)));
    }
}

Task<void> Port::greet(rpc::StreamPtr stream) {
    stream->set_deadline(control_->clock.now() + kGreetWithin);
    auto shaken = co_await stream->handshake();
    --greeting_;
    if (!shaken || stopping_) co_return;
    if (!stream->peer_certificates().empty()) {
        stream->set_deadline(runtime::Time::never());
        links_->serve(std::move(stream));
        co_return;
    }
    if (joining_ >= kMaxJoining) co_return;
    ++joining_;
    co_await admission_->serve(std::move(stream));
    --joining_;
}

Task<void> Port::stop() {
    stopping_ = true;
    if (listener_) listener_->close();
    co_await gate_.close();
}

}  // namespace hamster::cluster
