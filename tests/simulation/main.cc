// hamster-sim: runs whole nodes in simulated worlds; see docs/testing.md.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "base/log.h"
#include "campaign.h"
#include "cluster_scenario.h"
#include "planted.h"

namespace hamster::simulation {

namespace {

constexpr std::string_view kUsage =
    "usage: hamster-sim --seed N [--verbose]\n"
    "       hamster-sim --seeds COUNT [--first N] [--jobs J] [--repeat-every K]\n"
    "                   [--within SECONDS: none begins later]\n"
    "       hamster-sim --corpus DIR [--jobs J]\n"
    "       hamster-sim --planted all|NAME [--limit SEEDS] [--jobs J]\n"
    "       a seed with a planted bug: --seed N --planted NAME\n"
    "Each of them with --cluster: clusters of one to seven nodes.\n";

struct Arguments {
    std::optional<std::uint64_t> seed;
    std::optional<std::uint64_t> count;
    std::uint64_t first = 1;
    std::uint64_t limit = 5000;
    std::uint64_t within_s = 0;
    int jobs = 1;
    int repeat_every = 20;
    bool verbose = false;
    bool points = false;
    bool cluster = false;
    std::string corpus;
    std::string planted;
};

[[noreturn]] void usage() {
    fmt::print(stderr, "{}", kUsage);
    std::exit(2);
}

Arguments parse(int argc, char** argv) {
    Arguments out;
    const auto number = [&](int& i) {
        const auto value = i + 1 < argc ? base::parse_u64(argv[++i]) : std::nullopt;
        if (!value) usage();
        return *value;
    };
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--seed")
            out.seed = number(i);
        else if (word == "--seeds")
            out.count = number(i);
        else if (word == "--first" || word == "--from")
            out.first = number(i);
        else if (word == "--limit")
            out.limit = number(i);
        else if (word == "--within")
            out.within_s = number(i);
        else if (word == "--jobs")
            out.jobs = std::max(1, static_cast<int>(number(i)));
        else if (word == "--repeat-every")
            out.repeat_every = static_cast<int>(number(i));
        else if (word == "--repeat-check")
            out.repeat_every = 1;
        else if (word == "--verbose")
            out.verbose = true;
        else if (word == "--cluster")
            out.cluster = true;
        else if (word == "--points")
            out.points = true;
        else if (word == "--corpus" && i + 1 < argc)
            out.corpus = argv[++i];
        else if (word == "--planted" && i + 1 < argc)
            out.planted = argv[++i];
        else
            usage();
    }
    return out;
}

std::span<const base::PlantedBug> planted_bugs(bool cluster) {
    if (cluster) return kClusterBugs;
    return base::kPlantedBugs;
}

base::Bug bug_named(std::string_view name, bool cluster) {
    for (const base::PlantedBug& bug : planted_bugs(cluster)) {
        if (bug.name == name) return bug.bug;
    }
    fmt::print(stderr, "hamster-sim: no planted bug '{}'; there are:\n", name);
    for (const base::PlantedBug& bug : planted_bugs(cluster)) {
        fmt::print(stderr, "  {}\n", bug.name);
    }
    std::exit(2);
}

void print_failure(const Failure& failure, const Arguments& arguments) {
    fmt::print("\nseed {} breaks {}\n{}\nreproduce: hamster-sim{} --seed {}{}{} --verbose\n",
               failure.seed, failure.invariant, failure.account,
               arguments.cluster ? " --cluster" : "", failure.seed,
               arguments.planted.empty() ? "" : " --planted ", arguments.planted);
}

int run_one(const Arguments& arguments) {
    if (!arguments.planted.empty()) {
        [[maybe_unused]] const base::Bug bug = bug_named(arguments.planted, arguments.cluster);
        plant(bug);
    }
    if (arguments.verbose) base::configure_log(base::LogLevel::kInfo, base::LogFormat::kHuman);
    const RunResult outcome =
        (arguments.cluster ? run_cluster_seed : run_seed)(*arguments.seed, arguments.verbose);
    fmt::print("seed {}: trace hash {:016x}, {} requests, {:.1f} s simulated\n", *arguments.seed,
               outcome.trace_hash, outcome.requests,
               static_cast<double>(outcome.simulated_us) / 1e6);
    if (!outcome.violation) {
        fmt::print("1 passed, 0 failed\n");
        return 0;
    }
    print_failure({*arguments.seed, outcome.violation->invariant, outcome.violation->account},
                  arguments);
    fmt::print("0 passed, 1 failed\n");
    return 1;
}

void report_points(const Tally& tally, bool cluster) {
    std::string missing;
    for (const std::string& point : cluster ? expected_cluster_points() : expected_points()) {
        if (!tally.points.contains(point)) missing += " " + point;
    }
    if (missing.empty()) {
        fmt::print("every expected point was reached\n");
    } else {
        fmt::print("never reached:{}\n", missing);
    }
}

int run_many(std::vector<std::uint64_t> seeds, const Arguments& arguments, bool points) {
    const auto began = std::chrono::steady_clock::now();
    Campaign campaign;
    campaign.seeds = std::move(seeds);
    campaign.jobs = arguments.jobs;
    if (arguments.cluster) campaign.run = run_cluster_seed;
    campaign.repeat_every = arguments.repeat_every;
    campaign.within_s = arguments.within_s;
    campaign.progress = ::isatty(STDERR_FILENO) != 0;
    const Tally tally = run_campaign(campaign);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    if (tally.failure) print_failure(*tally.failure, arguments);
    if (points) report_points(tally, arguments.cluster);
    if (!tally.failure && tally.passed < campaign.seeds.size()) {
        fmt::print("stopped after {} s: {} of {} seeds\n", arguments.within_s, tally.passed,
                   campaign.seeds.size());
    }
    if (arguments.points) {
        for (const std::string& point : tally.points) fmt::print("  {}\n", point);
    }
    fmt::print("{:.1f} seeds/s, {} requests, {:.0f} s simulated in {:.1f} s\n",
               static_cast<double>(tally.passed) / took.count(), tally.requests, tally.simulated_s,
               took.count());
    fmt::print("{} passed, {} failed\n", tally.passed, tally.failure ? 1 : 0);
    return tally.failure ? 1 : 0;
}

std::vector<std::uint64_t> range_of(std::uint64_t first, std::uint64_t count) {
    std::vector<std::uint64_t> seeds;
    seeds.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) seeds.push_back(first + i);
    return seeds;
}

