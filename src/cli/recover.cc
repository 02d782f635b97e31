// recover: the last resort, on the data directory of a node that is not running.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "cli/verbs.h"
#include "node/node.h"
#include "runtime/real/loops.h"

namespace hamster::cli {

using runtime::Task;
using runtime::real::Loops;

namespace {

std::string warning(const node::Lost& lost) {
    std::string text = fmt::format("{} of {} voters do not answer and are given up for good:\n",
                                   lost.voters.size(), lost.voters.size() + 1);
    for (const proto::Node& node : lost.voters) {
        text += fmt::format("  {:<16} {:<22} on {}\n", node.name(), node.address(), node.host());
    }
    return text + fmt::format(
                      "This node becomes the only voter, with its log up to entry {}.\n"
                      "- What only the lost nodes had acknowledged is gone, and so are the objects "
                      "that lie on them.\n"
                      "- They must never start again with their old data: empty their "
                      "directories, and let them join with new tokens.\n"
                      "- If another voter's disk can be saved, stop here and save it.\n",
                      lost.last);
}

Task<int> recover_main(Loops* loops, bool is_forced, std::string data_dir, Console* console) {
    runtime::World* const world = &loops->control();
    auto inspected = co_await node::inspect_loss(world, node::Options{});
    if (!inspected) {
        console->err << fmt::format("hamster: {}\n", inspected.error().context);
        co_return kExitFailed;
    }
    console->err << warning(*inspected);
    if (!is_forced) {
        console->err << "Type yes to go on: " << std::flush;
        std::string answer;
        std::getline(std::cin, answer);
        if (answer != "yes") {
            console->err << "hamster: nothing has been changed\n";
            co_return kExitFailed;
        }
    }
    auto done = co_await node::give_up_lost(world, node::Options{}, std::move(*inspected));
    if (!done) {
        console->err << fmt::format("hamster: {}\n", done.error().context);
        co_return kExitFailed;
    }
    console->out << fmt::format("Done. Next: hamster serve -data-dir {}\n", data_dir);
    co_return kExitOk;
}

}  // namespace

int run_recover(const Args& args, Console& console) {
    const std::string data_dir = args.at("data-dir");
    runtime::real::Options options;
    options.data_dir = data_dir;
    options.io_loops = 1;
    auto loops = Loops::create(options);
    if (!loops) {
        console.err << fmt::format("hamster: {}\n", loops.error().context);
        return kExitFailed;
    }
    Loops* const raw = loops->get();
    return raw->run(recover_main(raw, args.is_on("force"), data_dir, &console),
                    [](int) { ::_exit(kExitFailed); });
}

}  // namespace hamster::cli
