// What a run has measured, and how it is told. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "cli/bench_histogram.h"
#include "cli/bench_options.h"
#include "cli/bench_request.h"

namespace hamster::cli::bench {

// Of one loop, then of all.
struct Tally {
    std::array<Histogram, kOps> latency_us;  // of successes, by Op
    std::map<std::string, std::uint64_t> errors;
    std::string first_error;  // with what was asked
    std::uint64_t bytes = 0;  // of object content, either way
    std::uint64_t keys = 0;   // listed

    void merge(const Tally& other);
    [[nodiscard]] Histogram latency() const;  // of all operations
    [[nodiscard]] std::uint64_t error_count() const;
};

struct ServerUse {
    std::uint64_t cpu_us = 0;  // during the run
    std::uint64_t rss_bytes = 0;
    std::uint64_t peak_bytes = 0;  // seen during the run
};

struct Report {
    Tally tally;
    std::uint64_t elapsed_us = 0;
    std::uint64_t own_cpu_us = 0;
    std::optional<ServerUse> server;
};

std::string report_text(const Options& options, const Report& report);
std::string report_json(const Options& options, const Report& report);

}  // namespace hamster::cli::bench
