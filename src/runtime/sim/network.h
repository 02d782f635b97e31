// The simulated network: byte streams between machines and the harness.
//
// The fault model
// - Bytes arrive in order, in chunks of any size, after a random latency each; a read returns any
//   part of what has arrived. A writer is held back once kInFlightLimit bytes are under way.
// - A crash of a machine resets its connections: the peer sees kClosed after a latency, bytes under
//   way are lost. Listeners vanish. Connecting to nobody is refused after a latency.
// - Connections are reset at random with NetworkFaults::reset_ppm per operation.
// - A link is one direction between two machines (simulator.h, LinkFaults). Once it is cut, nothing
//   arrives over it: bytes, ends, resets and parts of handshakes wait, and go on, in order, a
//   latency after it healed. What the other direction carries flows on. Nobody learns over a cut
//   link that the other side closed or crashed. A connect takes both directions: it waits until
//   both are whole or its deadline has passed. How much room a writer has is not a message: it is
//   known at once, whatever is cut.
// - A paused machine is still there for the others: it is connected to, and takes bytes until
//   kInFlightLimit; but no handshake ends.
// Addresses: a listener on "ip:port" is reached under that text, and from other machines also as
// "<machine name>:port". No TLS, except between nodes, and there without ciphers: each side is told
// what the other gave. As with the real one, connect_node() answers once the accepting side has
// used the stream; one that speaks to the wrong kind of listener fails with kClosed on both sides.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/sim/scheduler.h"
#include "runtime/sim/simulator.h"

namespace hamster::runtime::sim {

class SimListener;
struct Connection;
using ConnectionPtr = std::shared_ptr<Connection>;

class NetworkState {
  public:
    // Timers of the network itself belong to `background`, which never ends before it.
    NetworkState(Scheduler* scheduler, Incarnation* background)
        : scheduler_(scheduler), background_(background) {}

    void set_faults(const NetworkFaults& faults) { faults_ = faults; }
    void set_link(const std::string& from, const std::string& to, const LinkFaults& faults);
    void heal_links();
    void reset_connections(const std::string& a, const std::string& b);
    [[nodiscard]] bool is_cut(const std::string& from, const std::string& to) const;
    // What was to arrive after this moment has not: now, or since when the link is cut.
    [[nodiscard]] Time horizon(const std::string& from, const std::string& to) const;
    // Woken whenever a link has healed.
    WaiterList& links_changed() { return links_changed_; }
    // Resets what the ended incarnation had open.
    void crash(std::uint32_t incarnation);

    Result<std::uint16_t> add_listener(SimListener* listener, std::string machine,
                                       const std::string& address);
    void remove_listener(SimListener* listener);
    // Listeners of several loops on one address take turns. Null when nobody listens.
    SimListener* find_listener(const std::string& address);
    // Where an address is or was listened on, or would be.
    [[nodiscard]] std::string machine_of(const std::string& address) const;
    void add_connection(const ConnectionPtr& connection);

    [[nodiscard]] Time now() const { return scheduler_->now(); }
    Micros latency(const std::string& from, const std::string& to);
    bool draw_reset();
    bool draw_reset(const std::string& from, const std::string& to);
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
    struct Link {
        LinkFaults faults;
        Time since;  // cut since
    };
    Micros latency();
    [[nodiscard]] const Link* find_link(const std::string& from, const std::string& to) const;
    [[nodiscard]] std::vector<ConnectionPtr> live_connections() const;

    Scheduler* scheduler_;
    Incarnation* background_;
    NetworkFaults faults_;
    std::map<std::pair<std::string, std::string>, Link> links_;  // from, to
    WaiterList links_changed_;
    std::map<std::string, std::string> homes_;  // machine of every address ever listened on
    std::vector<Place> listeners_;
    std::uint16_t next_port_ = 40000;
    std::vector<std::weak_ptr<Connection>> connections_;
};

std::unique_ptr<Network> make_network(std::shared_ptr<NetworkState> state, std::string machine,
                                      std::uint32_t incarnation);

}  // namespace hamster::runtime::sim
