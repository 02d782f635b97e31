// status, user and key: the verbs that ask the running node.
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <ostream>
#include <utility>

#include "cli/control_client.h"
#include "cli/verbs.h"

namespace hamster::cli {

namespace json = boost::json;

namespace {

using Show = void (*)(const json::object& answer, Console& console);

int call(const Args& args, Console& console, const std::string& method, const std::string& path,
         const json::object& body, Show show) {
    const std::string text = method == "GET" ? std::string() : json::serialize(body);
    auto answer = call_node(args.at("data-dir"), method, path, text);
    if (!answer) {
        console.err << fmt::format("hamster: {}\n", answer.error().context);
        return answer.error().code == Code::kUnavailable ? kExitNotRunning : kExitFailed;
    }
    if (args.is_on("json")) {
        console.out << json::serialize(*answer) << "\n";
    } else if (const json::object* object = answer->if_object()) {
        show(*object, console);
    }
    return kExitOk;
}

int change(const Args& args, Console& console, const std::string& path, const std::string& field,
           Show show) {
    return call(args, console, "POST", path, {{field, args.operands()[0]}}, show);
}

std::string text_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    if (value == nullptr) return "?";
    return value->is_string() ? std::string(value->get_string().c_str()) : json::serialize(*value);
}

std::uint64_t number_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains({name.data(), name.size()});
    if (value == nullptr) return 0;
    boost::system::error_code error;
    const auto number = value->to_number<std::uint64_t>(error);
    return error ? 0 : number;
}

std::string bytes_text(std::uint64_t bytes) {
    constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string duration_text(std::uint64_t seconds) {
    if (seconds < 60) return fmt::format("{} s", seconds);
    if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    if (seconds < 86400) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

void show_status(const json::object& s, Console& console) {
    const json::value* full = s.if_contains("full");
    const bool is_full = full != nullptr && full->is_bool() && full->get_bool();
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

void show_pair(const json::object& pair, Console& console) {
    console.out << fmt::format(
        "user               {}\naccess_key_id      {}\nsecret_access_key  {}\n"
        "The secret is shown this once; it cannot be read again.\n",
        text_of(pair, "name"), text_of(pair, "access_key_id"), text_of(pair, "secret_access_key"));
}

void show_users(const json::object& answer, Console& console) {
    const json::value* users = answer.if_contains("users");
    if (users == nullptr || !users->is_array() || users->get_array().empty()) {
        console.out << "There are no users beside root.\n";
        return;
    }
    for (const json::value& value : users->get_array()) {
        const json::object* user = value.if_object();
        if (user == nullptr) continue;
        std::string keys;
        const json::value* ids = user->if_contains("access_key_ids");
        if (ids != nullptr && ids->is_array()) {
            for (const json::value& id : ids->get_array()) {
                keys += fmt::format(" {}", id.is_string() ? id.get_string().c_str() : "?");
            }
        }
        console.out << fmt::format("{:<20} {:<9} since {}  keys:{}\n", text_of(*user, "name"),
                                   text_of(*user, "disabled") == "true" ? "disabled" : "enabled",
                                   text_of(*user, "created"), keys.empty() ? " none" : keys);
    }
}

void show_done(const json::object&, Console& console) { console.out << "Done.\n"; }

}  // namespace

int run_status(const Args& args, Console& console) {
    return call(args, console, "GET", "/v1/status", {}, show_status);
}
int run_user_list(const Args& args, Console& console) {
    return call(args, console, "GET", "/v1/users", {}, show_users);
}
int run_user_create(const Args& args, Console& console) {
    return change(args, console, "/v1/users/create", "name", show_pair);
}
int run_user_disable(const Args& args, Console& console) {
    return change(args, console, "/v1/users/disable", "name", show_done);
}
int run_user_enable(const Args& args, Console& console) {
    return change(args, console, "/v1/users/enable", "name", show_done);
}
int run_user_delete(const Args& args, Console& console) {
    return change(args, console, "/v1/users/delete", "name", show_done);
}
int run_key_create(const Args& args, Console& console) {
    return change(args, console, "/v1/keys/create", "name", show_pair);
}
int run_key_revoke(const Args& args, Console& console) {
    return change(args, console, "/v1/keys/revoke", "access_key_id", show_done);
}

}  // namespace hamster::cli
