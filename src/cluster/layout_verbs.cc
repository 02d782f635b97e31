// What people ask of the layout: how it is, and drain, undrain, optimize and set-profile.
#include <algorithm>
#include <utility>

#include "cluster/layout_keeper.h"
#include "placement/profile.h"

namespace hamster::cluster {

using proto::ClusterStatus;
using proto::Command;
using proto::LayoutStatus;
using runtime::Task;

namespace {

std::string name_of(const LayoutRows& rows, const NodeId& node) {
    const proto::Node* row = rows.find(node);
    return row == nullptr ? node.hex() : row->name();
}

Error no_member(const NodeId& node) {
    return {Code::kNotFound, "node " + node.hex() + " is no member any more"};
}

// Bytes of blobs that are of none of the geometries that the profile makes: what re-encoding reads
// at least.
std::uint64_t bytes_of_others(const LayoutRows& rows, Profile profile) {
    std::uint64_t bytes = 0;
    for (const auto& [k, m, count] : rows.live) {
        const Profile is{k, m};
        if (is != profile && is != placement::small_copies(profile)) bytes += count.bytes();
    }
    return bytes;
}

std::uint64_t blobs_without_parity(const LayoutRows& rows) {
    std::uint64_t blobs = 0;
    for (const auto& geometry : rows.live) {
        blobs += geometry.m == 0 ? geometry.count.blobs() : 0;
    }
    return blobs;
}

Command set_leaving(const NodeId& node, bool leaving) {
    Command command;
    command.mutable_set_leaving()->set_node_id(std::string(node.view()));
    command.mutable_set_leaving()->set_leaving(leaving);
    return command;
}

std::uint32_t count_of(const std::map<NodeId, std::uint32_t>& counts, const NodeId& node) {
    const auto found = counts.find(node);
    return found == counts.end() ? 0 : found->second;
}

LayoutStatus status_of(const LayoutRows& rows) {
    LayoutStatus status;
    *status.mutable_layout() = rows.layout;
    status.set_slots_moving(rows.places->moving);
    status.set_is_degraded(rows.is_degraded);
    for (const auto& [k, m, count] : rows.live) {
        LayoutStatus::Geometry& geometry = *status.add_geometries();
        geometry.set_k(k);
        geometry.set_m(m);
        geometry.set_blobs(count.blobs());
        geometry.set_bytes(count.bytes());
    }
    return status;
}

}  // namespace

// ---- how it is ------------------------------------------------------------------------------

Task<Result<ClusterStatus>> LayoutKeeper::complete(ClusterStatus status) {
    auto read_now = co_await read();
    CO_TRY_ASSIGN(const LayoutRows rows, read_now);
    CO_TRY_ASSIGN(const LayoutFacts facts, layout_facts(rows, seen_(), false));
    LayoutStatus& layout = *status.mutable_layout();
    layout = status_of(rows);
    auto work = [rows, up = up_now()] { return tolerance_of(rows, up); };
    const placement::Tolerance tolerance =
        co_await runtime::run_blocking(&control_->pool, std::move(work));
    layout.set_tolerated_zones(tolerance.zones);
    layout.set_tolerated_hosts(tolerance.hosts);
    layout.set_tolerated_nodes(tolerance.nodes);
    if (is_walked(rows.layout)) {
        layout.set_is_reencoding_known(true);
        layout.set_reencode_blobs(walk_->left.blobs);
        layout.set_reencode_bytes(walk_->left.bytes);
    }
    layout.set_hindrance(layout_hindrance(facts));
    for (ClusterStatus::Member& member : *status.mutable_members()) {
        const NodeId id = NodeId::from_bytes(member.node().node_id()).value_or(NodeId{});
        member.set_slots(count_of(rows.places->held, id));
        member.set_slots_owed(count_of(rows.places->owed, id));
    }
    co_return status;
}

std::string why_missed(const LayoutRows& rows, const NodeId& node) {
    const auto blobs = rows.blobs.find(node);
    if (blobs != rows.blobs.end()) {
        return fmt::format("{} blobs lie on {} only", blobs->second, name_of(rows, node));
    }
    if (rows.layout.version() == 0 && rows.nodes.size() > 1) {
        return "the first layout is about to be made";
    }
    if (rows.layout.version() > 0 && !rows.places->held.contains(node) &&
        !rows.places->owed.contains(node)) {
        return {};  // nothing lies on it
    }
    if (rows.places->moving > 0) {
        return fmt::format("shards are being moved: {} slots are not complete yet",
                           rows.places->moving);
    }
    if (rows.is_degraded) return "objects lack shards, which are being rebuilt";
    if (const std::uint64_t bare = blobs_without_parity(rows); bare > 0 && rows.nodes.size() > 1) {
        return fmt::format("{} blobs have no redundancy; see `hamster optimize`", bare);
    }
    return {};
}

std::string why_not_removed(const LayoutRows& rows, const NodeId& node) {
    if (rows.is_empty(node)) return {};
    const std::string name = name_of(rows, node);
    const proto::Node* row = rows.find(node);
    const std::uint32_t slots = rows.slots_on(node);
    if (row != nullptr && !row->leaving() && slots > 0) {
        return fmt::format("{0} holds objects, or has a place for them: `hamster drain {0}` first",
                           name);
    }
    if (slots > 0) {
        return fmt::format(
            "{} is not empty yet: {} of its slots are to be moved, see `hamster "
            "status`",
            name, slots);
    }
    return fmt::format(
        "{} still holds {} blobs that lie nowhere else: wait until they have been "
        "copied, or delete their objects",
        name, rows.blobs.at(node));
}

std::string why_not_given_up(const LayoutRows& rows, const NodeId& node) {
    const proto::Node* row = rows.find(node);
    if (row == nullptr || row->leaving() || rows.is_empty(node)) return {};
    return fmt::format(
        "`hamster drain {0}` first: what lies on it is rebuilt from the other nodes, and only what "
        "cannot be is left to give up",
        row->name());
}

// ---- drain, undrain -------------------------------------------------------------------------

Result<DrainPlan> plan_drain(const LayoutRows& rows, const NodeId& node) {
    const proto::Node* row = rows.find(node);
    if (row == nullptr) return std::unexpected(no_member(node));
    DrainPlan plan;
    plan.is_leaving = row->leaving();
    plan.nodes = rows.staying() - (row->leaving() ? 0 : 1);
    if (plan.nodes == 0) {
        return fail(Code::kPrecondition, "no node would be left to take what lies on " +
                                             row->name() + ": add one first");
    }
    plan.from = rows.profile();
    plan.to = placement::profile_for(plan.nodes);
    if (!rows.layout.pinned().empty()) {
        TRY_ASSIGN(plan.to, placement::parse_profile(rows.layout.pinned()));
        if (plan.to.width() > plan.nodes) {
            return fail(Code::kPrecondition,
                        fmt::format("without {} only {} nodes are left, too few for the chosen "
                                    "profile {}: add a node, or choose another one with `hamster "
                                    "set-profile`",
                                    row->name(), plan.nodes, rows.layout.pinned()));
        }
    }
    // The layout has not followed newcomers yet: nothing becomes less.
    if (plan.to.width() > plan.from.width()) plan.to = plan.from;
    if (rows.widest() > plan.nodes) plan.bytes = bytes_of_others(rows, plan.to);
    return plan;
}

Task<Result<DrainPlan>> LayoutKeeper::drain(NodeId node, bool agreed) {
    auto read_now = co_await read();
    CO_TRY_ASSIGN(const LayoutRows rows, read_now);
    CO_TRY_ASSIGN(const DrainPlan plan, plan_drain(rows, node));
    if (plan.is_leaving || (plan.must_ask() && !agreed)) co_return plan;
    auto done = co_await propose(set_leaving(node, true));
    CO_TRY(done);
    co_return plan;
}

Task<Result<void>> LayoutKeeper::undrain(NodeId node) {
    auto read_now = co_await read();
    CO_TRY_ASSIGN(const LayoutRows rows, read_now);
    const proto::Node* row = rows.find(node);
    if (row == nullptr) co_return std::unexpected(no_member(node));
    for (const proto::Node& other : rows.nodes) {
        if (other.replaces() != row->node_id()) continue;
        co_return fail(Code::kPrecondition,
                       fmt::format("{} takes the place of {}: to keep both, remove {} and let it "
                                   "join anew without -replaces",
                                   other.name(), row->name(), other.name()));
    }
    if (!row->leaving()) co_return Result<void>{};
    auto done = co_await propose(set_leaving(node, false));
    co_return done;
}

// ---- optimize, set-profile ------------------------------------------------------------------

Task<Result<Reencoding>> LayoutKeeper::look() {
    auto viewed = co_await replica_->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const proto::Layout layout, view.layout());
    Reencoding now;
    now.profile = Profile{layout.k(), layout.m()};
    auto counted = co_await count_left(view, now.profile);
    CO_TRY_ASSIGN(now.left, counted);
    if (layout.has_reencode()) {
        const proto::Reencode& row = layout.reencode();
        now.is_running = Profile{row.k(), row.m()} == now.profile;
        now.bytes_at_start = row.bytes_at_start();
    }
    co_return now;
}

