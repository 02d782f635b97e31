#include "admin/control.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "admin/cluster_api.h"
#include "base/encoding.h"

namespace hamster::admin {

using runtime::Task;
namespace json = boost::json;

namespace {

HttpAnswer json_answer(int status, std::string body) {
    HttpAnswer answer;
    answer.status = status;
    answer.content_type = "application/json";
    answer.body = std::move(body) + "\n";
    return answer;
}

int status_of(Code code) {
    switch (code) {
        case Code::kInvalid:
            return 400;
        case Code::kNotFound:
            return 404;
        case Code::kAlreadyExists:
        case Code::kPrecondition:
        case Code::kConflict:
        case Code::kDenied:
            return 409;
        case Code::kNoSpace:
            return 507;
        case Code::kUnavailable:
        case Code::kUnknownOutcome:
            return 503;
        default:
            return 500;
    }
}

HttpAnswer error_answer(const Error& error) {
    json::object body{{"error", std::string(base::to_string(error.code))},
                      {"message", error.context}};
    return json_answer(status_of(error.code), json::serialize(body));
}

json::object to_json(const Report& r) {
    return {{"cluster_id", r.cluster_id},
            {"node_id", r.node_id},
            {"node", r.name},
            {"version", r.version},
            {"state", std::string(to_string(r.state))},
            {"uptime_seconds", r.uptime_s},
            {"buckets", r.buckets},
            {"objects", r.objects},
            {"object_bytes", r.object_bytes},
            {"stored_bytes", r.stored_bytes},
            {"disk_bytes", r.disk_bytes},
            {"disk_free_bytes", r.disk_free_bytes},
            {"disk_total_bytes", r.disk_total_bytes},
            {"full", r.full},
            {"garbage_blobs", r.garbage_blobs},
            {"garbage_bytes", r.garbage_bytes},
            {"corrupt_slices", r.corrupt_slices},
            {"scrub_passes", r.scrub_passes},
            {"scrub_percent", r.scrub_percent},
            {"scrub_damaged_shards", r.scrub_damaged},
            {"s3", r.s3_address},
            {"admin", r.admin_address}};
}

std::string to_json(const std::vector<UserRow>& rows) {
    json::array users;
    for (const UserRow& row : rows) {
        json::array keys;
        for (const std::string& id : row.access_key_ids) keys.emplace_back(id);
        users.push_back(
            json::object{{"name", row.user.name()},
                         {"user_id", base::hex_encode(base::as_bytes(row.user.user_id()))},
                         {"disabled", row.user.disabled()},
                         {"created", base::iso8601(row.user.created_ms())},
                         {"access_key_ids", std::move(keys)}});
    }
    return json::serialize(json::object{{"users", std::move(users)}});
}

std::string to_json(const std::string& name, const KeyPair& pair) {
    return json::serialize(json::object{{"name", name},
                                        {"access_key_id", pair.access_key_id},
                                        {"secret_access_key", pair.secret_access_key}});
}

Result<json::object> object_in(const std::string& body) {
    boost::system::error_code error;
    const json::value parsed = json::parse(body, error);
    if (error || !parsed.is_object()) return fail(Code::kInvalid, "send a JSON object");
    return parsed.get_object();
}

// The one string a change takes.
Result<std::string> string_field(const std::string& body, std::string_view field) {
    TRY_ASSIGN(const json::object object, object_in(body));
    const json::value* value = object.if_contains({field.data(), field.size()});
    if (value == nullptr || !value->is_string()) {
        return fail(Code::kInvalid, "send a JSON object with \"" + std::string(field) + "\"");
    }
    const json::string& text = value->get_string();
    return std::string(text.data(), text.size());
}

constexpr std::string_view kChanges[] = {
    "/v1/users/create", "/v1/users/disable", "/v1/users/enable", "/v1/users/delete",
    "/v1/keys/create",  "/v1/keys/revoke",   "/v1/scrub"};
constexpr std::string_view kReads[] = {"/v1/status", "/v1/users"};

}  // namespace

Task<HttpAnswer> Control::handle(HttpRequest request) {
    const bool is_read = std::ranges::find(kReads, request.path) != std::end(kReads);
    const bool is_change = std::ranges::find(kChanges, request.path) != std::end(kChanges) ||
                           is_cluster_change(request.path);
    if (!is_read && !is_change) {
        co_return error_answer({Code::kNotFound, "this node does not know " + request.path});
    }
    if (request.method != (is_read ? "GET" : "POST")) {
        HttpAnswer answer = json_answer(405, R"({"error":"method","message":"wrong method"})");
        answer.headers.emplace_back("Allow", is_read ? "GET" : "POST");
        co_return answer;
    }
    auto performed = co_await perform(std::move(request));
    if (!performed) co_return error_answer(performed.error());
    co_return json_answer(200, std::move(*performed));
}

Task<Result<std::string>> Control::perform(HttpRequest request) {
    if (request.path == "/v1/status") {
        auto report = co_await subject_->report();
        CO_TRY_ASSIGN(const Report r, report);
        json::object answer = to_json(r);
        answer["cluster"] = co_await cluster_status(&subject_->cluster());
        co_return json::serialize(answer);
    }
    if (is_cluster_change(request.path)) {
        CO_TRY_ASSIGN(json::object body, object_in(request.body));
        auto changed = co_await change_cluster(&subject_->cluster(), request.path, std::move(body));
        co_return changed;
    }
    if (request.path == "/v1/scrub") {
        if (subject_->state() == State::kStarting) {
            co_return fail(Code::kUnavailable, "the node is starting");
        }
        co_return json::serialize(json::object{{"scrub_passes", subject_->scrub_now()}});
    }
    if (request.path == "/v1/users") {
        auto users = co_await subject_->identities().users();
        CO_TRY_ASSIGN(const std::vector<UserRow> rows, users);
        co_return to_json(rows);
    }
    const std::string_view field = request.path == "/v1/keys/revoke" ? "access_key_id" : "name";
    CO_TRY_ASSIGN(std::string value, string_field(request.body, field));
    auto changed = co_await change(std::move(request.path), std::move(value));
    co_return changed;
}

Task<Result<std::string>> Control::change(std::string path, std::string name) {
    Identities& identities = subject_->identities();
    if (path == "/v1/users/create" || path == "/v1/keys/create") {
        auto task =
            path == "/v1/users/create" ? identities.create_user(name) : identities.create_key(name);
        auto made = co_await std::move(task);
        CO_TRY_ASSIGN(const KeyPair pair, made);
        co_return to_json(name, pair);
    }
    runtime::Task<Result<void>> task =
        path == "/v1/users/disable"  ? identities.set_disabled(name, true)
        : path == "/v1/users/enable" ? identities.set_disabled(name, false)
        : path == "/v1/users/delete" ? identities.delete_user(name)
                                     : identities.revoke_key(name);
    auto done = co_await std::move(task);
    CO_TRY(done);
    co_return std::string("{}");
}

}  // namespace hamster::admin
