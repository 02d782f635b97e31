// One machine of a simulated cluster, and the process on it, if any. Its tasks run on the machine
// and die with it; they leave what they found where the harness looks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "crypto/random.h"
#include "node/node.h"
#include "runtime/prng.h"
#include "runtime/sim/simulator.h"
#include "runtime/sync.h"

namespace hamster::simulation {

using runtime::Task;

inline constexpr std::uint64_t kMemberCapacity = 256ULL << 20;

// What runs on a machine between boot and crash.
struct Process {
    explicit Process(runtime::World* w) : world(w), keys(&w->random) {}
    runtime::World* world;
    crypto::PredictableKeySource keys;
    std::optional<Error> error;  // it could not start
    bool is_ended = false;       // init or join are done, or it was stopped cleanly
    runtime::Gate gate;
    std::unique_ptr<node::Node> node;  // it serves
};

// How a process is started.
enum class Start { kInit, kJoin, kOpen };

class Member {
  public:
    Member(runtime::sim::Simulator* sim, std::string name, node::Options options);

    // Boots and starts; the outcome shows in process().
    // `shown`: the token to join with.
    void start(Start how, std::string shown);
    // Power off. Nothing happens when it is off.
    void crash();
    void arm_crash(std::uint64_t at_io, std::function<void()> then);
    void disarm_crash() { machine_->disarm_crash(); }
    // Begins a clean stop; process()->is_ended tells the end.
    void stop();
    void set_disk(const runtime::sim::DiskFaults& faults);
    void set_clock(std::int64_t offset_ms);
    void set_paused(bool paused);
    // Its disk is replaced by an empty one, while it is off: it has to join again, under another
    // id and another name.
    void empty_disk();
    // It joins in the place of this member; zeros: of none.
    void set_replaces(const base::NodeId& target);

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::string s3_address() const { return name_ + ":9000"; }
    [[nodiscard]] std::string cluster_address() const {
        return "10.0.0." + name_.substr(1) + ":7946";
    }
    [[nodiscard]] const node::Options& options() const { return options_; }
    [[nodiscard]] Process* process() { return process_.get(); }
    // The node, once it serves; otherwise null.
    [[nodiscard]] node::Node* node() { return process_ ? process_->node.get() : nullptr; }
    [[nodiscard]] bool is_on() const { return process_ != nullptr; }
    [[nodiscard]] bool is_paused() const { return machine_->is_paused(); }
    // Init or join have completed the data directory.
    [[nodiscard]] bool has_directory() const;
    [[nodiscard]] const runtime::sim::DiskFaults& disk() const { return disk_; }
    [[nodiscard]] bool has_bad_disk() const;
    [[nodiscard]] std::uint64_t used_bytes() const { return machine_->allocated_bytes(); }
    [[nodiscard]] const std::int64_t* clock_offset_ms() const { return &offset_ms_; }
    [[nodiscard]] std::uint64_t lives() const { return lives_; }
    [[nodiscard]] runtime::sim::Machine& machine() { return *machine_; }

    // --- what the harness knows of it
    bool has_begun = false;   // it is to be a member
    bool wants_up = true;     // it is started again whenever it is down
    runtime::Time boot_at{};  // not before
    bool is_suspect = false;  // its disk has failed since it was started
    bool is_removed = false;
    bool is_stopping = false;
    std::optional<bool> is_to_stay;  // if it is leaving once the faults are over
    bool has_bad_token = false;      // must not get in with it
    bool has_expired_token = false;  // that is what is bad about it
    std::string token;               // to join with
    bool asks_token = false;
    base::NodeId id;        // once known
    base::NodeId former;    // that it was before its disk was lost; zeros: it is what it was
    base::NodeId replaces;  // the member whose place it takes; zeros: nobody's
    std::optional<runtime::Time> gives_up_at;  // `former`, for good

  private:
    const std::string name_;
    runtime::sim::Machine* machine_;
    node::Options options_;
    runtime::sim::DiskFaults disk_;
    std::int64_t offset_ms_ = 0;
    std::uint64_t lives_ = 0;
    int disks_ = 1;
    std::unique_ptr<Process> process_;
};

}  // namespace hamster::simulation
