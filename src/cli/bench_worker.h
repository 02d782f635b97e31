// The clients of one loop during one phase.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cli/bench_connection.h"
#include "cli/bench_plan.h"
#include "cli/bench_report.h"
#include "runtime/sync.h"
#include "runtime/world.h"

namespace hamster::cli::bench {

// What all loops share: written by one, read by others.
struct Shared {
    const Options* options = nullptr;
    const Content* content = nullptr;
    std::string address;             // ip:port of the endpoint
    std::atomic<bool> stop = false;  // asked for by a signal
};

class Worker {
  public:
    // Clients `first`, `first` + `step`, ... below `clients`. Any loop may construct and destroy it
    // while it does not run.
    Worker(runtime::World* world, Shared* shared, std::size_t first, std::size_t step,
           std::size_t clients);

    // On its own loop, like run().
    runtime::Task<Result<void>> connect();
    // Until the plan is done, the deadline has passed or a stop was asked for.
    runtime::Task<bool> run(Plan* plan, runtime::Time deadline);

    [[nodiscard]] runtime::World* world() const { return world_; }
    // After run().
    [[nodiscard]] const Tally& tally() const { return tally_; }
    // Any loop, at any time.
    [[nodiscard]] std::uint64_t done() const { return done_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t moved() const { return moved_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t failed() const { return failed_.load(std::memory_order_relaxed); }

  private:
    struct Member {
        Client client;
        Connection connection;
    };
    runtime::Task<void> serve(Member* member, Plan* plan, runtime::Time deadline);
    void count(Plan* plan, Member* member, const Request& request, const Outcome& outcome,
               runtime::Micros took);

    runtime::World* world_;
    Shared* shared_;
    Signer signer_;
    std::vector<std::unique_ptr<Member>> members_;
    Tally tally_;
    std::atomic<std::uint64_t> done_ = 0;
    std::atomic<std::uint64_t> moved_ = 0;  // bytes, or keys of listings
    std::atomic<std::uint64_t> failed_ = 0;
};

}  // namespace hamster::cli::bench
