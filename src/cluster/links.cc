#include "cluster/links.h"

#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace hamster::cluster {

using runtime::Micros;
using runtime::Task;
using runtime::Time;

namespace {

constexpr Micros kDialWithin = std::chrono::seconds(3);
constexpr Micros kSliceWithin = std::chrono::seconds(10);
constexpr Micros kPullWithin = std::chrono::seconds(60);  // a whole shard
const Error kNotReady{Code::kUnavailable, "this node is starting"};

rpc::Method method_of(meta::Ask what) { return what == meta::Ask::kPropose ? kPropose : kSnapshot; }

// The first two were numbered before there were others.
rpc::Method method_of(objects::RemoteMethod what) {
    if (what == objects::RemoteMethod::kReadSlice) return kReadSlice;
    if (what == objects::RemoteMethod::kKeep) return kKeepBlobs;
    return rpc::Method{static_cast<std::uint16_t>(kRemoteBase + static_cast<std::uint16_t>(what))};
}

// Nullopt: not a method of objects.
std::optional<objects::RemoteMethod> remote_method_of(rpc::Method method) {
    if (method == kReadSlice) return objects::RemoteMethod::kReadSlice;
    if (method == kKeepBlobs) return objects::RemoteMethod::kKeep;
    const auto number = static_cast<std::uint16_t>(method);
    const auto first = static_cast<std::uint16_t>(objects::RemoteMethod::kPutSlice);
    const auto last = static_cast<std::uint16_t>(objects::RemoteMethod::kKeepWriting);
    if (number < kRemoteBase + first || number > kRemoteBase + last) return std::nullopt;
    return static_cast<objects::RemoteMethod>(number - kRemoteBase);
}

}  // namespace

Links::Links(runtime::World* control, NodeId self, Credentials credentials, const Roster* roster)
    : control_(control),
      self_(self),
      credentials_(std::move(credentials)),
      tls_(to_tls(credentials_)),
      roster_(roster) {
    rpc::Endpoint endpoint;
    endpoint.world = control;
    endpoint.handler = this;
    endpoint.cluster = credentials_.ca.cluster();
    endpoint.node = self;
    endpoint.verify = [this](runtime::Stream& stream, const rpc::Hello&) { return verify(stream); };
    peers_ = std::make_unique<rpc::Peers>(std::move(endpoint),
                                          [this](NodeId to, rpc::Lane) { return dial(to); });
}

void Links::answer(rpc::Method method, Answerer answerer) {
    const bool is_new = answerers_.emplace(method, std::move(answerer)).second;
    HAMSTER_ASSERT(is_new, static_cast<int>(method));
}

Result<NodeId> Links::verify(const runtime::Stream& stream) const {
    const std::vector<std::string> shown = stream.peer_certificates();
    if (shown.empty()) return fail(Code::kDenied, "the node shows no certificate");
    TRY_ASSIGN(const auto certificate, crypto::Certificate::from_der(base::as_bytes(shown[0])));
    const std::uint64_t now_ms = now_ms_ ? now_ms_() : 0;
    TRY_ASSIGN(const auto identity, crypto::identity_of(certificate, credentials_.ca, now_ms));
    return identity.node;
}

Task<Result<rpc::StreamPtr>> Links::dial(NodeId to) {
    const proto::Node* node = roster_->find(to);
    const std::string address =
        sightings_.choose(to, node == nullptr ? std::string() : node->address());
    if (address.empty()) {
        co_return fail(Code::kUnavailable, "nobody knows the address of node " + to.hex());
    }
    auto stream =
        co_await control_->network.connect_node(address, tls_, control_->clock.now() + kDialWithin);
    if (!stream) co_return fail(std::move(stream).error(), "node at " + address);
    co_return stream;
}

void Links::send(proto::RaftMessage message) {
    const auto to = NodeId::from_bytes(message.to());
    HAMSTER_ASSERT(to.has_value());
    // Lost when the peer is out of reach: the core copes.
    (void)peers_->post(*to, rpc::Lane::kControl, kRaft, message.SerializeAsString());
}

Task<Result<std::string>> Links::ask(NodeId to, meta::Ask what, std::string payload,
                                     Time deadline) {
    const rpc::Lane lane = what == meta::Ask::kSnapshot ? rpc::Lane::kBulk : rpc::Lane::kControl;
    return peers_->call(to, lane, method_of(what), std::move(payload), deadline);
}

