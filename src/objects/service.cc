#include "objects/service.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "objects/reconciler.h"
#include "objects/service_impl.h"

namespace hamster::objects {

using runtime::Micros;
using runtime::Task;

namespace {

// How a request waits for memory: looks again at this interval, for at most this long.
constexpr Micros kMemoryRetry = std::chrono::milliseconds(10);
constexpr int kMemoryRetries = 300;

Counters register_counters(base::Metrics* m) {
    return {
        m->counter("hamster_missing_slices_total", "Referenced slices found missing or misshapen"),
        m->counter("hamster_body_memory_refused_total",
                   "Requests refused because the body memory was exhausted"),
        m->counter("hamster_remote_slices_total", "Slices fetched from other nodes"),
        m->counter("hamster_remote_slice_failures_total",
                   "Slices that could not be fetched from other nodes"),
        m->counter("hamster_served_slices_total", "Slices given to other nodes"),
        m->counter("hamster_degraded_writes_total", "Bodies stored with fewer shards than planned"),
        m->counter("hamster_dropped_holders_total",
                   "Nodes that failed, or were too slow, while a body was sent to them"),
        m->counter("hamster_rebuilt_slices_total", "Slices rebuilt from others for a reader"),
        m->counter("hamster_hedged_reads_total",
                   "Slices asked for because another one was slow to come"),
    };
}

}  // namespace

ServiceImpl::ServiceImpl(runtime::World* control, meta::Router* router, shards::Store* shards,
                         Options options, base::Metrics* metrics)
    : control_(control),
      router_(router),
      shards_(shards),
      options_(options),
      counters_(register_counters(metrics)),
      budget_(std::make_shared<MemoryBudget>(
          std::max<std::uint64_t>(options.body_memory_bytes, 4 * kStreamBytes))),
      served_budget_(std::make_shared<MemoryBudget>(kServedBytes)),
      rebuild_budget_(std::make_shared<MemoryBudget>(kRebuildBytes)),
      pins_(std::make_shared<PinTable>()),
      away_(std::make_shared<AwayTable>()),
      kept_(std::make_shared<KeptTable>(control->clock.now(), options.remote != nullptr)),
      incoming_(control, shards) {
    control_->random.fill(seed_);
    const Site site{control,     router,      shards,        this,      &options_,
                    pins_.get(), kept_.get(), budget_.get(), &stopping_};
    reconciler_ = std::make_unique<Reconciler>(site, metrics);
    metrics->gauge_fn("hamster_body_memory_bytes", "Memory held by bodies in flight",
                      [budget = budget_] { return static_cast<double>(budget->used()); });
    metrics->gauge_fn("hamster_pinned_blobs", "Blobs being read",
                      [pins = pins_] { return static_cast<double>(pins->size()); });
}

ServiceImpl::~ServiceImpl() = default;

void ServiceImpl::start() {
    reconciler_->start(&gate_);
    if (options_.remote == nullptr) return;
    runtime::spawn(control_->executor, gate_, "keep", keep_loop());
    runtime::spawn(control_->executor, gate_, "probe", probe_loop());
}

Task<Result<void>> ServiceImpl::grow(Lease* lease, std::uint64_t bytes) {
    for (int i = 0; i < kMemoryRetries && !stopping_.load(); ++i) {
        if (lease->grow_to(bytes)) co_return Result<void>{};
        co_await control_->clock.sleep(kMemoryRetry);
    }
    counters_.refused_memory.add();
    co_return fail(Code::kUnavailable, "too many bodies in flight");
}

Task<void> ServiceImpl::stop() {
    stopping_.store(true);
    incoming_.stop();
    co_await gate_.close();
    // The list no longer grows: open() refuses from now on, and requests have been drained.
    for (LoopState& loop : loops_) {
        co_await runtime::run_on(loop.executor, loop.gate.close());
    }
}

std::unique_ptr<Service> make_service(runtime::World* control, meta::Router* router,
                                      shards::Store* shards, Options options,
                                      base::Metrics* metrics) {
    auto service = std::make_unique<ServiceImpl>(control, router, shards, options, metrics);
    service->start();
    return service;
}

}  // namespace hamster::objects
