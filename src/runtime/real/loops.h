// The real world: one io_context(1) per thread. Thin: no decisions.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "runtime/world.h"

namespace hamster::runtime::real {

struct Options {
    std::size_t io_loops = 0;      // 0: one per core
    std::size_t pool_threads = 0;  // 0: 4 + 2 per core
    std::string data_dir;          // root of the Disk; empty: no disk (clients)
    bool create_data_dir = false;  // made with mode 0700 when absent; otherwise kNotFound
};

// The loops of one process, one Loops per process: a control loop on the calling thread and I/O
// loops on their own.
class Loops {
  public:
    static Result<std::unique_ptr<Loops>> create(Options options);
    virtual ~Loops() = default;
    virtual World& control() = 0;
    virtual std::vector<World*> io() = 0;
    // Runs `main` on the control loop until it returns (its value is the exit code), then stops and
    // joins all threads; tasks still suspended then are destroyed. Once. `on_signal` is called on
    // the control loop for SIGTERM, SIGINT and SIGHUP.
    virtual int run(Task<int> main, std::function<void(int)> on_signal) = 0;
};

}  // namespace hamster::runtime::real
