#include "cli/bench_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ostream>
#include <utility>

#include "cli/bench_process.h"

namespace hamster::cli::bench {

using runtime::Micros;
using runtime::Task;
using runtime::Time;

namespace {

constexpr Micros kWatchInterval = std::chrono::milliseconds(100);
constexpr int kShowEvery = 5;  // intervals
constexpr Micros kNoLimit = std::chrono::hours(24 * 365);

Request bucket_request(const Options& options, std::string_view method) {
    Request request;
    request.op = method == "HEAD" ? Op::kStat : Op::kAdmin;
    request.method = method;
    request.path = "/" + options.bucket;
    if (method == "PUT" && options.region != "us-east-1") {
        request.body = fmt::format(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
            options.region);
    }
    return request;
}

Result<void> no_errors(const Report& report, std::string_view what) {
    if (report.tally.errors.empty()) return {};
    return fail(Code::kIo, fmt::format("{} failed {} times, first {}", what,
                                       report.tally.error_count(), report.tally.first_error));
}

}  // namespace

Run::Run(runtime::real::Loops* loops, Shared* shared, Console* console)
    : loops_(loops), shared_(shared), options_(shared->options), console_(console) {
    const std::vector<runtime::World*> io = loops->io();
    for (std::size_t i = 0; i < io.size(); ++i) {
        workers_.push_back(
            std::make_unique<Worker>(io[i], shared_, i, io.size(), options_->clients));
    }
}

Task<Result<bool>> Run::go() {
    auto ready = co_await set_up();
    CO_TRY(ready);
    const std::uint64_t objects = options_->objects;
    if (options_->path.empty() && options_->mode != Mode::kPut && !options_->reuse) {
        Plan prepare(options_, Phase::kPrepare, 0, objects);
        const Report made = co_await run_phase(&prepare, kNoLimit, "preparing");
        if (made.tally.error_count() > 0) {
            auto cleaned = co_await clean(0, objects);
            (void)cleaned;  // the first failure tells more
        }
        CO_TRY(no_errors(made, "preparing objects"));
    }
    Plan plan(options_, Phase::kMeasure, 0, objects);
    const Micros limit = options_->requests ? kNoLimit : options_->duration;
    const Report report = co_await run_phase(&plan, limit, name_of(options_->mode));
    console_->out << (options_->json ? report_json(*options_, report)
                                     : report_text(*options_, report))
                  << std::flush;
    const bool is_clean = report.tally.error_count() == 0 && report.tally.latency().count() > 0;
    if (!options_->path.empty()) co_return is_clean;
    auto cleaned = co_await clean(options_->reuse ? objects : 0, plan.objects_end());
    CO_TRY(cleaned);
    co_return is_clean;
}

Task<Result<void>> Run::set_up() {
    auto connected = co_await connect();
    CO_TRY(connected);
    if (!options_->path.empty()) co_return Result<void>{};
    auto ensured = co_await ensure_bucket();
    co_return ensured;
}

Task<Result<void>> Run::connect() {
    for (const auto& worker : workers_) {
        auto connected = co_await runtime::run_on(worker->world()->executor, worker->connect());
        if (!connected) {
            co_return fail(connected.error(), "cannot connect to " + shared_->address);
        }
    }
    co_return Result<void>{};
}

Task<Result<void>> Run::ensure_bucket() {
    Signer signer(*options_);
    Connection connection(&loops_->control(), options_, shared_->content, &signer,
                          shared_->address);
    const Request head = bucket_request(*options_, "HEAD");
    const Outcome there = co_await connection.exchange(&head);
    if (there.error.empty()) co_return Result<void>{};
    if (there.status != 404) {
        co_return fail(Code::kIo, fmt::format("bucket {}: {}{}", options_->bucket, there.error,
                                              there.status == 403 ? " (wrong keys?)" : ""));
    }
    const Request put = bucket_request(*options_, "PUT");
    const Outcome made = co_await connection.exchange(&put);
    if (!made.error.empty()) {
        co_return fail(Code::kIo,
                       fmt::format("making bucket {}: {}", options_->bucket, made.error));
    }
    made_bucket_ = true;
    co_return Result<void>{};
}

Task<Result<void>> Run::clean(std::uint64_t first, std::uint64_t end) {
    const bool owns_all = !options_->keep;
    if (first >= end && !owns_all) co_return Result<void>{};
    if (options_->keep && !options_->reuse) co_return Result<void>{};
    shared_->stop = false;
    if (first < end) {
        Plan plan(options_, Phase::kClean, first, end);
        const Report removed = co_await run_phase(&plan, kNoLimit, "cleaning up");
        CO_TRY(no_errors(removed, "cleaning up"));
    }
    if (!made_bucket_ || options_->keep) co_return Result<void>{};
    Signer signer(*options_);
    Connection connection(&loops_->control(), options_, shared_->content, &signer,
                          shared_->address);
    const Request drop = bucket_request(*options_, "DELETE");
    const Outcome dropped = co_await connection.exchange(&drop);
    if (!dropped.error.empty()) {
        co_return fail(Code::kIo,
                       fmt::format("deleting bucket {}: {}", options_->bucket, dropped.error));
    }
    co_return Result<void>{};
}

Task<Report> Run::run_phase(Plan* plan, Micros limit, std::string_view name) {
    runtime::World* const control = &loops_->control();
    Report report;
    runtime::Gate gate;
    phase_over_ = false;
    const auto before = use_of(options_->server_pid);
    const std::uint64_t own_before = own_cpu_us();
    const Time start = control->clock.now();
    runtime::spawn(control->executor, gate, "bench watch", watch(std::string(name), &report));
    std::vector<Task<bool>> running;
    running.reserve(workers_.size());
    for (const auto& worker : workers_) {
        running.push_back(
            runtime::run_on(worker->world()->executor, worker->run(plan, start + limit)));
    }
    auto finished = co_await runtime::when_all(std::move(running));
    report.elapsed_us = static_cast<std::uint64_t>(
        std::max<std::int64_t>(1, (control->clock.now() - start).count()));
    report.own_cpu_us = own_cpu_us() - own_before;
    const auto after = use_of(options_->server_pid);
    phase_over_ = true;
    co_await gate.close();
    if (before && after) {
        const std::uint64_t seen = report.server ? report.server->peak_bytes : 0;
        report.server = ServerUse{after->cpu_us - before->cpu_us, after->rss_bytes,
                                  std::max(seen, after->rss_bytes)};
    }
    for (const auto& worker : workers_) report.tally.merge(worker->tally());
    co_return report;
}

Task<void> Run::watch(std::string name, Report* report) {
    runtime::World* const control = &loops_->control();
    const bool shows = ::isatty(STDERR_FILENO) == 1;
    const Time start = control->clock.now();
    for (int interval = 1; !phase_over_; ++interval) {
        co_await control->clock.sleep(kWatchInterval);
        if (phase_over_) break;
        if (shows && interval % kShowEvery == 0) {
            show_progress(name, (control->clock.now() - start).count(), false);
        }
        if (options_->server_pid == 0) continue;
        const auto use = use_of(options_->server_pid);
        if (!use) continue;
        if (!report->server) report->server = ServerUse{};
        report->server->peak_bytes = std::max(report->server->peak_bytes, use->rss_bytes);
    }
    if (shows) show_progress(name, 0, true);
}

void Run::show_progress(std::string_view name, std::int64_t elapsed_us, bool last) {
    constexpr std::string_view kClearLine = "\r\x1b[K";
    if (last) {
        console_->err << kClearLine << std::flush;
        return;
    }
    std::uint64_t done = 0;
    std::uint64_t moved = 0;
    std::uint64_t failed = 0;
    for (const auto& worker : workers_) {
        done += worker->done();
        moved += worker->moved();
        failed += worker->failed();
    }
    const double seconds = static_cast<double>(elapsed_us) / 1e6;
    const bool lists = options_->mode == Mode::kList && name == name_of(Mode::kList);
    const double rate = static_cast<double>(moved) / seconds / (lists ? 1 : 1024.0 * 1024.0);
    console_->err << fmt::format("{}{}  {:.1f} s  {} requests  {:.0f}/s  {:.1f} {}/s  {} errors",
                                 kClearLine, name, seconds, done,
                                 static_cast<double>(done) / seconds, rate, lists ? "keys" : "MiB",
                                 failed)
                  << std::flush;
}

}  // namespace hamster::cli::bench
