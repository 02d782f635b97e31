#include "runtime/sim/simulator.h"

#include <map>
#include <utility>

#include "base/assert.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/network.h"
#include "runtime/sim/scheduler.h"
#include "runtime/sync.h"

namespace hamster::runtime::sim {

namespace {

// Simulated time starts here: 2026-01-01T00:00:00Z.
constexpr std::int64_t kEpochUnixMs = 1'767'225'600'000;
// The name under which links know the harness.
constexpr const char* kHarness = "harness";

class SimClock final : public Clock {
  public:
    SimClock(Scheduler* scheduler, const std::int64_t* offset_ms)
        : scheduler_(scheduler), offset_ms_(offset_ms) {}
    Time now() override { return scheduler_->now(); }
    std::uint64_t unix_ms() override {
        return static_cast<std::uint64_t>(kEpochUnixMs + scheduler_->now().us / 1000 + *offset_ms_);
    }
    Task<void> sleep(Micros duration) override { return scheduler_->sleep(duration); }

  private:
    Scheduler* scheduler_;
    const std::int64_t* offset_ms_;
};

// Blocking work takes some virtual time and then runs inline, as the incarnation that posted it.
class SimPool final : public BlockingPool {
  public:
    SimPool(Scheduler* scheduler, Incarnation* owner) : scheduler_(scheduler), owner_(owner) {}
    void post(std::move_only_function<void()> work, WorkKind /*kind*/) override {
        Incarnation* const running = scheduler_->running();
        const Micros delay(static_cast<std::int64_t>(5 + scheduler_->random().below(300)));
        scheduler_->at(scheduler_->now() + delay, running != nullptr ? running : owner_,
                       std::move(work));
    }

  private:
    Scheduler* scheduler_;
    Incarnation* owner_;
};

// Everything one incarnation sees.
struct Life {
    Life(Scheduler* scheduler, std::uint64_t seed, const std::string& name,
         const std::shared_ptr<DiskState>& disk_state,
         const std::shared_ptr<NetworkState>& network_state, const std::int64_t* offset_ms,
         Incarnation* of)
        : incarnation(of),
          clock(scheduler, offset_ms),
          random(Prng::split(mix64(seed) + of->id, name)),
          disk(make_disk(disk_state)),
          network(make_network(network_state, name, of->id)),
          pool(scheduler, of),
          world{Executor(SimExecutor(of)), clock, random, *disk, *network, pool} {}

    Incarnation* incarnation;
    SimClock clock;
    Prng random;
    std::unique_ptr<Disk> disk;
    std::unique_ptr<Network> network;
    SimPool pool;
    Gate gate;  // of tasks started by run() and run_on()
    World world;
};

}  // namespace

struct Machine::Impl {
    Scheduler* scheduler;
    std::uint64_t seed;
    std::string name;
    std::shared_ptr<DiskState> disk;
    std::shared_ptr<NetworkState> network;
    std::unique_ptr<Life> life;
    std::int64_t clock_offset_ms = 0;
    std::function<void()> on_crash;
    std::uint64_t lives = 0;
};

struct Simulator::Impl {
    explicit Impl(std::uint64_t with_seed)
        : seed(with_seed),
          scheduler(with_seed),
          harness_incarnation(scheduler.begin()),
          network(std::make_shared<NetworkState>(&scheduler, harness_incarnation)),
          harness(&scheduler, seed, kHarness, std::make_shared<DiskState>(&scheduler, kHarness),
                  network, &harness_offset_ms, harness_incarnation) {}

    // Calls the crash handler of a machine that has reached its boundary.
    bool crash_one_due();
    [[nodiscard]] bool is_known(const std::string& name) const {
        return name == kHarness || machines.contains(name);
    }
    void drive(const bool& done, const std::function<bool()>& gave_up, Micros limit);

