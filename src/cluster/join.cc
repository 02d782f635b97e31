#include "cluster/join.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/encoding.h"
#include "rpc/hello.h"

namespace hamster::cluster {

using runtime::Micros;
using runtime::Task;

namespace {

constexpr Micros kConnectWithin = std::chrono::seconds(5);
constexpr Micros kAnswerWithin = std::chrono::seconds(30);
constexpr std::size_t kLengthBytes = 4;

Task<Result<void>> read_exactly(runtime::Stream* stream, base::MutableBytes out) {
    while (!out.empty()) {
        auto got = co_await stream->read_some(out);
        CO_TRY_ASSIGN(const std::size_t n, got);
        if (n == 0) co_return fail(Code::kClosed, "the other side closed the connection");
        out = out.subspan(n);
    }
    co_return Result<void>{};
}

// Judged at the time when the token expires: it lies within the life of every certificate of its
// cluster, however wrong this machine's clock is.
Result<crypto::ClusterCa> judge_member(const runtime::Stream& stream,
                                       const crypto::TokenTerms& terms) {
    const std::vector<std::string> shown = stream.peer_certificates();
    if (shown.size() < 2) return fail(Code::kDenied, "it is no member of a cluster");
    TRY_ASSIGN(auto certificate, crypto::Certificate::from_der(base::as_bytes(shown[0])));
    TRY_ASSIGN(auto ca_certificate, crypto::Certificate::from_der(base::as_bytes(shown[1])));
    if (ca_certificate.fingerprint() != terms.ca) {
        return fail(Code::kDenied, "it belongs to another cluster than the token");
    }
    TRY_ASSIGN(auto ca, crypto::ClusterCa::from(std::move(ca_certificate)));
    TRY_ASSIGN(const auto identity, crypto::identity_of(certificate, ca, terms.expires_ms));
    if (identity.cluster != terms.cluster) {
        return fail(Code::kDenied, "it belongs to another cluster than the token");
    }
    return ca;
}

Result<Welcome> read_welcome(const std::string& bytes, crypto::ClusterCa ca,
                             const crypto::SigningKey& key, const proto::Node& self,
                             std::uint64_t judged_ms) {
    proto::JoinReply reply;
    if (!reply.ParseFromString(bytes)) return fail(Code::kInvalid, "its answer cannot be read");
    if (!reply.error().empty()) {
        TRY_ASSIGN(const Error error, rpc::decode_error(reply.error()));
        return std::unexpected(error);
    }
    TRY_ASSIGN(auto certificate,
               crypto::Certificate::from_der(base::as_bytes(reply.certificate())));
    TRY_ASSIGN(const auto identity, crypto::identity_of(certificate, ca, judged_ms));
    const auto secret = crypto::Key256::from_bytes(base::as_bytes(reply.cluster_secret()));
    if (identity.node.view() != self.node_id() || !certificate.is_of(key) || !secret) {
        return fail(Code::kInvalid, "it answered with a certificate that is not ours");
    }
    return Welcome{std::move(ca), std::move(certificate), *secret,
                   std::move(*reply.mutable_acquaintances())};
}

proto::JoinRequest request_of(const crypto::JoinToken& token, const crypto::SigningKey& key,
                              const proto::Node& self, const std::string& replaces) {
    proto::JoinRequest request;
    request.set_cluster_id(std::string(token.terms.cluster.view()));
    request.set_token_id(std::string(token.proof.id.view()));
    request.set_token_secret(std::string(base::as_text(token.proof.secret.bytes())));
    request.set_signing_request(crypto::SigningRequest::make(key).der());
    *request.mutable_node() = self;
    request.set_replaces(replaces);
    return request;
}

struct Outcome {
    std::optional<Welcome> welcome;
    Error error;
    bool is_final = false;  // the cluster has spoken
};

Task<Outcome> ask(runtime::World* control, std::string address, crypto::JoinToken token,
                  crypto::SigningKey key, proto::Node self, std::string replaces) {
    Outcome outcome;
    const auto nobody = std::make_shared<const runtime::NodeTls>();
    auto connected = co_await control->network.connect_node(address, nobody,
                                                            control->clock.now() + kConnectWithin);
    if (!connected) {
        outcome.error = connected.error();
        co_return outcome;
    }
    const rpc::StreamPtr stream = std::move(*connected);
    stream->set_deadline(control->clock.now() + kAnswerWithin);
    auto ca = judge_member(*stream, token.terms);
    if (!ca) {
        outcome.error = ca.error();
        co_return outcome;
    }
    const proto::JoinRequest request = request_of(token, key, self, replaces);
    auto sent = co_await write_message(stream.get(), request.SerializeAsString());
    if (!sent) {
        outcome.error = sent.error();
        co_return outcome;
    }
    auto reply = co_await read_message(stream.get(), kMaxJoinReply);
    if (!reply) {
        outcome.error = reply.error();
        co_return outcome;
    }
    auto welcome = read_welcome(*reply, std::move(*ca), key, self, token.terms.expires_ms);
    if (welcome) {
        outcome.welcome = std::move(*welcome);
    } else {
        outcome.error = welcome.error();
        // Anything else is this member's own trouble, and another one may have none.
        const Code code = outcome.error.code;
        outcome.is_final = code == Code::kDenied || code == Code::kInvalid;
    }
    co_return outcome;
}

}  // namespace

Task<Result<void>> write_message(runtime::Stream* stream, std::string message) {
    std::array<std::byte, kLengthBytes> length{};
    base::store_le32(length.data(), static_cast<std::uint32_t>(message.size()));
    std::vector<base::Bytes> pieces{length, base::as_bytes(message)};
    auto written = co_await stream->write(std::move(pieces));
    co_return written;
}

Task<Result<std::string>> read_message(runtime::Stream* stream, std::size_t limit) {
    std::array<std::byte, kLengthBytes> length{};
    auto head = co_await read_exactly(stream, length);
    CO_TRY(head);
    const std::size_t size = base::load_le32(length.data());
    if (size > limit) co_return fail(Code::kTooLarge, "a message that is too long");
    std::string message(size, '\0');
    auto body = co_await read_exactly(
        stream, base::MutableBytes(reinterpret_cast<std::byte*>(message.data()), size));
    CO_TRY(body);
    co_return message;
}

Task<Result<Welcome>> join(runtime::World* control, crypto::JoinToken token, crypto::SigningKey key,
                           proto::Node self, std::string replaces) {
    std::string troubles;
    for (const std::string& address : token.terms.addresses) {
        auto outcome = co_await ask(control, address, token, key, self, replaces);
        if (outcome.welcome) co_return std::move(*outcome.welcome);
        if (outcome.is_final) {
            co_return fail(Code::kDenied,
                           "the cluster does not admit this node: " + outcome.error.context);
        }
        troubles +=
            fmt::format("{}{}: {}", troubles.empty() ? "" : "; ", address, outcome.error.context);
    }
    co_return fail(Code::kUnavailable,
                   fmt::format("no member of the cluster could be asked ({}). The token is not "
                               "used up: check the addresses and try again",
                               troubles));
}

}  // namespace hamster::cluster
