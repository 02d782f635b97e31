#include "cluster/links.h"

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
const Error kNotReady{Code::kUnavailable, "this node is starting"};

rpc::Method method_of(meta::Ask what) { return what == meta::Ask::kPropose ? kPropose : kSnapshot; }
rpc::Method method_of(objects::RemoteMethod what) {
    return what == objects::RemoteMethod::kReadSlice ? kReadSlice : kKeepBlobs;
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
    if (node == nullptr || node->address().empty()) {
        co_return fail(Code::kUnavailable, "nobody knows the address of node " + to.hex());
    }
    const std::string address = node->address();
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
    const Time deadline = control_->clock.now() + kSliceWithin;
    auto task = call_here(holder, rpc::Lane::kBulk, method_of(what), std::move(payload), deadline);
    co_return co_await runtime::run_on(control_->executor, std::move(task));
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
    if (method == kReadSlice || method == kKeepBlobs) {
        if (objects_ == nullptr) co_return std::unexpected(kNotReady);
        const auto what =
            method == kReadSlice ? objects::RemoteMethod::kReadSlice : objects::RemoteMethod::kKeep;
        co_return co_await objects_->serve(what, std::move(payload));
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
