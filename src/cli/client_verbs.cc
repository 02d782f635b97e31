// user and key: verbs that ask the running node.
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <ostream>
#include <utility>

#include "cli/control_client.h"
#include "cli/json_fields.h"
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
