// drain, undrain, optimize and set-profile: what people ask of the layout, through the node that
// runs on the data directory.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <ostream>
#include <string>

#include "cli/control_client.h"
#include "cli/json_fields.h"
#include "cli/layout_text.h"
#include "cli/progress.h"
#include "cli/question.h"
#include "cli/verbs.h"

namespace hamster::cli {

namespace json = boost::json;

namespace {

Result<json::object> post(const Args& args, const std::string& what, const json::object& body) {
    return ask_node(args.at("data-dir"), "POST", "/v1/cluster/" + what, body);
}

int show(const Args& args, Console& console, const json::object& answer, const std::string& text) {
    console.out << (args.is_on("json") ? json::serialize(answer) : text) << "\n";
    return kExitOk;
}

// ---- drain ----------------------------------------------------------------------------------

// What a drain across a boundary waits for.
std::string reencoding_in(const json::object& cluster) {
    const json::value* layout = cluster.if_contains("layout");
    const json::object* fields = layout == nullptr ? nullptr : layout->if_object();
    const json::value* reencode = fields == nullptr ? nullptr : fields->if_contains("reencode");
    const json::object* row = reencode == nullptr ? nullptr : reencode->if_object();
    if (row == nullptr || !is_known(*row, "bytes_left")) return {};
    if (number_of(*row, "blobs_left") == 0) return "; old shards are being dropped";
    return "; " + progress_text(number_of(*row, "bytes_at_start"), number_of(*row, "bytes_left"));
}

Result<json::object> look_at_drain(const Args& args, ProgressLine& line) {
    TRY_ASSIGN(const json::object status, ask_node(args.at("data-dir"), "GET", "/v1/status", {}));
    const json::value* cluster = status.if_contains("cluster");
    const json::object* fields = cluster == nullptr ? nullptr : cluster->if_object();
    const json::value* members = fields == nullptr ? nullptr : fields->if_contains("members");
    if (members == nullptr || !members->is_array()) {
        return fail(Code::kInvalid, fields == nullptr ? "no cluster" : text_of(*fields, "error"));
    }
    for (const json::value& value : members->get_array()) {
        const json::object* member = value.if_object();
        const std::string& name = args.operands()[0];
        if (member == nullptr ||
            (text_of(*member, "node") != name && text_of(*member, "node_id") != name)) {
            continue;
        }
        const std::string state = text_of(*member, "state");
        if (number_of(*member, "slots") + number_of(*member, "slots_owed") +
                number_of(*member, "blobs") ==
            0) {
            return json::object{{"node", name}, {"drained", true}, {"done", true}};
        }
        if (!bool_of(*member, "leaving")) {
            return json::object{{"node", name}, {"drained", false}, {"done", true}};
        }
        line.show(fmt::format("{}: {}{}", name, leaving_text(*member), reencoding_in(*fields)));
        return json::object{};
    }
    return json::object{{"node", args.operands()[0]}, {"drained", true}, {"done", true}};
}

int wait_until_drained(const Args& args, Console& console) {
    const auto waited = watch(args, console, look_at_drain);
    if (!waited) return report_failure(console, waited.error());
    const std::string& name = args.operands()[0];
    if (!bool_of(*waited, "drained")) {
        console.err << fmt::format("hamster: {} was told to stay meanwhile\n", name);
        return kExitFailed;
    }
    return show(
        args, console, *waited,
        fmt::format("{0} is empty. To take it out of the cluster: hamster remove {0}", name));
}

// ---- optimize -------------------------------------------------------------------------------

Result<json::object> look_at_optimize(const Args& args, ProgressLine& line) {
    TRY_ASSIGN(json::object now, post(args, "optimize", {{"do", "look"}}));
    if (!bool_of(now, "running")) {
        now["done"] = true;
        return now;
    }
    line.show(progress_text(number_of(now, "bytes_at_start"), number_of(now, "bytes_left")));
    return now;
}

int show_optimized(const Args& args, Console& console, const json::object& now) {
    const std::string profile = text_of(now, "profile");
    if (number_of(now, "blobs_left") == 0) {
        return show(args, console, now, fmt::format("All objects are stored as {}.", profile));
    }
    if (args.is_on("json")) console.out << json::serialize(now) << "\n";
    console.err << fmt::format("hamster: it was ended before all were stored as {}: {} are left\n",
                               profile, bytes_text(number_of(now, "bytes_left")));
    return kExitFailed;
}

}  // namespace

int run_drain(const Args& args, Console& console) {
    json::object wanted{{"node", args.operands()[0]}, {"agreed", args.is_on("reencode")}};
    auto answer = post(args, "drain", wanted);
    if (answer && answer->contains("question")) {
        if (!agrees(question_text(*answer), "-reencode", console)) return kExitFailed;
        wanted["agreed"] = true;
        answer = post(args, "drain", wanted);
    }
    if (!answer) return report_failure(console, answer.error());
    if (args.is_on("wait")) return wait_until_drained(args, console);
    return show(args, console, *answer,
                fmt::format("{0} gives its shards away: `hamster status` shows how far it is. Once "
                            "it is drained: hamster remove {0}",
                            text_of(*answer, "node")));
}

int run_undrain(const Args& args, Console& console) {
    const auto answer = post(args, "undrain", {{"node", args.operands()[0]}});
    if (!answer) return report_failure(console, answer.error());
    return show(args, console, *answer, text_of(*answer, "node") + " stays, and takes shards.");
}

int run_optimize(const Args& args, Console& console) {
    if (args.is_on("stop")) {
        const auto stopped = post(args, "optimize", {{"do", "stop"}});
        if (!stopped) return report_failure(console, stopped.error());
        return show(args, console, *stopped, "No more objects are stored anew.");
    }
    const auto begun = post(args, "optimize", {{"do", "start"}});
    if (!begun) return report_failure(console, begun.error());
    if (number_of(*begun, "blobs_left") == 0) return show_optimized(args, console, *begun);
    if (args.is_on("no-wait")) {
        return show(
            args, console, *begun,
            fmt::format("{} are stored anew as {}: `hamster status` shows how far it is.",
                        bytes_text(number_of(*begun, "bytes_left")), text_of(*begun, "profile")));
    }
    const auto done = watch(args, console, look_at_optimize);
    if (!done) return report_failure(console, done.error());
    return show_optimized(args, console, *done);
}

int run_set_profile(const Args& args, Console& console) {
    const auto answer = post(args, "profile", {{"profile", args.operands()[0]}});
    if (!answer) return report_failure(console, answer.error());
    return show(
        args, console, *answer,
        fmt::format("New objects are stored as {}: {} % of the capacity is usable; they survive "
                    "the loss of {}.\nOlder ones stay as they are until `hamster optimize`.",
                    text_of(*answer, "profile"), number_of(*answer, "usable_percent"),
                    text_of(*answer, "survives")));
}

}  // namespace hamster::cli