Task<Result<Reencoding>> LayoutKeeper::optimize() {
    auto looked = co_await look();
    CO_TRY_ASSIGN(Reencoding now, looked);
    if (now.is_running || now.left.blobs == 0) co_return now;
    Command command;
    proto::Reencode& reencode = *command.mutable_set_reencode()->mutable_reencode();
    reencode.set_k(now.profile.k);
    reencode.set_m(now.profile.m);
    reencode.set_bytes_at_start(now.left.bytes);
    auto done = co_await propose(std::move(command));
    CO_TRY(done);
    now.is_running = true;
    now.bytes_at_start = now.left.bytes;
    co_return now;
}

Task<Result<void>> LayoutKeeper::stop_optimizing() {
    auto read_now = co_await read();
    CO_TRY_ASSIGN(const LayoutRows rows, read_now);
    if (!rows.layout.has_reencode()) co_return Result<void>{};
    if (rows.widest() > rows.staying()) {
        co_return fail(Code::kPrecondition,
                       "a node that is leaving needs it: `hamster undrain` it first");
    }
    Command command;
    command.mutable_set_reencode();
    auto done = co_await propose(std::move(command));
    co_return done;
}

Task<Result<Profile>> LayoutKeeper::set_profile(std::string profile) {
    auto read_now = co_await read();
    CO_TRY_ASSIGN(const LayoutRows rows, read_now);
    const bool is_auto = profile == "auto";
    Profile next = placement::profile_for(std::max<std::size_t>(rows.staying(), 1));
    if (!is_auto) {
        auto parsed = placement::parse_profile(profile);
        if (!parsed) co_return fail(Code::kInvalid, parsed.error().context + ", or auto");
        next = *parsed;
    }
    if (next.width() > rows.staying()) {
        co_return fail(Code::kPrecondition,
                       fmt::format("{} needs {} nodes and there are {} that stay: add nodes first",
                                   profile, next.width(), rows.staying()));
    }
    Command command;
    command.mutable_set_profile()->set_pinned(is_auto ? std::string() : profile);
    auto done = co_await propose(std::move(command));
    CO_TRY(done);
    co_return next;
}

}  // namespace hamster::cluster
