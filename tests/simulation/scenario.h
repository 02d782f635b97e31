// One run: a node, its clients, its faults, from one seed.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "report.h"

namespace hamster::simulation {

struct RunResult {
    std::uint64_t trace_hash = 0;
    std::uint64_t simulated_us = 0;
    std::uint64_t requests = 0;
    std::optional<Violation> violation;
    std::set<std::string, std::less<>> points;
};

RunResult run_seed(std::uint64_t seed, bool verbose);

// Every point that a campaign should pass.
const std::set<std::string, std::less<>>& expected_points();

}  // namespace hamster::simulation