    std::uint64_t seed;
    Scheduler scheduler;
    Incarnation* harness_incarnation;
    std::shared_ptr<NetworkState> network;
    std::int64_t harness_offset_ms = 0;
    Life harness;
    std::map<std::string, std::unique_ptr<Machine>> machines;
};

Simulator::Simulator(std::uint64_t seed) : impl_(std::make_unique<Impl>(seed)) {}

Simulator::~Simulator() {
    for (auto& [name, machine] : impl_->machines) {
        if (machine->is_up()) machine->crash({});
    }
    impl_->scheduler.end(impl_->harness_incarnation, {});
    // Gates of tasks that were still running count frames that are gone.
    const bool before = std::exchange(WaiterRegistry::abandoning(), true);
    impl_.reset();
    WaiterRegistry::abandoning() = before;
}

Machine& Simulator::machine(const std::string& name) {
    auto& machine = impl_->machines[name];
    if (machine == nullptr) {
        auto impl = std::make_unique<Machine::Impl>();
        impl->scheduler = &impl_->scheduler;
        impl->seed = impl_->seed;
        impl->name = name;
        impl->disk = std::make_shared<DiskState>(&impl_->scheduler, name);
        impl->network = impl_->network;
        machine.reset(new Machine(std::move(impl)));
    }
    return *machine;
}

World& Simulator::harness() { return impl_->harness.world; }

namespace {

Task<void> then_mark(Task<void> task, std::shared_ptr<bool> done) {
    co_await std::move(task);
    *done = true;
}

}  // namespace

void Simulator::run(Task<void> task, Micros limit) {
    auto done = std::make_shared<bool>(false);
    auto& harness = impl_->harness;
    spawn(harness.world.executor, harness.gate, "simulation", then_mark(std::move(task), done));
    impl_->drive(*done, [] { return false; }, limit);
}

bool Simulator::run_on(Machine& machine, Task<void> task, Micros limit) {
    auto done = std::make_shared<bool>(false);
    auto& life = machine.impl_->life;
    HAMSTER_ASSERT(life != nullptr, machine.impl_->name);
    const std::uint64_t number = machine.impl_->lives;
    spawn(life->world.executor, life->gate, "simulation", then_mark(std::move(task), done));
    const auto crashed = [&] {
        return machine.impl_->life == nullptr || machine.impl_->lives != number;
    };
    impl_->drive(*done, crashed, limit);
    return *done;
}

void Simulator::Impl::drive(const bool& done, const std::function<bool()>& gave_up, Micros limit) {
    const Time end = scheduler.now() + limit;
    while (!done && !gave_up()) {
        const bool deadlock = !crash_one_due() && !scheduler.step();
        HAMSTER_ASSERT(!deadlock, seed);
        HAMSTER_ASSERT(scheduler.now() <= end, seed, limit.count());
    }
}

bool Simulator::run_until(const std::function<bool()>& done, Micros limit) {
    const Time end = now() + limit;
    while (!done()) {
        if (impl_->crash_one_due()) continue;
        if (impl_->scheduler.next_time() > end || !impl_->scheduler.step()) return done();
    }
    return true;
}

void Simulator::run_for(Micros duration) {
    const Time end = now() + duration;
    bool over = false;
    // A timer of our own: time passes even when nothing else happens.
    impl_->scheduler.at(end, impl_->harness_incarnation, [&over] { over = true; });
    while (!over) {
        step();
    }
}

bool Simulator::step() { return impl_->crash_one_due() || impl_->scheduler.step(); }

bool Simulator::Impl::crash_one_due() {
    for (auto& [name, machine] : machines) {
        if (machine->impl_->life == nullptr || !machine->impl_->disk->crash_due()) continue;
        const std::uint64_t lives = machine->impl_->lives;
        auto on_crash = std::exchange(machine->impl_->on_crash, {});
        scheduler.trace("crash at boundary");
        on_crash();
        HAMSTER_ASSERT(machine->impl_->life == nullptr || machine->impl_->lives != lives, name);
        return true;
    }
    return false;
}

Time Simulator::now() const { return impl_->scheduler.now(); }
Random& Simulator::random() { return impl_->scheduler.random(); }
std::uint64_t Simulator::trace_hash() const { return impl_->scheduler.trace_hash(); }
void Simulator::trace(std::string_view event) { impl_->scheduler.trace(event); }
void Simulator::set_permute(bool permute) { impl_->scheduler.set_permute(permute); }
void Simulator::set_network_faults(const NetworkFaults& faults) {
    impl_->network->set_faults(faults);
}

void Simulator::set_link(const std::string& from, const std::string& to, const LinkFaults& faults) {
    HAMSTER_ASSERT(impl_->is_known(from) && impl_->is_known(to), from, to);
    impl_->network->set_link(from, to, faults);
}

void Simulator::heal_links() { impl_->network->heal_links(); }

void Simulator::reset_connections(const std::string& a, const std::string& b) {
    HAMSTER_ASSERT(impl_->is_known(a) && impl_->is_known(b), a, b);
    impl_->network->reset_connections(a, b);
}

Machine::Machine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Machine::~Machine() = default;

World& Machine::boot() {
    HAMSTER_ASSERT(impl_->life == nullptr, impl_->name);
    ++impl_->lives;
    impl_->disk->boot();
    impl_->life =
        std::make_unique<Life>(impl_->scheduler, impl_->seed, impl_->name, impl_->disk,
                               impl_->network, &impl_->clock_offset_ms, impl_->scheduler->begin());
    return impl_->life->world;
}

bool Machine::is_up() const { return impl_->life != nullptr; }

World& Machine::world() {
    HAMSTER_ASSERT(impl_->life != nullptr, impl_->name);
    return impl_->life->world;
}

void Machine::crash(const std::function<void()>& teardown) {
    HAMSTER_ASSERT(impl_->life != nullptr, impl_->name);
    const std::uint32_t id = impl_->life->incarnation->id;
    impl_->on_crash = {};
    impl_->scheduler->trace("crash");
    impl_->scheduler->end(impl_->life->incarnation, [&] {
        if (teardown) teardown();
        impl_->life.reset();
    });
    impl_->disk->crash();
    impl_->network->crash(id);
}

void Machine::pause() {
    HAMSTER_ASSERT(impl_->life != nullptr, impl_->name);
    impl_->scheduler->pause(impl_->life->incarnation);
}

void Machine::resume() {
    HAMSTER_ASSERT(impl_->life != nullptr, impl_->name);
    impl_->scheduler->resume(impl_->life->incarnation);
}

bool Machine::is_paused() const {
    return impl_->life != nullptr && impl_->life->incarnation->paused;
}

void Machine::crash_at_io(std::uint64_t n, std::function<void()> on_crash) {
    HAMSTER_ASSERT(n > 0 && on_crash != nullptr, n);
    impl_->on_crash = std::move(on_crash);
    impl_->disk->arm(n);
}

void Machine::disarm_crash() {
    impl_->on_crash = {};
    impl_->disk->disarm();
}

std::uint64_t Machine::io_count() const { return impl_->disk->boundaries(); }
void Machine::set_faults(const DiskFaults& faults) { impl_->disk->set_faults(faults); }
void Machine::set_clock_offset_ms(std::int64_t offset_ms) { impl_->clock_offset_ms = offset_ms; }
std::uint64_t Machine::allocated_bytes() const { return impl_->disk->used_bytes(); }

Result<std::string> Machine::durable_content(const std::string& path) const {
    TRY_ASSIGN(const NodePtr node, impl_->disk->find_durable(path));
    if (node->is_directory) return fail(Code::kInvalid, path + " is a directory");
    const Image image = node->file.certain();
    std::string content(image.size(), '\0');
    image.read(0, MutableBytes(reinterpret_cast<std::byte*>(content.data()), content.size()));
    return content;
}

void Machine::flip_bit(const std::string& path, std::uint64_t bit) {
    const auto node = impl_->disk->find(path);
    HAMSTER_ASSERT(node.has_value() && !(*node)->is_directory, path);
    HAMSTER_ASSERT(bit / 8 < (*node)->file.cached().size(), path, bit);
    (*node)->file.flip_bit(bit);
}

std::uint64_t Machine::size_of(const std::string& path) const {
    const auto node = impl_->disk->find(path);
    return !node || (*node)->is_directory ? 0 : (*node)->file.cached().size();
}

void Machine::remove_file(const std::string& path) { impl_->disk->erase_everywhere(path); }

std::vector<std::string> Machine::durable_names(const std::string& path) const {
    std::vector<std::string> names;
    const auto node = impl_->disk->find_durable(path);
    if (!node || !(*node)->is_directory) return names;
    for (const auto& [name, entry] : (*node)->durable) names.push_back(name);
    return names;
}

void Machine::empty_disk() {
    HAMSTER_ASSERT(impl_->life == nullptr, impl_->name);
    impl_->scheduler->trace("empty disk");
    impl_->disk->empty();
}

}  // namespace hamster::runtime::sim
