// One run: bucket, objects, load, report, clean-up. Lives on the control loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/bench_report.h"
#include "cli/bench_worker.h"
#include "cli/console.h"
#include "runtime/real/loops.h"

namespace hamster::cli::bench {

class Run {
  public:
    // Everything must outlive the run.
    Run(runtime::real::Loops* loops, Shared* shared, Console* console);

    // The report is printed; the error is for the user. False: there were errors in it.
    runtime::Task<Result<bool>> go();

  private:
    runtime::Task<Result<void>> set_up();
    runtime::Task<Result<void>> connect();
    runtime::Task<Result<void>> ensure_bucket();
    runtime::Task<Result<void>> clean(std::uint64_t first, std::uint64_t end);
    runtime::Task<Report> run_phase(Plan* plan, runtime::Micros limit, std::string_view name);
    runtime::Task<void> watch(std::string name, Report* report);
    void show_progress(std::string_view name, std::int64_t elapsed_us, bool last);

    runtime::real::Loops* loops_;
    Shared* shared_;
    const Options* options_;
    Console* console_;
    std::vector<std::unique_ptr<Worker>> workers_;
    bool made_bucket_ = false;
    bool phase_over_ = false;
};

}  // namespace hamster::cli::bench
