#include "admin/layout_api.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "base/encoding.h"
#include "placement/profile.h"

namespace hamster::admin {

using cluster::LayoutKeeper;
using cluster::NodeId;
using placement::Profile;
using runtime::Task;
namespace json = boost::json;

namespace {

// With its meaning, for profiles that can be chosen.
json::object described(Profile profile) {
    if (!erasure::is_valid(profile)) return {{"profile", placement::to_string(profile)}};
    return {{"profile", placement::to_string(profile)},
            {"usable_percent", placement::efficiency_percent(profile)},
            {"survives", placement::losses_text(profile)}};
}

// An empty text when there is none.
std::string text_in(const json::object& body, std::string_view name) {
    const json::value* value = body.if_contains({name.data(), name.size()});
    if (value == nullptr || !value->is_string()) return {};
    return {value->get_string().data(), value->get_string().size()};
}

json::value reencode_json(const proto::LayoutStatus& status) {
    if (!status.layout().has_reencode()) return nullptr;
    const proto::Reencode& reencode = status.layout().reencode();
    json::object out{{"profile", placement::to_string({reencode.k(), reencode.m()})},
                     {"since", base::iso8601(reencode.since_ms())},
                     {"bytes_at_start", reencode.bytes_at_start()},
                     {"blobs_left", nullptr},
                     {"bytes_left", nullptr}};
    if (status.is_reencoding_known()) {
        out["blobs_left"] = status.reencode_blobs();
        out["bytes_left"] = status.reencode_bytes();
    }
    return out;
}

}  // namespace

bool is_true(const json::object& body, std::string_view name) {
    const json::value* value = body.if_contains({name.data(), name.size()});
    return value != nullptr && value->is_bool() && value->get_bool();
}

json::object to_json(const proto::LayoutStatus& status) {
    const proto::Layout& layout = status.layout();
    json::array geometries;
    for (const auto& geometry : status.geometries()) {
        geometries.push_back(
            json::object{{"profile", placement::to_string({geometry.k(), geometry.m()})},
                         {"blobs", geometry.blobs()},
                         {"bytes", geometry.bytes()}});
    }
    json::object out = described({layout.k(), layout.m()});
    out["version"] = layout.version();
    out["width"] = layout.width();
    out["pinned"] = layout.pinned();
    out["tolerates"] = json::object{{"nodes", status.tolerated_nodes()},
                                    {"hosts", status.tolerated_hosts()},
                                    {"zones", status.tolerated_zones()}};
    out["slots_moving"] = status.slots_moving();
    out["degraded"] = status.is_degraded();
    out["stored"] = std::move(geometries);
    out["reencode"] = reencode_json(status);
    out["hindrance"] = status.hindrance();
    return out;
}

Task<Result<std::string>> drain(LayoutKeeper* keeper, NodeId node, std::string name,
                                json::object body) {
    auto drained = co_await keeper->drain(node, is_true(body, "agreed"));
    CO_TRY_ASSIGN(const cluster::DrainPlan plan, drained);
    json::object answer{{"node", name}, {"node_id", node.hex()}, {"nodes_left", plan.nodes}};
    answer["draining"] = plan.is_leaving || !plan.must_ask() || is_true(body, "agreed");
    if (plan.must_ask() && !is_true(body, "agreed")) {
        answer["question"] = json::object{{"now", described(plan.from)},
                                          {"then", described(plan.to)},
                                          {"bytes_to_store_anew", plan.bytes}};
    }
    co_return json::serialize(answer);
}

Task<Result<std::string>> undrain(LayoutKeeper* keeper, NodeId node, std::string name) {
    auto done = co_await keeper->undrain(node);
    CO_TRY(done);
    co_return json::serialize(
        json::object{{"node", name}, {"node_id", node.hex()}, {"draining", false}});
}

Task<Result<std::string>> optimize(LayoutKeeper* keeper, json::object body) {
    const std::string what = text_in(body, "do");
    if (what == "stop") {
        auto stopped = co_await keeper->stop_optimizing();
        CO_TRY(stopped);
        co_return json::serialize(json::object{{"running", false}});
    }
    if (what != "start" && what != "look") {
        co_return fail(Code::kInvalid, R"(send a JSON object with "do": start, look or stop)");
    }
    auto asked = what == "start" ? keeper->optimize() : keeper->look();
    auto looked = co_await std::move(asked);
    CO_TRY_ASSIGN(const cluster::Reencoding now, looked);
    co_return json::serialize(json::object{{"running", now.is_running},
                                           {"profile", placement::to_string(now.profile)},
                                           {"bytes_at_start", now.bytes_at_start},
                                           {"blobs_left", now.left.blobs},
                                           {"bytes_left", now.left.bytes}});
}

Task<Result<std::string>> set_profile(LayoutKeeper* keeper, json::object body) {
    std::string wanted = text_in(body, "profile");
    auto set = co_await keeper->set_profile(wanted);
    CO_TRY_ASSIGN(const Profile next, set);
    json::object answer = described(next);
    answer["chosen"] = wanted != "auto";
    co_return json::serialize(answer);
}

}  // namespace hamster::admin
