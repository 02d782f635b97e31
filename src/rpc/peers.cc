#include "rpc/peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "base/log.h"

namespace hamster::rpc {

namespace {

// Connections accepted at a time: far more than two for each node of a large cluster.
constexpr std::size_t kMaxAccepted = 2048;
// The pause after the second failure in a row, and the longest.
constexpr runtime::Micros kFirstPause = std::chrono::milliseconds(50);
constexpr runtime::Micros kLongestPause = std::chrono::seconds(2);
// A connection that lasted so long, counted from its dial, was no failure.
constexpr runtime::Micros kLasting = std::chrono::seconds(5);

runtime::Task<Result<StreamPtr>> ready(StreamPtr stream) { co_return std::move(stream); }

runtime::Task<Result<std::string>> refused(Error error) {
    co_return std::unexpected(std::move(error));
}

}  // namespace

Peers::Peers(Endpoint endpoint, Dial dial)
    : endpoint_(std::move(endpoint)), dial_(std::move(dial)) {}

Peers::~Peers() {
    HAMSTER_ASSERT(live_.empty() || runtime::WaiterRegistry::abandoning(), live_.size());
}

runtime::Task<Result<std::string>> Peers::call(base::NodeId to, Lane lane, Method method,
                                               std::string payload, runtime::Time deadline) {
    auto connection = reach(to, lane);
    if (!connection) return refused(std::move(connection.error()));
    return (*connection)->call(method, std::move(payload), deadline);
}

bool Peers::post(base::NodeId to, Lane lane, Method method, std::string payload) {
    auto connection = reach(to, lane);
    return connection && (*connection)->post(method, std::move(payload));
}

Result<Peers::ConnectionPtr> Peers::reach(base::NodeId to, Lane lane) {
    HAMSTER_ASSERT(to != endpoint_.node);
    if (stopping_) return fail(Code::kUnavailable, "this node is stopping");
    if (!endpoint_.handler->admits(to)) {
        return fail(Code::kDenied, fmt::format("node {} is not admitted", to.hex()));
    }
    Link& link = links_[{to, lane}];
    if (link.connection && !link.connection->has_ended()) return link.connection;
    if (link.trouble) {
        if (auto theirs = accepted_from(to, lane)) return theirs;
    }
    if (now() < link.retry_at && !has_appeared(to, link.ended_at)) {
        HAMSTER_ASSERT(link.trouble.has_value());
        return fail(Code::kUnavailable,
                    fmt::format("node {}: {}", to.hex(), link.trouble->context));
    }
    link.dialled_at = now();
    const ConnectionPtr connection = std::make_shared<Connection>(
        &endpoint_, lane, to, [this](Connection* over) { ended(over); });
    link.connection = connection;
    run(connection, dial_(to, lane));
    return connection;
}

// The newest: an older one may be half dead.
Peers::ConnectionPtr Peers::accepted_from(base::NodeId node, Lane lane) const {
    for (auto at = live_.rbegin(); at != live_.rend(); ++at) {
        const ConnectionPtr& connection = at->second;
        const bool fits = connection->is_accepted() && connection->is_open() &&
                          connection->peer() == node && connection->lane() == lane;
        if (fits) return connection;
    }
    return nullptr;
}

bool Peers::has_appeared(base::NodeId node, runtime::Time since) const {
    return std::ranges::any_of(live_, [&](const auto& entry) {
        const Connection& connection = *entry.second;
        return connection.is_open() && connection.peer() == node && connection.opened_at() > since;
    });
}

void Peers::run(ConnectionPtr connection, runtime::Task<Result<StreamPtr>> stream) {
    const std::uint64_t serial = next_serial_++;
    live_.emplace(serial, connection);
    runtime::spawn(endpoint_.world->executor, gate_, "rpc connection",
                   drive(this, serial, std::move(connection), std::move(stream)));
}

runtime::Task<void> Peers::drive(Peers* peers, std::uint64_t serial, ConnectionPtr connection,
                                 runtime::Task<Result<StreamPtr>> stream) {
    co_await connection->run(std::move(stream));
    peers->live_.erase(serial);
    if (connection->is_accepted()) --peers->accepted_;
}

// From within Connection::end(), which may have been called from anywhere.
void Peers::ended(Connection* connection) {
    const Error& reason = connection->reason();
    const auto at = links_.find({connection->peer(), connection->lane()});
    if (at == links_.end() || at->second.connection.get() != connection) {
        LOG_DEBUG("rpc", "a connection of node {} ended: {}", connection->peer().hex(),
                  reason.context);
        return;
    }
    Link& link = at->second;
    if (now() - link.dialled_at >= kLasting) link.failures = 0;
    ++link.failures;
    link.ended_at = now();
    link.retry_at = link.ended_at + back_off(link.failures);
    if (!stopping_ && (link.failures == 1 || link.trouble != reason)) {
        LOG_INFO("rpc", "the connection to node {} ended: {}", connection->peer().hex(),
                 reason.context);
    }
    link.trouble = reason;
    if (!stopping_) endpoint_.handler->on_cut(connection->peer());
}

// Half of the pause is random, so that the nodes of a cluster do not return to one all at once.
runtime::Micros Peers::back_off(int failures) {
    if (failures < 2) return runtime::Micros(0);
    runtime::Micros pause = kFirstPause;
    for (int i = 2; i < failures && pause < kLongestPause; ++i) pause *= 2;
    const auto half = static_cast<std::uint64_t>(std::min(pause, kLongestPause).count()) / 2;
    return runtime::Micros(half + endpoint_.world->random.below(half + 1));
}

void Peers::forget(base::NodeId node) {
    links_.erase({node, Lane::kControl});
    links_.erase({node, Lane::kBulk});
    std::vector<ConnectionPtr> doomed;
    for (const auto& [serial, connection] : live_) {
        if (connection->peer() == node) doomed.push_back(connection);
    }
    for (const ConnectionPtr& connection : doomed) {
        connection->end(Error{Code::kUnavailable, "the node was removed"});
    }
}

void Peers::serve(StreamPtr stream) {
    if (stopping_ || accepted_ >= kMaxAccepted) {
        if (!stopping_) LOG_WARN("rpc", "too many connections: {} is turned away", stream->peer());
        stream->close();
        return;
    }
    ++accepted_;
    const ConnectionPtr connection = std::make_shared<Connection>(
        &endpoint_, Lane::kControl, std::nullopt, [this](Connection* over) { ended(over); });
    run(connection, ready(std::move(stream)));
}

runtime::Task<void> Peers::stop() {
    stopping_ = true;
    const auto live = live_;
    for (const auto& [serial, connection] : live) {
        connection->end(Error{Code::kUnavailable, "this node is stopping"});
    }
    co_await gate_.close();
}

std::optional<Error> Peers::trouble(base::NodeId node, Lane lane) const {
    const auto at = links_.find({node, lane});
    if (at == links_.end() || is_connected(node, lane)) return std::nullopt;
    return at->second.trouble;
}

bool Peers::is_connected(base::NodeId node, Lane lane) const {
    const auto at = links_.find({node, lane});
    return at != links_.end() && at->second.connection && at->second.connection->is_open();
}

}  // namespace hamster::rpc
