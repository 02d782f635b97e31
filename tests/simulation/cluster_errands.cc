// What the operator asks of the nodes.
#include <fmt/format.h>

#include <utility>

#include "cluster/admission.h"
#include "cluster/keeper.h"
#include "cluster_world.h"
#include "crypto/join_token.h"

namespace hamster::simulation {

using runtime::Micros;
using std::chrono::seconds;

namespace {

constexpr Micros kErrandPatience = seconds(60);
constexpr std::uint64_t kTokenLifeMs = 24ULL * 3600 * 1000;

Task<void> mint(Process* process, std::string address, std::uint64_t life_ms,
                std::shared_ptr<Errand> errand) {
    auto minted = co_await process->node->cluster().admission().mint(life_ms, std::move(address));
    if (minted) {
        errand->text = minted->text;
    } else {
        errand->error = minted.error();
    }
    errand->is_done = true;
}

Task<void> hand_over(Process* process, base::NodeId to, std::shared_ptr<Errand> errand) {
    auto done = co_await process->node->cluster().keeper().transfer(to);
    if (!done) errand->error = done.error();
    errand->is_done = true;
}

Task<void> take_out(Process* process, base::NodeId node, std::shared_ptr<Errand> errand) {
    auto done = co_await process->node->cluster().keeper().remove(node);
    if (!done) errand->error = done.error();
    errand->is_done = true;
}

}  // namespace

void SimCluster::run_errand(Member& on, std::shared_ptr<Errand> errand, Task<void> task,
                            std::function<void(const Errand&)> then) {
    Process* const process = on.process();
    runtime::spawn(process->world->executor, process->gate, "errand", std::move(task));
    pending_.push_back({std::move(errand), &on, on.lives(), now(), std::move(then)});
}

void SimCluster::look_after_errands() {
    std::vector<Pending> ended;
    std::erase_if(pending_, [&](Pending& pending) {
        if (pending.on->is_paused()) pending.since = now();  // it goes on with it afterwards
        const bool is_lost = !pending.on->is_on() || pending.on->lives() != pending.lives ||
                             now() - pending.since > kErrandPatience;
        if (!pending.errand->is_done && !is_lost) return false;
        if (!pending.errand->is_done) {
            pending.errand->error = Error{Code::kUnknownOutcome, "never answered"};
        }
        ended.push_back(std::move(pending));
        return true;
    });
    for (const Pending& pending : ended) pending.then(*pending.errand);
}

void SimCluster::ask_for_token(Member& member) {
    if (member.asks_token) return;
    Member* const from = any_serving();
    if (from == nullptr || from->is_paused()) return;
    member.asks_token = true;
    auto errand = std::make_shared<Errand>();
    auto task = mint(from->process(), from->cluster_address(), kTokenLifeMs, errand);
    run_errand(*from, errand, std::move(task), [this, &member](const Errand& done) {
        member.asks_token = false;
        if (done.error) say("no token for " + member.name() + ": " + done.error->context);
        if (!done.error) member.token = done.text;
    });
}

void SimCluster::transfer() {
    Member* const asked = any_serving();
    Member* const heir = any_serving();
    if (asked == nullptr) return;
    const base::NodeId to = chance(50) ? heir->id : base::NodeId{};
    say(fmt::format("{} is asked that {} leads", asked->name(),
                    to.is_zero() ? "any" : heir->name()));
    auto errand = std::make_shared<Errand>();
    run_errand(*asked, errand, hand_over(asked->process(), to, errand), [this](const Errand& done) {
        say("transfer: " + (done.error ? done.error->context : "done"));
        report_->reached(done.error ? "transfer.refused" : "transfer.done");
    });
}

void SimCluster::remove() { remove(*members_[below(members_.size())]); }

void SimCluster::remove(Member& target) {
    // Who was removed is asked too, but not once it matters.
    Member* const asked = has_healed ? leader() : any_serving();
    if (asked == nullptr || target.id.is_zero() || target.is_removed) return;
    if (is_heir(target)) return;  // a lost node's places would wait for another one
    say(fmt::format("{} is asked to remove {}", asked->name(), target.name()));
    auto errand = std::make_shared<Errand>();
    auto task = take_out(asked->process(), target.id, errand);
    run_errand(*asked, errand, std::move(task), [this, &target](const Errand& done) {
        say(fmt::format("remove {}: {}", target.name(),
                        done.error ? done.error->context : std::string("done")));
        report_->reached(done.error ? "remove.refused" : "remove.done");
        if (done.error) return;
        target.is_removed = true;
        target.wants_up = chance(50);  // it must not matter
    });
}

void SimCluster::intrude() {
    Member* const from = any_serving();
    if (from == nullptr) return;
    const std::uint64_t kind = below(3);
    // Cluster time stands still while it is ahead of all clocks: then nothing expires.
    if (kind == 1 && clock_jumped) return;
    if (kind == 0 && !used_token_.empty()) return intrude_with(used_token_, "used");
    const std::uint64_t life_ms = kind == 1 ? 1 : kTokenLifeMs;
    auto errand = std::make_shared<Errand>();
    auto task = mint(from->process(), from->cluster_address(), life_ms, errand);
    run_errand(*from, errand, std::move(task), [this, life_ms](const Errand& done) {
        if (done.error) return;
        if (life_ms == 1) return intrude_with(done.text, "expired");
        auto token = crypto::decode(done.text);
        if (!token) return report_->violation("I13", "a token that cannot be read was minted");
        auto secret = crypto::Key256::from_bytes(base::as_bytes(std::string(32, 'x')));
        token->proof.secret = *secret;
        intrude_with(crypto::encode(*token), "wrong");
    });
}

void SimCluster::intrude_with(std::string token, std::string_view kind) {
    for (const auto& member : members_) {
        if (member->has_begun || member->is_on()) continue;
        say(fmt::format("{} tries to join with a token that is {}", member->name(), kind));
        report_->reached(fmt::format("token.{}", kind));
        member->token = std::move(token);
        member->has_bad_token = true;
        member->has_expired_token = kind == "expired";
        member->has_begun = true;
        member->boot_at = now() + std::chrono::milliseconds(10);
        return;
    }
}

}  // namespace hamster::simulation
