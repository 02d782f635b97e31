// The simulated network: byte streams between machines and the harness.
//
// The fault model
// - Bytes arrive in order, in chunks of any size, after a random latency each; a read returns any
//   part of what has arrived. A writer is held back once kInFlightLimit bytes are under way.
// - A crash of a machine resets its connections: the peer sees kClosed after a latency, bytes under
//   way are lost. Listeners vanish. Connecting to nobody is refused after a latency.
// - Connections are reset at random with NetworkFaults::reset_ppm per operation.
// Addresses: a listener on "ip:port" is reached under that text, and from other machines also as
// "<machine name>:port". No TLS.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/sim/scheduler.h"
#include "runtime/sim/simulator.h"

namespace hamster::runtime::sim {

class SimListener;
struct Connection;

class NetworkState {
  public:
    // Timers of the network itself belong to `background`, which never ends before it.
    NetworkState(Scheduler* scheduler, Incarnation* background)
        : scheduler_(scheduler), background_(background) {}

    void set_faults(const NetworkFaults& faults) { faults_ = faults; }
    // Resets what the ended incarnation had open.
    void crash(std::uint32_t incarnation);

    Result<std::uint16_t> add_listener(SimListener* listener, std::string machine,
                                       const std::string& address);
    void remove_listener(SimListener* listener);
    // Listeners of several loops on one address take turns. Null when nobody listens.
    SimListener* find_listener(const std::string& address);
    void add_connection(const std::shared_ptr<Connection>& connection);

    [[nodiscard]] Time now() const { return scheduler_->now(); }
    Micros latency();
    bool draw_reset();
    Random& random() { return scheduler_->random(); }
    void at(Time time, Action action) { scheduler_->at(time, background_, std::move(action)); }
    Task<void> sleep(Micros duration) { return scheduler_->sleep(duration); }
    void trace(std::string_view what, std::uint64_t n) { scheduler_->trace(mix_text(n, what)); }

  private:
    struct Place {
        std::string machine;
        std::string address;
        SimListener* listener;
    };
    Scheduler* scheduler_;
    Incarnation* background_;
    NetworkFaults faults_;
    std::vector<Place> listeners_;
    std::uint16_t next_port_ = 40000;
    std::vector<std::weak_ptr<Connection>> connections_;
};

std::unique_ptr<Network> make_network(std::shared_ptr<NetworkState> state, std::string machine,
                                      std::uint32_t incarnation);

}  // namespace hamster::runtime::sim
