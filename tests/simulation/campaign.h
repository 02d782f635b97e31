// Many seeds over several processes. A seed that aborts takes only its own process with it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/planted.h"
#include "scenario.h"

namespace hamster::simulation {

struct Failure {
    std::uint64_t seed = 0;
    std::string invariant;
    std::string account;
};

struct Campaign {
    std::vector<std::uint64_t> seeds;
    int jobs = 1;
    bool progress = true;
    bool quiet = false;  // the seeds' own stderr is thrown away
    // No seed begins later than this after the campaign did; 0: no limit.
    std::uint64_t within_s = 0;
    int repeat_every = 20;  // every so many-th seed runs twice: same hash or I14; 0: none
    base::Bug bug = base::Bug::kNone;
    RunResult (*run)(std::uint64_t seed, bool verbose) = run_seed;
};

struct Tally {
    std::uint64_t passed = 0;
    std::uint64_t requests = 0;
    double simulated_s = 0;
    std::optional<Failure> failure;  // the first; the campaign ends there
    std::set<std::string, std::less<>> points;
};

Tally run_campaign(const Campaign& campaign);

}  // namespace hamster::simulation
