#include "runtime/real/loops.h"

#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "runtime/prng.h"
#include "runtime/real/disk.h"
#include "runtime/real/network.h"
#include "runtime/real/pool.h"
#include "runtime/real/socket.h"
#include "runtime/waiter.h"

namespace hamster::runtime::real {

namespace {

// Longer sleeps than this are cut: the timer's own clock would overflow.
constexpr Micros kLongestSleep = std::chrono::hours(24 * 365);

class RealClock final : public Clock {
  public:
    explicit RealClock(asio::io_context& loop) : loop_(loop) {}
    Time now() override { return steady_now(); }
    std::uint64_t unix_ms() override {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        return static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    }
    Task<void> sleep(Micros duration) override {
        asio::steady_timer timer(loop_, std::clamp(duration, Micros(0), kLongestSleep));
        co_await timer.async_wait(kAwait);
    }

  private:
    asio::io_context& loop_;
};

std::uint64_t system_seed() {
    std::uint64_t seed = 0;
    const ssize_t n = ::getrandom(&seed, sizeof(seed), 0);
    HAMSTER_ASSERT(n == sizeof(seed), n);
    return seed;
}

// A client has no data directory; whoever touches the disk then has a bug.
class NoDisk final : public Disk {
  public:
    Task<Result<std::unique_ptr<File>>> open(std::string, Mode) override { none(); }
    Task<Result<void>> remove(std::string) override { none(); }
    Task<Result<void>> rename(std::string, std::string) override { none(); }
    Task<Result<void>> make_dir(std::string) override { none(); }
    Task<Result<void>> sync_dir(std::string) override { none(); }
    Task<Result<std::vector<std::string>>> list(std::string) override { none(); }
    Result<void> lock(std::string) override { none(); }
    Result<DiskSpace> space() override { none(); }
    std::string real_path(std::string_view) override { none(); }

  private:
    [[noreturn]] static void none() {
        base::assertion_failed("a process without a data directory", __FILE__, __LINE__, {});
    }
};

using WorkGuard = asio::executor_work_guard<LoopExecutor>;

struct Loop {
    Loop(Disk& disk, BlockingPool& pool)
        : guard(context.get_executor()),
          clock(context),
          random(system_seed()),
          network(make_network(context)),
          world{Executor(context.get_executor()), clock, random, disk, *network, pool} {}

    // Of what waits on this loop. A frame that waits on a list of its own would otherwise outlive
    // the loop: nobody else owns it.
    WaiterRegistry registry;
    asio::io_context context{1};
    WorkGuard guard;
    RealClock clock;
    Prng random;
    std::unique_ptr<Network> network;
    World world;
    std::thread thread;  // none for the control loop
};

class RealLoops final : public Loops {
  public:
    RealLoops(std::unique_ptr<ThreadPool> pool, std::unique_ptr<Disk> disk, std::size_t io_loops)
        : pool_(std::move(pool)),
          disk_(std::move(disk)),
          control_(std::make_unique<Loop>(*disk_, *pool_)) {
        for (std::size_t i = 0; i < io_loops; ++i) {
            io_.push_back(std::make_unique<Loop>(*disk_, *pool_));
        }
    }
    RealLoops(const RealLoops&) = delete;
    RealLoops& operator=(const RealLoops&) = delete;
    ~RealLoops() override;

    World& control() override { return control_->world; }
    std::vector<World*> io() override {
        std::vector<World*> worlds;
        worlds.reserve(io_.size());
        for (const auto& loop : io_) {
            worlds.push_back(&loop->world);
        }
        return worlds;
    }
    int run(Task<int> main, std::function<void(int)> on_signal) override;

  private:
    void start_threads();
    void wait_signal();
    void stop();

    std::unique_ptr<ThreadPool> pool_;
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<Loop> control_;
    std::vector<std::unique_ptr<Loop>> io_;
    std::optional<asio::signal_set> signals_;
    std::function<void(int)> on_signal_;
    bool ran_ = false;
};

RealLoops::~RealLoops() {
    stop();
    // Frames that are still suspended die with their loop, without leaving their gates.
    const bool before = std::exchange(WaiterRegistry::abandoning(), true);
    signals_.reset();
    for (const auto& loop : io_) {
        loop->registry.abandon_all();
    }
    control_->registry.abandon_all();
    io_.clear();
    control_.reset();
    WaiterRegistry::abandoning() = before;
}

void RealLoops::stop() {
    for (const auto& loop : io_) {
        loop->context.stop();
    }
    for (const auto& loop : io_) {
        if (loop->thread.joinable()) loop->thread.join();
    }
    pool_->stop();
}

void RealLoops::start_threads() {
    for (std::size_t i = 0; i < io_.size(); ++i) {
        Loop* const loop = io_[i].get();
        loop->thread = std::thread([loop] {
            WaiterRegistry::current() = &loop->registry;
            loop->context.run();
        });
        pthread_setname_np(loop->thread.native_handle(), ("io-" + std::to_string(i)).c_str());
    }
}

void RealLoops::wait_signal() {
    signals_->async_wait([this](const ErrorCode& error, int signal) {
        if (error) return;
        on_signal_(signal);
        wait_signal();
    });
}

int RealLoops::run(Task<int> main, std::function<void(int)> on_signal) {
    HAMSTER_ASSERT(!std::exchange(ran_, true));
    // Writing to a connection that is gone is an error of that connection.
    std::signal(SIGPIPE, SIG_IGN);
    on_signal_ = std::move(on_signal);
    if (on_signal_) {
        signals_.emplace(control_->context, SIGTERM, SIGINT, SIGHUP);
        wait_signal();
    }
    start_threads();
    int exit_code = 0;
    asio::co_spawn(control_->world.executor, std::move(main),
                   [&](std::exception_ptr error, int code) {
                       if (error != nullptr) {
                           std::fprintf(stderr, "hamster: the main task ended with an exception\n");
                           std::abort();
                       }
                       exit_code = code;
                       control_->context.stop();
                   });
    auto* const before = std::exchange(WaiterRegistry::current(), &control_->registry);
    control_->context.run();
    WaiterRegistry::current() = before;
    stop();
    return exit_code;
}

}  // namespace

Result<std::unique_ptr<Loops>> Loops::create(Options options) {
    const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
    if (options.io_loops == 0) options.io_loops = cores;
    if (options.pool_threads == 0) options.pool_threads = 4 + 2 * cores;
    auto pool =
        std::make_unique<ThreadPool>(options.pool_threads, std::min(cores, options.pool_threads));
    std::unique_ptr<Disk> disk = std::make_unique<NoDisk>();
    if (!options.data_dir.empty()) {
        // RocksDB makes its files with whatever this leaves them.
        ::umask(S_IRWXG | S_IRWXO);
        TRY_ASSIGN(disk, open_disk(options.data_dir, options.create_data_dir, pool.get()));
    }
    return std::make_unique<RealLoops>(std::move(pool), std::move(disk), options.io_loops);
}

}  // namespace hamster::runtime::real
