// scrub: the node that runs on the data directory reads all it has.
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <ostream>
#include <string>

#include "cli/control_client.h"
#include "cli/json_fields.h"
#include "cli/progress.h"
#include "cli/verbs.h"

namespace hamster::cli {

namespace json = boost::json;

int run_scrub(const Args& args, Console& console) {
    const std::string& data_dir = args.at("data-dir");
    const auto begun = ask_node(data_dir, "POST", "/v1/scrub", {});
    if (!begun) return report_failure(console, begun.error());
    const std::uint64_t wanted = number_of(*begun, "scrub_passes");
    if (args.is_on("no-wait")) {
        console.out << (args.is_on("json")
                            ? json::serialize(*begun)
                            : "Everything is read now: `hamster status` shows how far it is.")
                    << "\n";
        return kExitOk;
    }
    std::uint64_t seen_uptime = 0;
    const auto look = [&](const Args&, ProgressLine& line) -> Result<json::object> {
        TRY_ASSIGN(json::object status, ask_node(data_dir, "GET", "/v1/status", {}));
        const std::uint64_t passes = number_of(status, "scrub_passes");
        const bool is_done = passes >= wanted;
        // Nobody remembers over a restart what was asked for.
        const std::uint64_t uptime = number_of(status, "uptime_seconds");
        if (uptime < seen_uptime) return json::object{{"done", true}, {"restarted", true}};
        seen_uptime = uptime;
        if (!is_done) line.show(fmt::format("{} %", number_of(status, "scrub_percent")));
        return json::object{{"done", is_done},
                            {"damaged_shards", number_of(status, "scrub_damaged_shards")}};
    };
    const auto done = watch(args, console, look);
    if (!done) return report_failure(console, done.error());
    if (bool_of(*done, "restarted")) {
        return report_failure(
            console, {Code::kUnavailable, "the node was restarted meanwhile: scrub again"});
    }
    const std::uint64_t damaged = number_of(*done, "damaged_shards");
    console.out << (args.is_on("json")
                        ? json::serialize(json::object{{"damaged_shards", damaged}})
                        : fmt::format("Everything was read. Damaged shards found since the node "
                                      "started: {}{}",
                                      damaged,
                                      damaged == 0 ? "." : "; they are restored from the others."))
                << "\n";
    return kExitOk;
}

}  // namespace hamster::cli
