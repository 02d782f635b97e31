// What goes wrong in a simulated cluster, drawn from the seed. Most of it lasts for a while: its
// end stands in an agenda.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cluster_storage.h"
#include "cluster_world.h"

namespace hamster::simulation {

class ClusterFaults {
  public:
    ClusterFaults(SimCluster* cluster, ClusterStorage* storage);

    void inject();
    // Does what is due in the agenda.
    void tick();
    // Everything ends at once: links heal, clocks and disks are as they should be.
    void end_all();
    [[nodiscard]] bool is_quiet() const { return agenda_.empty() && ambushes_.empty(); }
    // When tick() has something to do next.
    [[nodiscard]] runtime::Time next_due() const;

  private:
    // Waits for a request of a client, and then does something in the middle of it.
    struct Ambush {
        Activity what = Activity::kOther;
        std::uint64_t least_bytes = 0;  // of its body
        bool is_quick = false;          // within some milliseconds of its begin
        runtime::Time until{};          // given up then
        std::function<void(const UnderWay&)> action;
    };
    void at(runtime::Micros after, std::function<void()> action);
    void ambush(Activity what, std::uint64_t least_bytes, bool is_quick,
                std::function<void(const UnderWay&)> action);
    void notice(const UnderWay& request);
    void kill_holder();
    void kill_coordinator();
    void slow_node(Member& member);
    void move_slots();
    void drain(Member& member);
    void cut(const std::string& from, const std::string& to, runtime::Micros for_time);
    void apply(ClusterFault fault);
    void power_cut();
    void isolate();
    void flap();
    void slow_links();
    void reset_links();
    void pause(Member& member);
    void jump(Member& member);
    void hurt_disk(Member& member, ClusterFault fault);
    Member* some_on();
    Member& some_begun();
    [[nodiscard]] std::uint64_t below(std::uint64_t n) { return cluster_->below(n); }
    [[nodiscard]] bool chance(std::uint64_t percent) { return cluster_->chance(percent); }

    SimCluster* cluster_;
    ClusterStorage* storage_;
    std::multimap<runtime::Time, std::function<void()>> agenda_;
    std::vector<Ambush> ambushes_;
};

}  // namespace hamster::simulation
