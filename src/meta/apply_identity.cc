#include "meta/apply_parts.h"
#include "meta/keyspace.h"

namespace hamster::meta {

namespace {
using Answer = proto::Answer;
}  // namespace

// Creates a user or changes one: its name, whether it is disabled.
Answered apply_put_user(Txn& txn, const proto::PutUser& command) {
    proto::User user = command.user();
    const auto id = UserId::from_bytes(user.user_id());
    if (!id || id->is_zero() || user.name().empty()) {
        return refuse(Answer::INVALID_REQUEST, "malformed user");
    }
    TRY_ASSIGN(const auto holder, txn.get(user_name_row(user.name())));
    if (holder && *holder != user.user_id()) return refuse(Answer::USER_EXISTS);
    TRY_ASSIGN(const auto old, txn.load<proto::User>(user_row(*id)));
    if (old && old->name() != user.name()) txn.erase(user_name_row(old->name()));
    user.set_created_ms(old ? old->created_ms() : txn.stamp_ms());
    txn.put(user_name_row(user.name()), user.user_id());
    txn.put(user_row(*id), user);
    return Answer{};
}

// Takes the user's credentials with it. A user who owns buckets stays: nobody else could be told
// whose they are.
Answered apply_delete_user(Txn& txn, const proto::DeleteUser& command) {
    const auto id = UserId::from_bytes(command.user_id());
    if (!id) return refuse(Answer::INVALID_REQUEST, "malformed user id");
    TRY_ASSIGN(const auto user, txn.load<proto::User>(user_row(*id)));
    if (!user) return refuse(Answer::NO_SUCH_USER);
    const std::string owned = buckets_of_owner(*id);
    TRY_ASSIGN(const auto buckets, txn.scan(owned, after_prefix(owned), 1));
    if (!buckets.empty()) {
        return refuse(Answer::USER_OWNS_BUCKETS,
                      "the user owns bucket " + buckets.front().key.substr(owned.size()));
    }
    // Credentials are few: all of them are looked through rather than indexed by user.
    const std::string all = table_prefix(Table::kCredential);
    TRY_ASSIGN(const auto rows, txn.scan(all, after_prefix(all), SIZE_MAX));
    for (const Txn::Row& row : rows) {
        proto::Credential credential;
        if (!credential.ParseFromString(row.value)) return Txn::corrupt_row(row.key);
        if (credential.user_id() == command.user_id()) txn.erase(row.key);
    }
    txn.erase(user_name_row(user->name()));
    txn.erase(user_row(*id));
    return Answer{};
}

Answered apply_put_credential(Txn& txn, const proto::PutCredential& command) {
    proto::Credential credential = command.credential();
    const auto user = UserId::from_bytes(credential.user_id());
    if (!user || credential.access_key_id().empty() || credential.sealed_secret().empty()) {
        return refuse(Answer::INVALID_REQUEST, "malformed credential");
    }
    // Root's only key pair comes from the environment.
    TRY_ASSIGN(const bool known, txn.exists(user_row(*user)));
    if (!known) return refuse(Answer::NO_SUCH_USER);
    const std::string row = credential_row(credential.access_key_id());
    TRY_ASSIGN(const auto old, txn.load<proto::Credential>(row));
    if (old && old->user_id() != credential.user_id()) {
        return refuse(Answer::INVALID_REQUEST, "the access key id is taken");
    }
    credential.set_created_ms(old ? old->created_ms() : txn.stamp_ms());
    txn.put(row, credential);
    return Answer{};
}

Answered apply_delete_credential(Txn& txn, const proto::DeleteCredential& command) {
    const std::string row = credential_row(command.access_key_id());
    TRY_ASSIGN(const bool there, txn.exists(row));
    if (!there) return refuse(Answer::NO_SUCH_CREDENTIAL);
    txn.erase(row);
    return Answer{};
}

Answered apply_found_cluster(Txn& txn, const proto::FoundCluster& command) {
    if (command.info().cluster_id().size() != 16) {
        return refuse(Answer::INVALID_REQUEST, "malformed cluster id");
    }
    const std::string row = system_row("cluster");
    TRY_ASSIGN(const bool founded, txn.exists(row));
    if (founded) return refuse(Answer::INVALID_REQUEST, "the cluster is founded already");
    proto::ClusterInfo info = command.info();
    info.set_created_ms(txn.stamp_ms());
    txn.put(row, info);
    return Answer{};
}

}  // namespace hamster::meta
