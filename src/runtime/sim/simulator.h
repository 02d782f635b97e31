// The simulated world: one thread, virtual time, everything drawn from one seed. Same seed and
// same program => same trace hash. The fault model is at the top of disk.h and network.h.
//
// A task that belongs to one incarnation must not await a task that runs on another: when that one
// dies, so does the waiting frame. Use run_on(), or spawn and a flag.
//
// A Machine keeps its disk across crashes. boot() gives the World of a new incarnation of the
// process on it; crash() ends the incarnation: its executor discards what is queued, all its
// waiters are destroyed without being resumed, its disk loses (whole or torn) what was not synced.
// Crash is not cancellation: no frame resumes, no catch block runs. Objects of the node that live
// outside frames are destroyed by their owner inside teardown():
//     machine.crash([&] { node.reset(); });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/world.h"

namespace hamster::runtime::sim {

class Machine;

// Faults of the whole network, drawn by the scheduler's stream. All zero resets: only latency and
// arbitrary chunking.
struct NetworkFaults {
    std::uint32_t reset_ppm = 0;  // per read or write: the connection is reset
    std::int64_t max_latency_us = 2000;
};

// Faults of one direction between two machines. Default: none.
struct LinkFaults {
    // Nothing arrives until it heals; connections stay (network.h says the rest).
    bool cut = false;
    Micros extra_latency{0};      // on top of NetworkFaults::max_latency_us; 0 or more
    std::uint32_t reset_ppm = 0;  // per write into it and read from it: the connection is reset
};

class Simulator {
  public:
    explicit Simulator(std::uint64_t seed);
    ~Simulator();
    Simulator(const Simulator&) = delete;
    Simulator& operator=(const Simulator&) = delete;

    // A machine with an empty disk; names are unique. Lives as long as the simulator.
    Machine& machine(const std::string& name);
    // The world of the harness itself (clients, checkers): never crashes, clean disk.
    World& harness();

    // Starts `task` on the harness and steps until it has finished. Asserts when nothing is left
    // to do before it has (a deadlock), or after `limit` of virtual time.
    void run(Task<void> task, Micros limit = std::chrono::hours(24));
    // Steps until `done` answers true or `limit` of virtual time has passed; answers done().
    bool run_until(const std::function<bool()>& done, Micros limit);
    // Starts `task` on the running incarnation of `machine` and steps until it has finished (true)
    // or the machine has crashed (false). Otherwise like run().
    bool run_on(Machine& machine, Task<void> task, Micros limit = std::chrono::hours(24));
    void run_for(Micros duration);
    // Runs one queued handler, or advances time to the next timer; false when idle.
    bool step();

    void set_network_faults(const NetworkFaults& faults);
    // Replaces the faults of the direction `from` -> `to`: names of two machines, or "harness".
    void set_link(const std::string& from, const std::string& to, const LinkFaults& faults);
    void heal_links();  // clears all
    // Resets all connections between two machines at once, even over a cut link.
    void reset_connections(const std::string& a, const std::string& b);
    // Overrides the seed's choice: ready handlers run in random order, or first in first out.
    void set_permute(bool permute);

    [[nodiscard]] Time now() const;
    Random& random();  // the scheduler's stream; harness and machines have their own
    // Hash of every event so far (executed handler, disk and network operation, its outcome).
    [[nodiscard]] std::uint64_t trace_hash() const;
    void trace(std::string_view event);  // adds to the hash

  private:
    friend class Machine;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Disk faults of one machine, drawn by the scheduler's stream. Probabilities are per operation, in
// parts per million. All zero: a perfect disk.
struct DiskFaults {
    std::uint32_t read_eio_ppm = 0;
    std::uint32_t write_eio_ppm = 0;
    // A sync (or durable write) answers kIo and drops what it should have synced; a retry would
    // "succeed" with the data gone.
    std::uint32_t sync_eio_ppm = 0;
    std::uint32_t bit_rot_ppm = 0;  // a read returns one flipped bit, and it stays flipped
    std::uint32_t slow_ppm = 0;     // an operation takes up to 10 s
    std::uint64_t capacity_bytes = 1ULL << 40;
};

class Machine {
  public:
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    // Starts a new incarnation. Asserts that none is running.
    World& boot();
    [[nodiscard]] bool is_up() const;
    World& world();  // of the running incarnation
    // Ends the incarnation as described above. `teardown` destroys what its owner holds of it.
    void crash(const std::function<void()>& teardown);
    // Like SIGSTOP and SIGCONT: meanwhile nothing of the incarnation runs, its timers fire late
    // (all at once after resume()), bytes for it wait, and others' time goes on. It can crash
    // meanwhile.
    void pause();
    void resume();
    [[nodiscard]] bool is_paused() const;
    // Arms a crash at the n-th disk I/O boundary from now (1: the next one). `on_crash` is called
    // from the step() that reaches it, outside any frame, and must call crash().
    void crash_at_io(std::uint64_t n, std::function<void()> on_crash);
    void disarm_crash();
    [[nodiscard]] std::uint64_t io_count() const;  // boundaries passed since boot

    void set_faults(const DiskFaults& faults);
    // Moves this machine's wall clock against simulated time.
    void set_clock_offset_ms(std::int64_t offset_ms);
    // Direct access for tests that damage or inspect files: durable content as of now.
    [[nodiscard]] Result<std::string> durable_content(const std::string& path) const;
    void flip_bit(const std::string& path, std::uint64_t bit);
    // Of a file as the running incarnation sees it; 0: there is none.
    [[nodiscard]] std::uint64_t size_of(const std::string& path) const;
    void remove_file(const std::string& path);
    // Names in a directory, durable ones, sorted; empty when there is no such directory.
    [[nodiscard]] std::vector<std::string> durable_names(const std::string& path) const;
    // The disk is replaced by an empty one. Asserts that no incarnation is running.
    void empty_disk();
    [[nodiscard]] std::uint64_t allocated_bytes() const;

  private:
    friend class Simulator;
    struct Impl;
    explicit Machine(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace hamster::runtime::sim