Task<Result<std::string>> Links::call_here(NodeId to, rpc::Lane lane, rpc::Method method,
                                           std::string payload, Time deadline) {
    auto answer = co_await peers_->call(to, lane, method, std::move(payload), deadline);
    if (!answer && answer.error().code == Code::kUnavailable) {
        co_return fail(std::move(answer).error(), "node " + roster_->name_of(to));
    }
    co_return answer;
}

Task<Result<std::string>> Links::call(NodeId holder, objects::RemoteMethod what,
                                      std::string payload) {
    const bool is_pull = what == objects::RemoteMethod::kPull;
    const Time deadline = control_->clock.now() + (is_pull ? kPullWithin : kSliceWithin);
    auto task = call_objects(holder, method_of(what), std::move(payload), deadline);
    co_return co_await runtime::run_on(control_->executor, std::move(task));
}

// A node that refuses a request is there; one that says nothing, or to which no connection stands,
// is not.
Task<Result<std::string>> Links::call_objects(NodeId to, rpc::Method method, std::string payload,
                                              Time deadline) {
    auto answer = co_await call_here(to, rpc::Lane::kBulk, method, std::move(payload), deadline);
    const bool is_silent = !answer && answer.error().code == Code::kTimeout;
    const bool is_cut_off = !answer && !peers_->is_connected(to, rpc::Lane::kBulk);
    note_up(to, !is_silent && !is_cut_off);
    co_return answer;
}

void Links::note_up(NodeId node, bool is_up) {
    const std::lock_guard lock(down_mutex_);
    if (is_up) {
        down_.erase(node);
    } else {
        down_.insert(node);
    }
}

// A process that dies takes its connections along: bodies need not wait for a request to fail, nor,
// when it is back, for one that is answered: its connections come first.
void Links::on_cut(NodeId node) {
    const bool is_there = peers_->is_connected(node, rpc::Lane::kControl) ||
                          peers_->is_connected(node, rpc::Lane::kBulk);
    if (!is_there) note_up(node, false);
}

std::vector<NodeId> Links::others() const {
    std::vector<NodeId> others;
    for (const auto& [id, node] : roster_->nodes()) {
        if (id != self_) others.push_back(id);
    }
    return others;
}

bool Links::is_up(NodeId node) const {
    const std::lock_guard lock(down_mutex_);
    return !down_.contains(node);
}

Task<Result<std::string>> Links::call(NodeId to, rpc::Method method, std::string payload,
                                      Micros within) {
    const Time deadline = control_->clock.now() + within;
    return call_here(to, rpc::Lane::kControl, method, std::move(payload), deadline);
}

std::string Links::trouble_with(NodeId node) const {
    const auto error = peers_->trouble(node, rpc::Lane::kControl);
    return error ? error->context : std::string();
}

Task<void> Links::stop() { return peers_->stop(); }

Task<Result<std::string>> Links::on_call(NodeId from, rpc::Method method, std::string payload) {
    if (method == kPropose || method == kSnapshot) {
        if (replica_ == nullptr) co_return std::unexpected(kNotReady);
        const auto what = method == kPropose ? meta::Ask::kPropose : meta::Ask::kSnapshot;
        co_return co_await replica_->serve(from, what, std::move(payload));
    }
    if (const auto what = remote_method_of(method)) {
        if (objects_ == nullptr) co_return std::unexpected(kNotReady);
        note_up(from, true);  // who has just started asks before it is asked again
        co_return co_await objects_->serve(from, *what, std::move(payload));
    }
    const auto answerer = answerers_.find(method);
    if (answerer == answerers_.end()) {
        co_return fail(Code::kUnsupported, "this version does not know the request");
    }
    co_return co_await answerer->second(from, std::move(payload));
}

void Links::on_post(NodeId from, rpc::Method method, std::string payload) {
    if (method != kRaft || replica_ == nullptr) return;
    proto::RaftMessage message;
    if (!message.ParseFromString(payload) || message.from() != from.view()) {
        LOG_WARN("cluster", "node {} sent a raft message that is not its own", from.hex());
        return;
    }
    replica_->receive(message);
}

}  // namespace hamster::cluster
