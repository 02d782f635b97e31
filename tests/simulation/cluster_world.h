// A cluster of simulated machines and whoever operates it: starts and restarts processes, mints
// tokens, asks for transfers and removals, and watches what must hold at every moment.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster_member.h"
#include "cluster_plan.h"
#include "meta/view.h"
#include "report.h"
#include "runtime/prng.h"
#include "runtime/sim/simulator.h"

namespace hamster::simulation {

// What an operator asked of one node. It may never be answered.
struct Errand {
    bool is_done = false;
    std::optional<Error> error;
    std::string text;  // a token
};

// What a client is about, as far as faults wait for it.
enum class Activity { kWrite, kRead, kComplete, kOther };
struct UnderWay {
    Activity what = Activity::kOther;
    Member* at = nullptr;
    std::uint64_t bytes = 0;  // of the body that is sent
    runtime::Time since{};
};

class SimCluster {
  public:
    SimCluster(runtime::sim::Simulator* sim, Report* report, const ClusterPlan* plan, bool verbose);

    // The first member is founded.
    void found();
    // The next machine is to join. False: there is none left.
    bool grow();
    // What the operator does now and then: starts what is down, looks after errands.
    void tend();
    // After every step: never two leaders in one term.
    void watch();
    // Everybody is to be up, at once.
    void revive_all();

    void power_off(Member& member, runtime::Micros for_time);
    void arm_crash(Member& member, std::uint64_t most_ios);
    void transfer();
    void remove();
    void remove(Member& target);
    // --- cluster_verbs.cc; each asks some member
    void swap_slots();
    void drain(Member& target);
    void undrain(Member& target);
    void set_profile();
    void optimize();
    // The operator may say that what a member was before it lost its disk never comes back.
    void may_give_up(Member& member);
    void replace(const Member& target);
    // A machine that is not a member tries to become one with a token that must not do.
    void intrude();

    [[nodiscard]] std::vector<std::unique_ptr<Member>>& members() { return members_; }
    // Those with a node that serves, paused ones too.
    [[nodiscard]] std::vector<Member*> serving();
    // Of these, those that are members still.
    [[nodiscard]] std::vector<Member*> taking_part();
    [[nodiscard]] Member* leader();
    [[nodiscard]] Member* any_serving();
    // Who has applied all that anybody ever had; null: nobody who serves has.
    [[nodiscard]] Member* most_advanced();
    // Marks who was removed, also by the cluster itself, as those that were replaced are.
    void note_removed(const meta::View& view);
    // All who should be members are, and are told alike. Empty, or what is missing.
    [[nodiscard]] std::string unsettled();
    // The layout has the profile for those that began, and no slot moves.
    [[nodiscard]] bool is_laid_out();
    // Members that are marked so, as the leader has it.
    [[nodiscard]] std::vector<Member*> leaving();
    [[nodiscard]] bool is_heir(const Member& member);
    [[nodiscard]] bool has_left(const Member& member);
    [[nodiscard]] bool has_errands() const { return !pending_.empty(); }
    // `task` runs on the member and marks the errand as done; `then` is called once, sooner or
    // later, whatever becomes of the member.
    void run_errand(Member& on, std::shared_ptr<Errand> errand, Task<void> task,
                    std::function<void(const Errand&)> then);
    // Cluster time never goes back: while it is ahead of all clocks, because one had jumped, it
    // goes on slower than they do. So much time passes that they have caught up.
    void catch_up_clocks();
    // Equal rows everywhere; call only when unsettled() is empty.
    void compare_replicas();
    // A request is sent to `at`; answers its number, for ended().
    std::uint64_t began(Activity what, Member& at, std::uint64_t bytes);
    void ended(std::uint64_t number) { under_way_.erase(number); }
    [[nodiscard]] const std::map<std::uint64_t, UnderWay>& under_way() const { return under_way_; }
    // Called when a request begins.
    std::function<void(const UnderWay&)> on_begin;
    // Devices have failed, or more was lost than is promised.
    [[nodiscard]] bool excuses_500() const { return disks_failed || lost_too_much; }
    // While they last, requests may fail.
    bool has_healed = false;
    bool lost_too_much = false;
    bool clock_jumped = false;
    bool disks_failed = false;

    void say(const std::string& text);
    [[nodiscard]] runtime::Micros some(std::int64_t low_ms, std::int64_t high_ms);
    [[nodiscard]] bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return random_.below(n); }
    [[nodiscard]] runtime::Prng& random() { return random_; }
    [[nodiscard]] runtime::Time now() const { return sim_->now(); }
    [[nodiscard]] runtime::sim::Simulator& sim() { return *sim_; }
    [[nodiscard]] Report& report() { return *report_; }
    [[nodiscard]] const ClusterPlan& plan() const { return *plan_; }

  private:
    struct Pending {
        std::shared_ptr<Errand> errand;
        Member* on = nullptr;
        std::uint64_t lives = 0;  // of `on` when it was asked
        runtime::Time since{};
        std::function<void(const Errand&)> then;  // also when it was lost: with an error
    };

    void tend(Member& member);
    void boot(Member& member);
    void failed_to_start(Member& member, const Error& error);
    void join_failed(Member& member, const Error& error);
    void look_after_errands();
    void ask(Member* asked, std::string what, Task<void> task, std::shared_ptr<Errand> errand,
             std::string_view point);
    void ask_for_token(Member& member);
    [[nodiscard]] std::optional<bool> may_replace(const base::NodeId& target);
    void intrude_with(std::string token, std::string_view kind);
    void give_up(Member& member);

    runtime::sim::Simulator* sim_;
    Report* report_;
    const ClusterPlan* plan_;
    const bool verbose_;
    runtime::Prng random_;
    runtime::Prng giving_up_;
    std::vector<std::unique_ptr<Member>> members_;
    std::vector<Pending> pending_;
    std::map<std::uint64_t, std::string> leader_of_;  // by term
    std::uint64_t highest_applied_ = 0;
    std::map<std::uint64_t, UnderWay> under_way_;
    std::uint64_t requests_ = 0;
    std::string used_token_;  // somebody got in with it
};

}  // namespace hamster::simulation
