// What the operator asks of the layout, and a layout that nobody would ask for.
#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "base/partitions.h"
#include "cluster/keeper.h"
#include "cluster_world.h"
#include "placement/encoding.h"
#include "placement/table.h"

namespace hamster::simulation {

namespace {

using Done = std::shared_ptr<Errand>;

void end(const Done& errand, std::optional<Error> error) {
    errand->error = std::move(error);
    errand->is_done = true;
}

template <class Value>
std::optional<Error> error_of(const Result<Value>& result) {
    return result ? std::nullopt : std::optional(result.error());
}

Task<void> drain_node(Process* process, base::NodeId node, Done errand) {
    auto done = co_await process->node->cluster().keeper().layout().drain(node, true);
    end(errand, error_of(done));
}

Task<void> undrain_node(Process* process, base::NodeId node, Done errand) {
    auto done = co_await process->node->cluster().keeper().layout().undrain(node);
    end(errand, error_of(done));
}

Task<void> give_up_node(Process* process, base::NodeId node, Done errand) {
    auto done = co_await process->node->cluster().keeper().remove_lost(node, true);
    end(errand, error_of(done));
}

Task<void> choose_profile(Process* process, std::string profile, Done errand) {
    auto done = co_await process->node->cluster().keeper().layout().set_profile(std::move(profile));
    end(errand, error_of(done));
}

Task<void> begin_optimizing(Process* process, Done errand) {
    auto done = co_await process->node->cluster().keeper().layout().optimize();
    end(errand, error_of(done));
}

// The layout of the view; in every second partition two slots swap their nodes.
Result<proto::Command> swapped(const meta::View& view, std::uint64_t dice) {
    TRY_ASSIGN(const proto::Layout layout, view.layout());
    if (layout.version() == 0 || layout.width() < 2) {
        return fail(Code::kPrecondition, "there are no slots to swap");
    }
    placement::Table table = placement::Table::of_width(layout.width());
    for (std::uint16_t partition = 0; partition < base::partitions(); ++partition) {
        TRY_ASSIGN(meta::PartitionPlaces places, view.places(partition));
        if (places.nodes.size() != layout.width()) return fail(Code::kCorrupt, "a narrow row");
        const std::uint64_t own = dice + partition / 2;
        const std::size_t one = own % layout.width();
        const std::size_t other = (one + 1 + own / 7 % (layout.width() - 1)) % layout.width();
        if (partition % 2 == dice % 2) std::swap(places.nodes[one], places.nodes[other]);
        for (std::uint8_t slot = 0; slot < layout.width(); ++slot) {
            table.set({partition, slot}, places.nodes[slot]);
        }
    }
    proto::Command command;
    command.mutable_set_layout()->set_expected_version(layout.version());
    command.mutable_set_layout()->set_k(layout.k());
    command.mutable_set_layout()->set_m(layout.m());
    command.mutable_set_layout()->set_table(placement::encode(table));
    return command;
}

Task<void> propose_swap(Process* process, std::uint64_t dice, Done errand) {
    meta::Group& group = process->node->objects().router().system();
    auto viewed = co_await group.view();
    auto command = viewed ? swapped(*viewed, dice) : std::unexpected(viewed.error());
    if (!command) co_return end(errand, command.error());
    auto proposed = co_await group.propose(std::move(*command));
    if (proposed && proposed->status() != proto::Answer::OK) {
        co_return end(errand, Error{Code::kPrecondition, proposed->detail()});
    }
    end(errand, error_of(proposed));
}

}  // namespace

void SimCluster::ask(Member* asked, std::string what, Task<void> task,
                     std::shared_ptr<Errand> errand, std::string_view point) {
    say(fmt::format("{} is asked to {}", asked->name(), what));
    run_errand(*asked, std::move(errand), std::move(task),
               [this, what, point = std::string(point)](const Errand& done) {
                   say(what + ": " + (done.error ? done.error->context : "done"));
                   report_->reached(point + (done.error ? ".refused" : ".done"));
               });
}

void SimCluster::swap_slots() {
    Member* const asked = any_serving();
    if (asked == nullptr) return;
    auto errand = std::make_shared<Errand>();
    ask(asked, "swap slots", propose_swap(asked->process(), random_.next(), errand), errand,
        "slots-move");
}

void SimCluster::drain(Member& target) {
    Member* const asked = any_serving();
    if (asked == nullptr || target.id.is_zero() || target.is_removed) return;
    auto errand = std::make_shared<Errand>();
    ask(asked, "drain " + target.name(), drain_node(asked->process(), target.id, errand), errand,
        "drain");
}

void SimCluster::undrain(Member& target) {
    Member* const asked = has_healed ? leader() : any_serving();
    if (asked == nullptr || target.id.is_zero() || target.is_removed) return;
    auto errand = std::make_shared<Errand>();
    ask(asked, "undrain " + target.name(), undrain_node(asked->process(), target.id, errand),
        errand, "undrain");
}

void SimCluster::set_profile() {
    constexpr std::array<std::string_view, 6> kProfiles = {"auto", "1+1", "2+1",
                                                           "3+2",  "4+2", "auto"};
    Member* const asked = any_serving();
    if (asked == nullptr) return;
    const std::string profile(kProfiles[below(kProfiles.size())]);
    auto errand = std::make_shared<Errand>();
    ask(asked, "set profile " + profile, choose_profile(asked->process(), profile, errand), errand,
        "profile");
}

void SimCluster::optimize() {
    Member* const asked = any_serving();
    if (asked == nullptr) return;
    auto errand = std::make_shared<Errand>();
    ask(asked, "optimize", begin_optimizing(asked->process(), errand), errand, "optimize");
}

void SimCluster::may_give_up(Member& member) {
    constexpr std::uint64_t kPercent = 30;
    constexpr std::uint64_t kWithinMs = 30'000;
    member.gives_up_at.reset();
    if (giving_up_.below(100) >= kPercent) return;
    const auto ms = static_cast<std::int64_t>(giving_up_.below(kWithinMs));
    member.gives_up_at = now() + std::chrono::milliseconds(ms);
}

// Refused until it was drained, which begins when somebody is there to take its places.
void SimCluster::give_up(Member& member) {
    if (!member.gives_up_at || now() < *member.gives_up_at) return;
    Member* const asked = has_healed ? leader() : any_serving();
    if (asked == nullptr) return;
    member.gives_up_at.reset();
    say(fmt::format("{} is asked to give up what {} was", asked->name(), member.name()));
    auto errand = std::make_shared<Errand>();
    auto task = give_up_node(asked->process(), member.former, errand);
    run_errand(*asked, errand, std::move(task), [this, &member](const Errand& done) {
        say("give up: " + (done.error ? done.error->context : std::string("done")));
        report_->reached(done.error ? "give-up.refused" : "give-up.done");
        const bool is_again = done.error && member.gives_up_at == std::nullopt;
        if (is_again && giving_up_.below(4) > 0)
            member.gives_up_at = now() + std::chrono::seconds(2);
    });
}

// A machine that is not a member yet joins in the place of one that is.
void SimCluster::replace(const Member& target) {
    if (target.id.is_zero() || target.is_removed) return;
    for (const auto& member : members_) {
        if (member->has_begun || member->is_on()) continue;
        say(fmt::format("{} is to replace {}", member->name(), target.name()));
        report_->reached("replace.begun");
        member->set_replaces(target.id);
        member->has_begun = true;
        return;
    }
}

}  // namespace hamster::simulation