// Files of lines "SEED why"; '#' begins a comment. Those of clusters stand in one of their own.
std::vector<std::uint64_t> corpus_of(const std::string& dir, bool cluster) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
        const bool is_of_clusters = entry.path().filename() == "cluster.txt";
        if (is_of_clusters == cluster) files.push_back(entry.path());
    }
    std::ranges::sort(files);
    std::vector<std::uint64_t> seeds;
    for (const auto& path : files) {
        std::ifstream file(path);
        std::string line;
        while (std::getline(file, line)) {
            std::istringstream words(line);
            std::string word;
            if (!(words >> word) || word.starts_with('#')) continue;
            const auto seed = base::parse_u64(word);
            if (!seed) {
                fmt::print(stderr, "hamster-sim: {}: not a seed: {}\n", path.string(), word);
                std::exit(2);
            }
            seeds.push_back(*seed);
        }
    }
    return seeds;
}

// Then it was not the planted bug that the seed found.
bool fails_without(Campaign campaign, std::uint64_t seed) {
    campaign.seeds = {seed};
    campaign.bug = base::Bug::kNone;
    return run_campaign(campaign).failure.has_value();
}

// Each bug must be found by some seed.
int run_planted(const Arguments& arguments) {
    int found = 0;
    int missed = 0;
    for (const base::PlantedBug& bug : planted_bugs(arguments.cluster)) {
        if (arguments.planted != "all" &&
            bug.bug != bug_named(arguments.planted, arguments.cluster))
            continue;
        Campaign campaign;
        campaign.seeds = range_of(arguments.first, arguments.limit);
        // The one that found it last time comes first: that saves a search, as long as it does.
        if (arguments.cluster) campaign.seeds.insert(campaign.seeds.begin(), likely_seed(bug.bug));
        campaign.jobs = arguments.jobs;
        if (arguments.cluster) campaign.run = run_cluster_seed;
        campaign.progress = false;
        campaign.quiet = true;
        campaign.repeat_every = 0;
        campaign.bug = bug.bug;
        const Tally tally = run_campaign(campaign);
        if (tally.failure && fails_without(campaign, tally.failure->seed)) {
            ++missed;
            fmt::print("{:<24} NOT FOUND: seed {} fails without it, too\n", bug.name,
                       tally.failure->seed);
        } else if (tally.failure) {
            ++found;
            const std::string& account = tally.failure->account;
            fmt::print("{:<24} found by seed {:>5} ({}) {}\n", bug.name, tally.failure->seed,
                       tally.failure->invariant,
                       account.substr(0, std::min<std::size_t>(account.find('\n'), 100)));
        } else {
            ++missed;
            fmt::print("{:<24} NOT FOUND in {} seeds\n", bug.name, tally.passed);
        }
        std::fflush(stdout);
    }
    fmt::print("{} passed, {} failed\n", found, missed);
    return missed == 0 ? 0 : 1;
}

int run(int argc, char** argv) {
    const Arguments arguments = parse(argc, argv);
    base::configure_log(base::LogLevel::kOff, base::LogFormat::kHuman);
    if (arguments.seed) return run_one(arguments);
    if (!arguments.planted.empty()) return run_planted(arguments);
    if (!arguments.corpus.empty()) {
        const auto seeds = corpus_of(arguments.corpus, arguments.cluster);
        if (seeds.empty()) {
            fmt::print("no seeds in {}\n0 passed, 0 failed\n", arguments.corpus);
            return 0;
        }
        Arguments each_twice = arguments;  // the hash of some was what failed
        each_twice.repeat_every = 1;
        return run_many(seeds, each_twice, false);
    }
    if (arguments.count)
        return run_many(range_of(arguments.first, *arguments.count), arguments, true);
    usage();
}

}  // namespace

}  // namespace hamster::simulation

int main(int argc, char** argv) { return hamster::simulation::run(argc, argv); }
