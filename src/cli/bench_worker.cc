#include "cli/bench_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace hamster::cli::bench {

using runtime::Task;

namespace {

// Between a failed request and the next: a server that refuses connections is not flooded.
constexpr runtime::Micros kAfterError = std::chrono::milliseconds(20);

// One writer; readers may see an older value.
void add(std::atomic<std::uint64_t>* counter, std::uint64_t n) {
    counter->store(counter->load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace

Worker::Worker(runtime::World* world, Shared* shared, std::size_t first, std::size_t step,
               std::size_t clients)
    : world_(world), shared_(shared), signer_(*shared->options) {
    for (std::size_t number = first; number < clients; number += step) {
        members_.push_back(std::make_unique<Member>(
            Client(number),
            Connection(world_, shared_->options, shared_->content, &signer_, shared_->address)));
    }
}

Task<Result<void>> Worker::connect() {
    for (const auto& member : members_) {
        auto connected = co_await member->connection.connect();
        CO_TRY(connected);
    }
    co_return Result<void>{};
}

Task<bool> Worker::run(Plan* plan, runtime::Time deadline) {
    tally_ = Tally();
    done_ = moved_ = failed_ = 0;
    runtime::Gate gate;
    for (const auto& member : members_) {
        runtime::spawn(world_->executor, gate, "bench client", serve(member.get(), plan, deadline));
    }
    co_await gate.close();
    co_return true;
}

Task<void> Worker::serve(Member* member, Plan* plan, runtime::Time deadline) {
    while (world_->clock.now() < deadline && !shared_->stop.load(std::memory_order_relaxed)) {
        const std::optional<Request> request = plan->next(&member->client);
        if (!request) break;
        const runtime::Time start = world_->clock.now();
        const Outcome outcome = co_await member->connection.exchange(&*request);
        count(plan, member, *request, outcome, world_->clock.now() - start);
        if (!outcome.error.empty()) {
            co_await world_->clock.sleep(kAfterError);
        }
    }
}

void Worker::count(Plan* plan, Member* member, const Request& request, const Outcome& outcome,
                   runtime::Micros took) {
    std::string error = outcome.error;
    // DeleteObjects tells its failures in a reply with status 200.
    if (error.empty() && request.op == Op::kAdmin) {
        error = xml_text(member->connection.kept(), "Code");
    }
    if (!error.empty()) {
        add(&failed_, 1);
        ++tally_.errors[error];
        if (tally_.first_error.empty()) {
            tally_.first_error = fmt::format("{} {}: {}", request.method, request.path, error);
        }
        return;
    }
    add(&done_, 1);
    tally_.latency_us[static_cast<std::size_t>(request.op)].record(
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, took.count())));
    tally_.bytes += outcome.bytes;
    std::uint64_t moved = outcome.bytes;
    if (request.op == Op::kList) {
        moved = plan->take_listing(&member->client, member->connection.kept());
        tally_.keys += moved;
    }
    add(&moved_, moved);
}

}  // namespace hamster::cli::bench
