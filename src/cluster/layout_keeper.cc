#include "cluster/layout_keeper.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/log.h"
#include "placement/encoding.h"
#include "placement/movement.h"
#include "placement/profile.h"

namespace hamster::cluster {

using proto::Answer;
using proto::Command;
using runtime::Micros;
using runtime::Task;

namespace {

constexpr Micros kLookEvery = std::chrono::seconds(1);
constexpr Micros kMaxRest = std::chrono::minutes(1);
constexpr Micros kLayoutNap = std::chrono::milliseconds(100);  // how late stop() may be noticed
// All blobs are walked for what is left of a re-encoding; this often, and for one part in so many
// of the time at most.
constexpr Micros kWalkEvery = std::chrono::seconds(2);
constexpr int kWalkPart = 20;
// The same for deciding again what was refused: a large table takes seconds, and slots hours.
constexpr int kRefusedPart = 20;

template <class... Of>
struct Cases : Of... {
    using Of::operator()...;
};

std::string why_of(const LayoutStep& step) {
    return std::visit(Cases{[](const std::monostate&) { return std::string(); },
                            [](const auto& some) { return some.why; }},
                      step);
}

// Nobody leads right now: that takes long to find out, and says nothing of the next time.
bool is_passing(Code code) { return code == Code::kUnavailable || code == Code::kUnknownOutcome; }

}  // namespace

LayoutKeeper::LayoutKeeper(runtime::World* control, meta::Replica* replica, SeenNow seen)
    : control_(control), replica_(replica), seen_(std::move(seen)) {}

void LayoutKeeper::start() {
    runtime::spawn(control_->executor, gate_, "cluster layout", keep_loop());
}

Task<void> LayoutKeeper::stop() {
    stopping_ = true;
    co_await gate_.close();
}

Task<bool> LayoutKeeper::pause(Micros time) {
    while (time.count() > 0 && !stopping_) {
        const Micros nap = std::min(time, kLayoutNap);
        co_await control_->clock.sleep(nap);
        time -= nap;
    }
    co_return !stopping_;
}

bool LayoutKeeper::leads() const { return replica_->driver().core().role() == raft::Role::kLeader; }

bool LayoutKeeper::is_drained(const NodeId& node) const {
    return leads() && drained_.contains(node);
}

std::set<NodeId> LayoutKeeper::up_now() const {
    const Facts seen = seen_();
    std::set<NodeId> up;
    for (const NodeFacts& node : seen.nodes) {
        if (node.reachable || node.id == seen.leader) up.insert(node.id);
    }
    return up;
}

// ---- reading --------------------------------------------------------------------------------

Task<Result<LayoutRows>> LayoutKeeper::read_rows(meta::View view) {
    auto work = [view, before = places_] { return read_layout(view, before); };
    auto read = co_await runtime::run_blocking(&control_->pool, std::move(work));
    if (read) places_ = read->places;
    co_return read;
}

Task<Result<LayoutRows>> LayoutKeeper::read() {
    auto viewed = co_await replica_->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    auto read = co_await read_rows(view);
    CO_TRY_ASSIGN(LayoutRows rows, read);
    auto work = [view, all = rows.geometries, now = rows.profile()] {
        return live_geometries(view, all, now);
    };
    auto live = co_await runtime::run_blocking(&control_->pool, std::move(work));
    CO_TRY_ASSIGN(rows.live, live);
    co_return rows;
}

Task<Result<ReencodeLeft>> LayoutKeeper::count_left(meta::View view, Profile wanted) {
    auto work = [view, wanted] { return reencode_left(view, wanted); };
    auto left = co_await runtime::run_blocking(&control_->pool, std::move(work));
    co_return left;
}

// A walk counts for the Reencode that was in force when it began: later ones begin from the start.
Task<Result<void>> LayoutKeeper::walk_if_due(meta::View view, proto::Layout layout) {
    if (!layout.has_reencode()) {
        walk_.reset();
        co_return Result<void>{};
    }
    const runtime::Time begun = control_->clock.now();
    std::string of = layout.reencode().SerializeAsString();
    const bool is_due = !walk_ || walk_->of != of ||
                        begun - walk_->at >= std::max(kWalkEvery, walk_->took * kWalkPart);
    if (!is_due) co_return Result<void>{};
    const Profile wanted{layout.reencode().k(), layout.reencode().m()};
    auto counted = co_await count_left(std::move(view), wanted);
    CO_TRY_ASSIGN(const ReencodeLeft left, counted);
    const runtime::Time now = control_->clock.now();
    walk_ = Walk{std::move(of), left, now, now - begun};
    co_return Result<void>{};
}

bool LayoutKeeper::is_walked(const proto::Layout& layout) const {
    return walk_ && layout.has_reencode() && walk_->of == layout.reencode().SerializeAsString();
}

// ---- keeping --------------------------------------------------------------------------------

Task<void> LayoutKeeper::keep_loop() {
    for (bool go_on = true; go_on;) {
        Micros rest = kLookEvery;
        if (leads()) {
            const runtime::Time begun = control_->clock.now();
            auto kept = co_await keep_once();
            note_trouble(kept ? std::string() : kept.error().context);
            if (!kept && !is_passing(kept.error().code)) {
                rest = std::max(rest, (control_->clock.now() - begun) * kRefusedPart);
            }
            if (kept && *kept) rest = Micros(0);
        } else {
            drained_.clear();
            at_rest_.reset();
            trouble_.clear();
        }
        go_on = co_await pause(std::min(rest, kMaxRest));
    }
}

// What does not come right by itself is said once.
void LayoutKeeper::note_trouble(const std::string& trouble) {
    if (trouble != trouble_ && !trouble.empty()) LOG_INFO("cluster", "layout: {}", trouble);
    trouble_ = trouble;
}

void LayoutKeeper::note_drained(const LayoutRows& rows) {
    drained_.clear();
    for (const proto::Node& node : rows.nodes) {
        const NodeId id = NodeId::from_bytes(node.node_id()).value_or(NodeId{});
        if (node.leaving() && rows.is_empty(id)) drained_.insert(id);
    }
}

// Whether something has changed.
Task<Result<bool>> LayoutKeeper::keep_once() {
    auto viewed = co_await replica_->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    auto read = co_await read_rows(view);
    CO_TRY_ASSIGN(const LayoutRows rows, read);
    note_drained(rows);
    auto walked = co_await walk_if_due(view, rows.layout);
    CO_TRY(walked);
    if (!leads() || stopping_) co_return false;
    const bool is_reencoded = is_walked(rows.layout) && walk_->left.blobs == 0;
    CO_TRY_ASSIGN(LayoutFacts facts, layout_facts(rows, seen_(), is_reencoded));
    if (at_rest_ == facts) co_return false;
    auto decided = co_await decide(facts);
    CO_TRY_ASSIGN(LayoutStep step, decided);
    if (std::holds_alternative<std::monostate>(step)) {
        at_rest_ = std::move(facts);
        co_return false;
    }
    if (!leads() || stopping_) co_return false;
    const std::string why = why_of(step);
    auto made = co_await command_of(std::move(step), view, facts.version);
    CO_TRY_ASSIGN(Command command, made);
    auto proposed = co_await propose(std::move(command));
    if (!proposed) co_return fail(proposed.error(), why);
    LOG_INFO("cluster", "layout: {}", why);
    co_return true;
}

Task<Result<LayoutStep>> LayoutKeeper::decide(LayoutFacts facts) {
    auto work = [facts = std::move(facts)]() -> Result<LayoutStep> {
        return next_layout_step(facts);
    };
    auto decided = co_await runtime::run_blocking(&control_->pool, std::move(work),
                                                  runtime::WorkKind::kComputes);
    co_return decided;
}

// `version` of the layout that the step was decided under.
Task<Result<Command>> LayoutKeeper::command_of(LayoutStep step, meta::View view,
                                               std::uint64_t version) {
    Command command;
    if (const auto* put = std::get_if<PutTable>(&step)) {
        auto& set = *command.mutable_set_layout();
        set.set_expected_version(version);
        set.set_k(put->profile.k);
        set.set_m(put->profile.m);
        set.set_table(placement::encode(put->table));
    } else if (const auto* leave = std::get_if<BeginLeaving>(&step)) {
        command.mutable_set_leaving()->set_node_id(std::string(leave->node.view()));
        command.mutable_set_leaving()->set_leaving(true);
    } else if (const auto* start = std::get_if<StartReencode>(&step)) {
        const Profile wanted = start->profile;
        auto counted = co_await count_left(std::move(view), wanted);
        CO_TRY_ASSIGN(const ReencodeLeft left, counted);
        auto& reencode = *command.mutable_set_reencode()->mutable_reencode();
        reencode.set_k(wanted.k);
        reencode.set_m(wanted.m);
        reencode.set_bytes_at_start(left.bytes);
    } else if (std::holds_alternative<StopReencode>(step)) {
        command.mutable_set_reencode();
    } else {
        const NodeId node = std::get<Dismiss>(step).node;
        command.mutable_remove_node()->set_node_id(std::string(node.view()));
    }
    co_return command;
}

// Refusals are errors: kPrecondition.
Task<Result<void>> LayoutKeeper::propose(Command command) {
    auto proposed = co_await replica_->propose(std::move(command));
    CO_TRY_ASSIGN(const Answer answer, proposed);
    if (answer.status() == Answer::OK) co_return Result<void>{};
    co_return fail(Code::kPrecondition, answer.detail().empty()
                                            ? Answer::Status_Name(answer.status())
                                            : answer.detail());
}

}  // namespace hamster::cluster
