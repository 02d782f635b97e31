#include "admin/credentials.h"

#include <utility>

namespace hamster::admin {

using runtime::Task;

namespace {
// Opened secrets kept; beyond that the cache starts over. More active users than this per loop only
// cost one metadata look-up per request.
constexpr std::size_t kMaxKnown = 4096;
}  // namespace

Task<Result<std::optional<s3::Credential>>> Credentials::find(std::string access_key_id) {
    if (access_key_id == root_.access_key_id) {
        s3::Identity root{base::UserId{}, "root", root_.access_key_id};
        co_return s3::Credential{root_.secret_access_key, std::move(root)};
    }
    // Read before the view: a change after this moment makes what is found here outdated.
    const std::uint64_t generation = identities_->generation();
    if (generation_ != generation) {
        known_.clear();
        generation_ = generation;
    }
    const auto known = known_.find(access_key_id);
    if (known != known_.end()) co_return known->second;

    auto viewed = co_await router_->system().view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const auto credential, view.credential(access_key_id));
    if (!credential) co_return std::nullopt;
    const auto user_id = base::UserId::from_bytes(credential->user_id());
    if (!user_id) co_return fail(Code::kCorrupt, "a credential row holds a malformed user id");
    CO_TRY_ASSIGN(const auto user, view.user(*user_id));
    if (!user || user->disabled()) co_return std::nullopt;
    CO_TRY_ASSIGN(std::string secret, identities_->secret_of(*credential));
    s3::Credential found{std::move(secret), {*user_id, user->name(), access_key_id}};
    if (generation_ == generation) {
        if (known_.size() >= kMaxKnown) known_.clear();
        known_.insert_or_assign(access_key_id, found);
    }
    co_return found;
}

}  // namespace hamster::admin
