// One run: a cluster of one to seven nodes, its clients, its faults, from one seed.
#pragma once

#include "scenario.h"

namespace hamster::simulation {

RunResult run_cluster_seed(std::uint64_t seed, bool verbose);

// Every point that a campaign should pass.
const std::set<std::string, std::less<>>& expected_cluster_points();

}  // namespace hamster::simulation
