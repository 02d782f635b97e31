#include "crypto/certificate.h"
#include "meta/apply_parts.h"
#include "meta/blob_rows.h"
#include "meta/keyspace.h"
#include "meta/limits.h"

namespace hamster::meta {

namespace {

using Answer = proto::Answer;

constexpr std::size_t kSecretHashBytes = 32;  // SHA-256

bool is_trust(const proto::Trust& trust) {
    return !trust.ca_certificate().empty() &&
           trust.ca_certificate().size() <= crypto::kMaxCertificate &&
           !trust.sealed_ca_key().empty() && trust.sealed_ca_key().size() <= kMaxSealedKeyBytes;
}

bool has_expired(const Txn& txn, const proto::JoinToken& token) {
    return token.expires_ms() <= txn.stamp_ms();
}

// Forgets tokens so that there is room for one more. Not sooner: who comes late is told that the
// token has expired, which says more than that nobody knows it. False: no room.
Result<bool> make_room_for_token(Txn& txn) {
    const std::string all = table_prefix(Table::kToken);
    TRY_ASSIGN(const auto rows, txn.scan(all, after_prefix(all), kMaxTokens));
    if (rows.size() < kMaxTokens) return true;
    std::vector<std::string> expired;
    std::vector<std::string> used;
    for (const Txn::Row& row : rows) {
        proto::JoinToken token;
        if (!token.ParseFromString(row.value)) return Txn::corrupt_row(row.key);
        if (has_expired(txn, token)) {
            expired.push_back(row.key);
        } else if (!token.used_by().empty()) {
            used.push_back(row.key);
        }
    }
    auto& forgotten = expired.empty() ? used : expired;
    for (std::string& row : forgotten) {
        txn.erase(std::move(row));
    }
    return !forgotten.empty();
}

// The node is a member already. Its own repetition is answered like the first time, whatever has
// become of the token since; whoever else asks under its id is refused.
Answered readmit(Txn& txn, proto::Node member, const proto::AdmitNode& command) {
    if (member.public_key() != command.node().public_key() ||
        member.token_id() != command.token_id()) {
        return refuse(Answer::NODE_EXISTS, "the node id is a member's already");
    }
    return update_member(txn, std::move(member), command.node());
}

Answered admit(Txn& txn, proto::JoinToken token, const proto::AdmitNode& command) {
    if (!token.used_by().empty()) {
        return refuse(Answer::TOKEN_USED, "the token was used by another node: mint a new one");
    }
    if (has_expired(txn, token)) {
        return refuse(Answer::TOKEN_EXPIRED, "the token has expired: mint a new one");
    }
    TRY_ASSIGN(const auto refusal, judge_newcomer(txn, command.node()));
    if (refusal) return *refusal;
    proto::Node node = command.node();
    node.set_token_id(token.token_id());
    token.set_used_by(node.node_id());
    txn.put(token_row(*TokenId::from_bytes(token.token_id())), token);
    put_new_node(txn, std::move(node));
    return Answer{};
}

}  // namespace

Answered apply_found_trust(Txn& txn, const proto::FoundTrust& command) {
    const std::string row = system_row("trust");
    TRY_ASSIGN(const bool founded, txn.exists(row));
    if (founded) return refuse(Answer::TRUST_EXISTS);
    if (!is_trust(command.trust()) || command.trust().founder() != command.founder().node_id()) {
        return refuse(Answer::INVALID_REQUEST, "malformed trust");
    }
    TRY_ASSIGN(const auto refusal, judge_newcomer(txn, command.founder()));
    if (refusal) return *refusal;
    proto::Node founder = command.founder();
    founder.clear_token_id();
    TRY(count_all_blobs_held(txn, *NodeId::from_bytes(founder.node_id())));
    txn.put(row, command.trust());
    put_new_node(txn, std::move(founder));
    return Answer{};
}

Answered apply_put_token(Txn& txn, const proto::PutToken& command) {
    const proto::JoinToken& token = command.token();
    const auto id = TokenId::from_bytes(token.token_id());
    if (!id || token.secret_hash().size() != kSecretHashBytes || !token.used_by().empty()) {
        return refuse(Answer::INVALID_REQUEST, "malformed token");
    }
    if (has_expired(txn, token)) {
        return refuse(Answer::INVALID_REQUEST, "the token would have expired already");
    }
    TRY_ASSIGN(const bool founded, txn.exists(system_row("trust")));
    if (!founded) return refuse(Answer::INVALID_REQUEST, "the cluster has no CA yet");
    const std::string row = token_row(*id);
    TRY_ASSIGN(const bool taken, txn.exists(row));
    if (taken) return refuse(Answer::INVALID_REQUEST, "the token id is taken");
    TRY_ASSIGN(const bool has_room, make_room_for_token(txn));
    if (!has_room) {
        return refuse(Answer::INVALID_REQUEST,
                      std::to_string(kMaxTokens) + " tokens are waiting to be used");
    }
    txn.put(row, token);
    return Answer{};
}

// Who does not know the secret learns nothing, not even whether there is such a token: so that is
// judged first. The hash is of 256 random bits: to compare it byte by byte gives nothing away.
Answered apply_admit_node(Txn& txn, const proto::AdmitNode& command) {
    constexpr const char* kNoSuchToken = "the cluster does not know this token: mint a new one";
    const auto token_id = TokenId::from_bytes(command.token_id());
    if (!token_id) return refuse(Answer::NO_SUCH_TOKEN, kNoSuchToken);
    TRY_ASSIGN(auto token, txn.load<proto::JoinToken>(token_row(*token_id)));
    if (!token || token->secret_hash() != command.secret_hash()) {
        return refuse(Answer::NO_SUCH_TOKEN, kNoSuchToken);
    }
    const auto id = NodeId::from_bytes(command.node().node_id());
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed node id");
    TRY_ASSIGN(const bool removed, txn.exists(removed_node_row(*id)));
    if (removed) return refuse(Answer::NODE_REMOVED, "the node was removed: its id is spent");
    TRY_ASSIGN(auto member, txn.load<proto::Node>(node_row(*id)));
    if (member) return readmit(txn, std::move(*member), command);
    return admit(txn, std::move(*token), command);
}

}  // namespace hamster::meta
