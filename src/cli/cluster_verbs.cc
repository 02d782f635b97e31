// status, token, can-stop, transfer-leadership and remove: what people ask of a cluster, through
// the node that runs on the data directory.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <ostream>
#include <thread>
#include <vector>

#include "cli/bench_options.h"
#include "cli/control_client.h"
#include "cli/json_fields.h"
#include "cli/layout_text.h"
#include "cli/question.h"
#include "cli/verbs.h"

namespace hamster::cli {

namespace json = boost::json;

namespace {

constexpr auto kWatchEvery = std::chrono::seconds(2);

// ---- status ---------------------------------------------------------------------------------

std::string problem_of(const json::object& member) {
    if (text_of(member, "state") == "down") {
        const std::uint64_t silent = number_of(member, "silent_ms");
        const std::string leaving = leaving_text(member);
        return (silent == 0 ? "not heard yet" : "silent for " + duration_text(silent / 1000)) +
               (leaving.empty() ? "" : "; " + leaving);
    }
    if (bool_of(member, "full")) return "disk full";
    if (const auto trouble = text_of(member, "trouble"); !trouble.empty()) return trouble;
    const std::uint64_t lag = number_of(member, "lag");
    if (lag > 1000) return fmt::format("{} entries behind", lag);
    if (auto leaving = leaving_text(member); !leaving.empty()) return leaving;
    if (auto repair = repair_text(member); !repair.empty()) return repair;
    const std::string replaced = text_of(member, "replaces");
    if (!replaced.empty()) return "takes the place of " + replaced;
    const auto corrupt = number_of(member, "corrupt_slices");
    return corrupt == 0 ? std::string()
                        : fmt::format("found {} corrupt slices since its start", corrupt);
}

void show_members(const json::array& members, Console& console) {
    std::size_t name_width = 4;
    std::size_t host_width = 4;
    std::size_t zone_width = 4;
    for (const json::value& value : members) {
        name_width = std::max(name_width, text_of(value.as_object(), "node").size());
        host_width = std::max(host_width, text_of(value.as_object(), "host").size());
        zone_width = std::max(zone_width, text_of(value.as_object(), "zone").size());
    }
    const auto row = [&](const std::string& name, const std::string& role, const std::string& state,
                         const std::string& host, const std::string& zone,
                         const std::string& capacity, const std::string& free,
                         const std::string& version, const std::string& address,
                         const std::string& note) {
        std::string line =
            fmt::format("{:<{}}  {:<8} {:<9} {:<{}}  {:<{}}  {:>10} {:>10}  {:<8} {}", name,
                        name_width, role, state, host, host_width, zone.empty() ? "-" : zone,
                        zone_width, capacity, free, version, address);
        if (!note.empty()) line += "  (" + note + ")";
        console.out << line << "\n";
    };
    row("NODE", "ROLE", "STATE", "HOST", "ZONE", "CAPACITY", "FREE", "VERSION", "ADDRESS", "");
    for (const json::value& value : members) {
        const json::object& m = value.as_object();
        const bool is_heard = is_known(m, "disk_free_bytes");
        row(text_of(m, "node"), text_of(m, "role"), text_of(m, "state"), text_of(m, "host"),
            text_of(m, "zone"), bytes_text(number_of(m, "capacity_bytes")),
            is_heard ? bytes_text(number_of(m, "disk_free_bytes")) : "-", text_of(m, "version"),
            text_of(m, "address"), problem_of(m));
    }
}

bool names_zones(const json::object& cluster) {
    const json::value* members = cluster.if_contains("members");
    return members != nullptr && std::ranges::any_of(members->as_array(), [](const auto& value) {
               return !text_of(value.as_object(), "zone").empty();
           });
}

void show_cluster(const json::object& cluster, Console& console) {
    if (cluster.contains("error")) {
        console.out << fmt::format("CLUSTER   {}\n\n", text_of(cluster, "error"));
        return;
    }
    if (const json::value* members = cluster.if_contains("members")) {
        show_members(members->as_array(), console);
    }
    if (const json::value* layout = cluster.if_contains("layout")) {
        const bool has_zones = names_zones(cluster);
        if (layout->is_object()) console.out << layout_text(layout->get_object(), has_zones);
    }
    if (bool_of(cluster, "changing")) console.out << "A change of the voters is under way.\n";
    if (const json::value* notes = cluster.if_contains("notes")) {
        for (const json::value& note : notes->as_array()) {
            console.out << fmt::format("Note: {}\n", note.as_string().c_str());
        }
    }
    console.out << "\n";
}

void show_status(const json::object& s, Console& console) {
    const json::value* cluster = s.if_contains("cluster");
    if (cluster != nullptr && cluster->is_object()) show_cluster(cluster->get_object(), console);
    const bool is_full = bool_of(s, "full");
    const auto line = [&](std::string_view name, const std::string& value) {
        console.out << fmt::format("{:<9} {}\n", name, value);
    };
    line("node", fmt::format("{} ({})", text_of(s, "node"), text_of(s, "node_id")));
    line("cluster", text_of(s, "cluster_id"));
    line("state",
         fmt::format("{}{}, up {}, version {}", text_of(s, "state"),
                     is_full ? ", FULL: writes answer 507" : "",
                     duration_text(number_of(s, "uptime_seconds")), text_of(s, "version")));
    line("holds", fmt::format("{} objects in {} buckets, {}", number_of(s, "objects"),
                              number_of(s, "buckets"), bytes_text(number_of(s, "object_bytes"))));
    line("disk",
         fmt::format("{} free of {}, {} in segments", bytes_text(number_of(s, "disk_free_bytes")),
                     bytes_text(number_of(s, "disk_total_bytes")),
                     bytes_text(number_of(s, "disk_bytes"))));
    line("garbage",
         fmt::format("{} blobs, {}, waiting to be collected", number_of(s, "garbage_blobs"),
                     bytes_text(number_of(s, "garbage_bytes"))));
    if (number_of(s, "corrupt_slices") > 0) {
        line("DAMAGE", fmt::format("{} corrupt slices found since the start: see the log",
                                   number_of(s, "corrupt_slices")));
    }
    line("s3", text_of(s, "s3"));
    line("admin", text_of(s, "admin").empty() ? "none" : text_of(s, "admin"));
}

}  // namespace

int run_status(const Args& args, Console& console) {
    for (;;) {
        auto answer = ask_node(args.at("data-dir"), "GET", "/v1/status", {});
        if (!answer && !args.is_on("watch")) return report_failure(console, answer.error());
        if (args.is_on("watch")) console.out << "\x1b[H\x1b[2J";
        if (!answer) {
            console.out << fmt::format("hamster: {}\n", answer.error().context);
        } else if (args.is_on("json")) {
            console.out << json::serialize(*answer) << "\n";
        } else {
            show_status(*answer, console);
        }
        console.out << std::flush;
        if (!args.is_on("watch")) return kExitOk;
        std::this_thread::sleep_for(kWatchEvery);
    }
}

int run_token(const Args& args, Console& console) {
    auto ttl = bench::parse_duration(args.at("ttl"));
    if (!ttl) {
        console.err << fmt::format("hamster: -ttl: {}\n", ttl.error().context);
        return kExitUsage;
    }
    auto answer = ask_node(args.at("data-dir"), "POST", "/v1/cluster/token",
                           {{"ttl_ms", ttl->count() / 1000}});
    if (!answer) return report_failure(console, answer.error());
    console.out << (args.is_on("json") ? json::serialize(*answer) : text_of(*answer, "token"))
                << "\n";
    return kExitOk;
}

int run_can_stop(const Args& args, Console& console) {
    auto answer =
        ask_node(args.at("data-dir"), "POST", "/v1/cluster/can-stop", {{"node", args.at("node")}});
    if (!answer) return report_failure(console, answer.error());
    const bool can_stop = bool_of(*answer, "can_stop");
    if (args.is_on("json")) {
        console.out << json::serialize(*answer) << "\n";
    } else {
        console.out << (can_stop ? "Yes: the others keep serving.\n"
                                 : fmt::format("No: {}\n", text_of(*answer, "reason")));
    }
    return can_stop ? kExitOk : kExitFailed;
}

int run_transfer_leadership(const Args& args, Console& console) {
    auto answer = ask_node(args.at("data-dir"), "POST", "/v1/cluster/transfer",
                           {{"node", args.value("to").value_or("")}});
    if (!answer) return report_failure(console, answer.error());
    console.out << (args.is_on("json") ? json::serialize(*answer)
                                       : fmt::format("{} leads now.", text_of(*answer, "leader")))
                << "\n";
    return kExitOk;
}

int run_remove(const Args& args, Console& console) {
    const bool is_lost = args.is_on("lost");
    const bool is_forced = args.is_on("force");
    if (is_forced && !is_lost) {
        console.err << "hamster: -force goes with -lost: without it there is no question\n";
        return kExitUsage;
    }
    json::object wanted{{"node", args.operands()[0]}, {"lost", is_lost}, {"agreed", is_forced}};
    auto answer = ask_node(args.at("data-dir"), "POST", "/v1/cluster/remove", wanted);
    if (answer && answer->contains("question")) {
        if (!agrees(loss_text(*answer), "-force", console)) return kExitFailed;
        wanted["agreed"] = true;
        answer = ask_node(args.at("data-dir"), "POST", "/v1/cluster/remove", wanted);
    }
    if (!answer) return report_failure(console, answer.error());
    const std::string_view then =
        is_lost ? "Empty its data directory before that machine is used again."
                : "Stop it, if it runs; its data directory is of no more use.";
    console.out << (args.is_on("json") ? json::serialize(*answer)
                                       : fmt::format("{} is no member any more. {}",
                                                     text_of(*answer, "removed"), then))
                << "\n";
    return kExitOk;
}

}  // namespace hamster::cli
