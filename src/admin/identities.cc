#include "admin/identities.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/seal.h"

namespace hamster::admin {

using runtime::Task;

namespace {

constexpr std::size_t kAccessKeyIdChars = 20;
constexpr std::size_t kSecretChars = 40;
constexpr std::size_t kMaxNameChars = 64;
constexpr std::size_t kMinRootSecretChars = 8;
constexpr std::string_view kIdAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kSecretAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

// Uniform: bytes that would make the first characters likelier are drawn again.
std::string random_text(crypto::KeySource* keys, std::string_view alphabet, std::size_t length) {
    const std::size_t fair = 256 - 256 % alphabet.size();
    std::string text;
    while (text.size() < length) {
        std::array<std::byte, 64> bytes{};
        keys->fill(bytes);
        for (const std::byte byte : bytes) {
            const auto value = std::to_integer<std::size_t>(byte);
            if (value < fair && text.size() < length) text += alphabet[value % alphabet.size()];
        }
    }
    return text;
}

// Pairs printed in manuals and shipped as defaults; either half is enough to be guessed.
constexpr std::string_view kWellKnown[] = {
    "minioadmin",
    "minio123",
    "rustfsadmin",
    "admin",
    "administrator",
    "password",
    "password123",
    "changeme",
    "changeit",
    "secret",
    "secretkey",
    "accesskey",
    "access-key",
    "secret-key",
    "12345678",
    "123456789",
    "1234567890",
    "adminadmin",
    "testtest",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
};

bool is_well_known(std::string_view text) {
    return std::ranges::find(kWellKnown, text) != std::end(kWellKnown);
}

constexpr std::string_view kHowToSet =
    "set HAMSTER_ACCESS_KEY_ID and HAMSTER_SECRET_ACCESS_KEY to a pair of your own, for example: "
    "export HAMSTER_ACCESS_KEY_ID=hamster HAMSTER_SECRET_ACCESS_KEY=$(openssl rand -hex 20)";

std::unexpected<Error> bad_root(std::string_view why) {
    return fail(Code::kInvalid, fmt::format("{}: {}", why, kHowToSet));
}

Result<void> to_result(const proto::Answer& answer) {
    switch (answer.status()) {
        case proto::Answer::OK:
            return {};
        case proto::Answer::USER_EXISTS:
            return fail(Code::kAlreadyExists, "the user exists already");
        case proto::Answer::NO_SUCH_USER:
            return fail(Code::kNotFound, "there is no such user");
        case proto::Answer::NO_SUCH_CREDENTIAL:
            return fail(Code::kNotFound, "there is no such access key");
        case proto::Answer::USER_OWNS_BUCKETS:
            return fail(Code::kPrecondition, answer.detail() + ": delete it first");
        default:
            return fail(Code::kInvalid, "the change was refused: " + answer.detail());
    }
}

}  // namespace

std::string seal_context(std::string_view access_key_id, std::string_view user_id) {
    return fmt::format("credential\n{}\n{}", access_key_id, user_id);
}

Result<void> check_user_name(std::string_view name) {
    constexpr std::string_view kAllowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+-";
    const bool is_good = !name.empty() && name.size() <= kMaxNameChars && name != "root" &&
                         !name.starts_with('-') &&
                         name.find_first_not_of(kAllowed) == std::string_view::npos;
    if (is_good) return {};
    return fail(
        Code::kInvalid,
        fmt::format("a user name has 1 to {} letters, digits and . _ @ + - (not first), and is "
                    "not `root`",
                    kMaxNameChars));
}

Result<void> check_root_credential(std::string_view access_key_id,
                                   std::string_view secret_access_key) {
    if (access_key_id.empty()) return bad_root("HAMSTER_ACCESS_KEY_ID is not set");
    if (secret_access_key.empty()) return bad_root("HAMSTER_SECRET_ACCESS_KEY is not set");
    if (secret_access_key.size() < kMinRootSecretChars) {
        return bad_root(fmt::format("HAMSTER_SECRET_ACCESS_KEY is shorter than {} characters",
                                    kMinRootSecretChars));
    }
    if (access_key_id.find_first_of("/ \t\r\n,=") != std::string_view::npos) {
        return bad_root("HAMSTER_ACCESS_KEY_ID may not hold spaces, commas, '/' or '='");
    }
    if (is_well_known(secret_access_key) || access_key_id == "AKIAIOSFODNN7EXAMPLE" ||
        access_key_id == secret_access_key) {
        return bad_root("this key pair is well known or easily guessed");
    }
    return {};
}

Task<Result<void>> Identities::propose(proto::Command command) {
    auto proposed = co_await router_->system().propose(std::move(command));
    generation_.fetch_add(1);  // also after an unknown outcome: it may have happened
    CO_TRY_ASSIGN(const proto::Answer answer, proposed);
    co_return to_result(answer);
}

Task<Result<proto::User>> Identities::user_named(std::string name) {
    auto viewed = co_await router_->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(std::optional<proto::User> user, view.user_by_name(name));
    if (!user) co_return fail(Code::kNotFound, fmt::format("there is no user `{}`", name));
    co_return std::move(*user);
}

Task<Result<KeyPair>> Identities::create_user(std::string name) {
    CO_TRY(check_user_name(name));
    base::UserId id;
    keys_->fill(base::MutableBytes(id.raw.data(), id.raw.size()));
    proto::User user;
    user.set_user_id(std::string(id.view()));
    user.set_name(name);
    proto::Command command;
    *command.mutable_put_user()->mutable_user() = user;
    auto put = co_await propose(std::move(command));
    CO_TRY(put);
    auto pair = co_await create_key_for(std::move(user));
    co_return pair;
}

Task<Result<KeyPair>> Identities::create_key(std::string name) {
    auto user = co_await user_named(std::move(name));
    CO_TRY_ASSIGN(proto::User found, user);
    auto pair = co_await create_key_for(std::move(found));
    co_return pair;
}

Task<Result<KeyPair>> Identities::create_key_for(proto::User user) {
    KeyPair pair{random_text(keys_, kIdAlphabet, kAccessKeyIdChars),
                 random_text(keys_, kSecretAlphabet, kSecretChars)};
    proto::Command command;
    proto::Credential* credential = command.mutable_put_credential()->mutable_credential();
    credential->set_access_key_id(pair.access_key_id);
    credential->set_user_id(user.user_id());
    const std::string context = seal_context(pair.access_key_id, user.user_id());
    credential->set_sealed_secret(crypto::seal(
        keys_, cluster_secret_, base::as_bytes(pair.secret_access_key), base::as_bytes(context)));
    auto put = co_await propose(std::move(command));
    CO_TRY(put);
    co_return pair;
}

Task<Result<std::vector<UserRow>>> Identities::users() {
    auto viewed = co_await router_->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(std::vector<proto::User> found, view.users());
    std::vector<UserRow> rows;
    for (proto::User& user : found) {
        const auto id = base::UserId::from_bytes(user.user_id());
        if (!id) co_return fail(Code::kCorrupt, "a user row holds a malformed id");
        CO_TRY_ASSIGN(const auto credentials, view.credentials_of(*id));
        UserRow row{std::move(user), {}};
        for (const auto& credential : credentials)
            row.access_key_ids.push_back(credential.access_key_id());
        rows.push_back(std::move(row));
    }
    std::ranges::sort(rows, {}, [](const UserRow& row) { return row.user.name(); });
    co_return rows;
}

Task<Result<void>> Identities::set_disabled(std::string name, bool disabled) {
    auto user = co_await user_named(std::move(name));
    CO_TRY_ASSIGN(proto::User found, user);
    if (found.disabled() == disabled) co_return Result<void>{};
    found.set_disabled(disabled);
    proto::Command command;
    *command.mutable_put_user()->mutable_user() = std::move(found);
    auto put = co_await propose(std::move(command));
    co_return put;
}

Task<Result<void>> Identities::delete_user(std::string name) {
    auto user = co_await user_named(std::move(name));
    CO_TRY_ASSIGN(const proto::User found, user);
    proto::Command command;
    command.mutable_delete_user()->set_user_id(found.user_id());
    auto deleted = co_await propose(std::move(command));
    co_return deleted;
}

Task<Result<void>> Identities::revoke_key(std::string access_key_id) {
    proto::Command command;
    command.mutable_delete_credential()->set_access_key_id(access_key_id);
    auto deleted = co_await propose(std::move(command));
    co_return deleted;
}

Result<std::string> Identities::secret_of(const proto::Credential& credential) const {
    const std::string context = seal_context(credential.access_key_id(), credential.user_id());
    return crypto::open(cluster_secret_, base::as_bytes(credential.sealed_secret()),
                        base::as_bytes(context));
}

}  // namespace hamster::admin
