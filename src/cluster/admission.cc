#include "cluster/admission.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cluster/trust.h"
#include "rpc/hello.h"

namespace hamster::cluster {

using proto::Answer;
using proto::Command;
using runtime::Micros;
using runtime::Task;

namespace {

constexpr Micros kServeWithin = std::chrono::seconds(30);

Error refusal(const Answer& answer) {
    switch (answer.status()) {
        case Answer::NO_SUCH_TOKEN:
            return {Code::kDenied,
                    "it does not know the token: mint a new one with `hamster token`"};
        case Answer::TOKEN_EXPIRED:
            return {Code::kDenied, "the token has expired: mint a new one with `hamster token`"};
        case Answer::TOKEN_USED:
            return {Code::kDenied,
                    "the token was used before: each admits one node; mint a new one with "
                    "`hamster token`"};
        case Answer::NODE_REMOVED:
            return {Code::kDenied,
                    "this node was removed, and removed ids never return: start with an empty "
                    "data directory"};
        case Answer::NODE_EXISTS:
            return {Code::kDenied, "there is a member with this name or id: " + answer.detail() +
                                       "; choose another -node"};
        default:
            return {Code::kDenied, answer.detail().empty() ? "it refused" : answer.detail()};
    }
}

// The id of the member that the newcomer is to replace. A name that nobody has becomes an id that
// nobody has: the refusal comes when the token was judged, so that a stranger learns no names.
Result<std::string> replaced_by(const meta::View& view, const std::string& name_or_id) {
    TRY_ASSIGN(const auto nodes, view.nodes());
    const auto id = base::NodeId::from_hex(name_or_id);
    const auto is_it = [&](const proto::Node& node) {
        return node.name() == name_or_id || (id && id->view() == node.node_id());
    };
    const auto found = std::ranges::find_if(nodes, is_it);
    return found == nodes.end() ? std::string(base::NodeId{}.view()) : found->node_id();
}

}  // namespace

Task<Result<MintedToken>> Admission::mint(std::uint64_t life_ms, std::string first) {
    if (life_ms == 0 || life_ms > kMaxTokenLifeMs) {
        co_return fail(Code::kInvalid, "a token lives for at least 1 s and at most 30 days");
    }
    auto viewed = co_await group_->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const crypto::Issuer issuer, open_issuer(view, secret_));
    CO_TRY_ASSIGN(const auto nodes, view.nodes());
    crypto::TokenTerms terms;
    terms.cluster = issuer.ca().cluster();
    terms.ca = issuer.ca().certificate().fingerprint();
    terms.expires_ms = group_->stamp_now() + life_ms;
    terms.addresses.push_back(first);
    for (const proto::Node& node : nodes) {
        if (terms.addresses.size() == crypto::kMaxTokenAddresses) break;
        if (node.address() != first && !node.leaving()) terms.addresses.push_back(node.address());
    }
    CO_TRY_ASSIGN(const crypto::JoinToken token, crypto::mint(keys_, std::move(terms)));
    const crypto::StoredToken kept = crypto::stored(token);
    Command command;
    proto::JoinToken& row = *command.mutable_put_token()->mutable_token();
    row.set_token_id(std::string(kept.id.view()));
    row.set_secret_hash(std::string(base::as_text(kept.secret_hash)));
    row.set_expires_ms(kept.expires_ms);
    auto proposed = co_await group_->propose(std::move(command));
    CO_TRY_ASSIGN(const Answer answer, proposed);
    if (answer.status() != Answer::OK) co_return fail(Code::kInvalid, answer.detail());
    co_return MintedToken{crypto::encode(token), kept.expires_ms};
}

Task<void> Admission::serve(rpc::StreamPtr stream) {
    stream->set_deadline(control_->clock.now() + kServeWithin);
    auto bytes = co_await read_message(stream.get(), kMaxJoinRequest);
    if (!bytes) {
        LOG_INFO("cluster", "{} said nothing that a newcomer says: {}", stream->peer(),
                 bytes.error().context);
        co_return;
    }
    proto::JoinRequest request;
    Result<proto::JoinReply> reply = fail(Code::kInvalid, "the request cannot be read");
    const bool is_readable = request.ParseFromString(*bytes);
    if (is_readable) reply = co_await admit(request);
    if (!reply) {
        LOG_WARN("cluster", "node {} at {} was not admitted: {}", request.node().name(),
                 stream->peer(), reply.error().context);
        proto::JoinReply refused;
        refused.set_error(rpc::encode_error(reply.error()));
        reply = std::move(refused);
    }
    auto sent = co_await write_message(stream.get(), reply->SerializeAsString());
    if (sent) co_await stream->shutdown();
}

Task<Result<proto::JoinReply>> Admission::admit(proto::JoinRequest request) {
    auto viewed = co_await group_->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const crypto::Issuer issuer, open_issuer(view, secret_));
    if (request.cluster_id() != issuer.ca().cluster().view()) {
        co_return fail(Code::kDenied, "the token is of another cluster");
    }
    const auto node = base::NodeId::from_bytes(request.node().node_id());
    const auto token = crypto::TokenId::from_bytes(request.token_id());
    const auto secret = crypto::Key256::from_bytes(base::as_bytes(request.token_secret()));
    if (!node || node->is_zero() || !token || !secret) {
        co_return fail(Code::kInvalid, "a malformed request");
    }
    auto asked = crypto::SigningRequest::from_der(base::as_bytes(request.signing_request()));
    CO_TRY(asked);
    auto certificate = issuer.issue(keys_, *asked, *node, group_->stamp_now());
    CO_TRY(certificate);
    Command command;
    proto::AdmitNode& admit = *command.mutable_admit_node();
    admit.set_token_id(request.token_id());
    const auto kept = crypto::stored({{*token, *secret}, {}});
    admit.set_secret_hash(std::string(base::as_text(kept.secret_hash)));
    *admit.mutable_node() = request.node();
    admit.mutable_node()->set_public_key(asked->public_key());
    if (!request.replaces().empty()) {
        CO_TRY_ASSIGN(*admit.mutable_node()->mutable_replaces(),
                      replaced_by(view, request.replaces()));
    }
    auto proposed = co_await group_->propose(std::move(command));
    CO_TRY_ASSIGN(const Answer answer, proposed);
    if (answer.status() != Answer::OK) co_return std::unexpected(refusal(answer));
    auto viewed_after = co_await group_->view();
    CO_TRY_ASSIGN(const meta::View after, viewed_after);
    CO_TRY_ASSIGN(const auto nodes, after.nodes());
    proto::JoinReply reply;
    reply.set_certificate(certificate->der());
    reply.set_ca_certificate(issuer.ca().certificate().der());
    reply.set_cluster_secret(std::string(base::as_text(secret_.bytes())));
    reply.mutable_acquaintances()->set_stamp_ms(group_->stamp_now());
    CO_TRY_ASSIGN(const auto trust, after.trust());
    if (trust) reply.mutable_acquaintances()->set_founder(trust->founder());
    for (const proto::Node& member : nodes) *reply.mutable_acquaintances()->add_nodes() = member;
    LOG_INFO("cluster", "admitted node {} ({}) at {}", request.node().name(), node->hex(),
             request.node().address());
    co_return reply;
}

}  // namespace hamster::cluster
