// hamster bench: a load generator for any S3 endpoint.
#include <fmt/format.h>
#include <unistd.h>

#include <ostream>
#include <utility>

#include "cli/bench_resolve.h"
#include "cli/bench_run.h"
#include "cli/verbs.h"

namespace hamster::cli {

namespace {

int report(Console& console, const Error& error, int exit_code) {
    console.err << fmt::format("hamster: {}\n", error.context);
    return exit_code;
}

runtime::Task<int> bench_main(bench::Run* run, Console* console) {
    auto ended = co_await run->go();
    if (!ended) co_return report(*console, ended.error(), kExitFailed);
    co_return *ended ? kExitOk : kExitFailed;
}

}  // namespace

int run_bench(const Args& args, Console& console) {
    auto options = bench::options_of(args, console);
    if (!options) return report(console, options.error(), kExitUsage);
    auto address = bench::resolve(options->endpoint.host, options->endpoint.port);
    if (!address) return report(console, address.error(), kExitFailed);
    runtime::real::Options loop_options;
    loop_options.io_loops = options->threads;
    loop_options.pool_threads = 1;
    auto loops = runtime::real::Loops::create(loop_options);
    if (!loops) return report(console, loops.error(), kExitFailed);
    const bool hashes = !options->unsigned_payload && !options->access_key_id.empty() &&
                        options->path.empty() && options->mode != bench::Mode::kList;
    const bench::Content content(options->size, hashes);
    bench::Shared shared;
    shared.options = &*options;
    shared.content = &content;
    shared.address = *address;
    bench::Run run(loops->get(), &shared, &console);
    return (*loops)->run(bench_main(&run, &console), [&shared](int) {
        // The first ends the load, and what was made is cleaned up; the second ends it all.
        if (shared.stop.exchange(true)) ::_exit(kExitFailed);
    });
}

}  // namespace hamster::cli
