#include "admin/cluster_api.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "admin/layout_api.h"
#include "base/encoding.h"

namespace hamster::admin {

using cluster::NodeId;
using proto::ClusterStatus;
using runtime::Task;
namespace json = boost::json;

namespace {

constexpr std::string_view kClusterChanges[] = {
    "/v1/cluster/token", "/v1/cluster/can-stop", "/v1/cluster/transfer", "/v1/cluster/remove",
    "/v1/cluster/drain", "/v1/cluster/undrain",  "/v1/cluster/optimize", "/v1/cluster/profile"};

std::string_view role_text(const ClusterStatus::Member& member, bool leads) {
    if (leads) return "leader";
    switch (member.role()) {
        case ClusterStatus::Member::VOTER:
            return "voter";
        case ClusterStatus::Member::LEARNER:
            return "learner";
        default:
            return "joining";
    }
}

std::string_view state_text(const ClusterStatus::Member& member) {
    if (!member.is_reachable()) return "down";
    if (member.node().leaving()) {
        const bool is_empty =
            member.slots() == 0 && member.slots_owed() == 0 && member.blobs() == 0;
        return is_empty ? "drained" : "draining";
    }
    const proto::Health& health = member.health();
    const proto::Repair& repair = health.repair();
    const bool is_damaged = repair.damaged().blobs() > 0 || repair.beyond_repair() > 0;
    const bool is_degraded = health.full() || !health.trouble().empty() || is_damaged;
    return is_degraded ? "degraded" : "up";
}

json::object to_json(const proto::Repair& repair) {
    const auto backlog = [](const proto::Repair::Backlog& some) {
        return json::object{{"shards", some.blobs()}, {"bytes", some.bytes()}};
    };
    return {{"missing", backlog(repair.missing())},
            {"moving", backlog(repair.moving())},
            {"damaged", backlog(repair.damaged())},
            {"beyond_repair", repair.beyond_repair()},
            {"degraded_objects", repair.degraded_blobs()},
            {"restored_shards", repair.restored_blobs()},
            {"restored_bytes", repair.restored_bytes()},
            {"bytes_per_second", repair.bytes_per_s()},
            {"seconds_left", repair.left_s()},
            {"scrub_percent", repair.scrub_percent()},
            {"scrub_passes", repair.scrub_passes()}};
}

// `replaces`: the name of the member whose place it takes; empty: nobody's.
json::object to_json(const ClusterStatus::Member& member, const std::string& leader,
                     std::string replaces) {
    const proto::Node& node = member.node();
    const proto::Health& health = member.health();
    const bool leads = node.node_id() == leader;
    // A leader that has not heard a node yet does not know; nor does a node whose disk does not
    // say.
    json::value free_bytes;
    if (health.disk_total_bytes() > 0) free_bytes = health.disk_free_bytes();
    json::value repair;
    if (health.has_repair()) repair = to_json(health.repair());
    json::value uptime;
    if (!health.version().empty()) uptime = health.uptime_s();
    return {{"node", node.name()},
            {"node_id", base::hex_encode(base::as_bytes(node.node_id()))},
            {"role", role_text(member, leads)},
            {"leader", leads},
            {"state", state_text(member)},
            {"silent_ms", member.silent_ms()},
            {"lag", member.lag()},
            {"address", node.address()},
            {"s3", node.s3_address()},
            {"host", node.host()},
            {"zone", node.zone()},
            {"capacity_bytes", node.capacity_bytes()},
            {"disk_free_bytes", std::move(free_bytes)},
            {"version", node.version()},
            {"full", health.full()},
            {"trouble", health.trouble()},
            {"corrupt_slices", health.corrupt_slices()},
            {"blobs", member.blobs()},
            {"leaving", node.leaving()},
            {"slots", member.slots()},
            {"slots_owed", member.slots_owed()},
            {"repair", std::move(repair)},
            {"replaces", std::move(replaces)},
            {"uptime_seconds", std::move(uptime)}};
}

Result<std::string> text_field(const json::object& body, std::string_view name) {
    const json::value* value = body.if_contains({name.data(), name.size()});
    if (value == nullptr || !value->is_string()) {
        return fail(Code::kInvalid, fmt::format("send a JSON object with \"{}\"", name));
    }
    return std::string(value->get_string().data(), value->get_string().size());
}

Result<NodeId> node_field(const cluster::Cluster& cluster, const json::object& body) {
    TRY_ASSIGN(const std::string text, text_field(body, "node"));
    if (const proto::Node* node = cluster.roster().find_by_name(text)) {
        return *NodeId::from_bytes(node->node_id());
    }
    const auto id = NodeId::from_hex(text);
    if (id && cluster.roster().find(*id) != nullptr) return *id;
    if (id && cluster.roster().is_removed(*id)) {
        return fail(Code::kNotFound, "node " + text + " was removed before");
    }
    std::string names;
    for (const auto& [known, node] : cluster.roster().nodes()) names += " " + node.name();
    return fail(Code::kNotFound, fmt::format("no member is called {}; there are:{}", text, names));
}

Task<Result<std::string>> mint_token(cluster::Cluster* cluster, json::object body) {
    const json::value* ttl = body.if_contains("ttl_ms");
    boost::system::error_code error;
    const auto ttl_ms =
        ttl == nullptr ? cluster::kDefaultTokenLifeMs : ttl->to_number<std::uint64_t>(error);
    if (error) co_return fail(Code::kInvalid, "\"ttl_ms\" is not a number");
    auto minted = co_await cluster->admission().mint(ttl_ms, cluster->address());
    CO_TRY(minted);
    co_return json::serialize(
        json::object{{"token", minted->text}, {"expires", base::iso8601(minted->expires_ms)}});
}

Task<Result<std::string>> remove(cluster::Cluster* cluster, NodeId node, std::string name) {
    auto removed = co_await cluster->keeper().remove(node);
    CO_TRY(removed);
    co_return json::serialize(json::object{{"removed", name}, {"node_id", node.hex()}});
}

Task<Result<std::string>> remove_lost(cluster::Cluster* cluster, NodeId node, std::string name,
                                      bool agreed) {
    auto asked = co_await cluster->keeper().remove_lost(node, agreed);
    CO_TRY_ASSIGN(const cluster::NodeLoss loss, asked);
    json::object answer{{"node", name}, {"node_id", node.hex()}};
    if (loss.is_removed) {
        answer["removed"] = name;
    } else {
        answer["question"] = json::object{{"slots", loss.slots}, {"blobs", loss.blobs}};
    }
    co_return json::serialize(answer);
}

// What is asked about one node; of a transfer it may be nobody.
Task<Result<std::string>> change_node(cluster::Cluster* cluster, std::string path,
                                      json::object body) {
    CO_TRY_ASSIGN(const std::string named, text_field(body, "node"));
    NodeId node;
    if (!named.empty() || path != "/v1/cluster/transfer") {
        CO_TRY_ASSIGN(node, node_field(*cluster, body));
    }
    if (path == "/v1/cluster/can-stop") {
        auto judged = co_await cluster->keeper().can_stop(node);
        CO_TRY(judged);
        co_return json::serialize(
            json::object{{"can_stop", judged->yes()}, {"reason", judged->reason()}});
    }
    if (path == "/v1/cluster/transfer") {
        auto moved = co_await cluster->keeper().transfer(node);
        CO_TRY(moved);
        co_return json::serialize(json::object{{"leader", cluster->roster().name_of(*moved)}});
    }
    const std::string name = cluster->roster().name_of(node);
    if (path == "/v1/cluster/drain" || path == "/v1/cluster/undrain") {
        cluster::LayoutKeeper* const layout = &cluster->keeper().layout();
        auto task = path == "/v1/cluster/drain" ? drain(layout, node, name, std::move(body))
                                                : undrain(layout, node, name);
        auto done = co_await std::move(task);
        co_return done;
    }
    auto task = is_true(body, "lost") ? remove_lost(cluster, node, name, is_true(body, "agreed"))
                                      : remove(cluster, node, name);
    auto done = co_await std::move(task);
    co_return done;
}

}  // namespace

bool is_cluster_change(std::string_view path) {
    return std::ranges::find(kClusterChanges, path) != std::end(kClusterChanges);
}

Task<json::object> cluster_status(cluster::Cluster* cluster) {
    auto asked = co_await cluster->keeper().status();
    if (!asked) co_return json::object{{"error", asked.error().context}};
    const ClusterStatus& status = *asked;
    std::vector<const ClusterStatus::Member*> by_name;
    for (const auto& member : status.members()) by_name.push_back(&member);
    std::ranges::sort(by_name, {}, [](const auto* member) { return member->node().name(); });
    json::array members;
    for (const auto* member : by_name) {
        const auto replaced = NodeId::from_bytes(member->node().replaces());
        // Once that one is gone there is no more to it.
        const proto::Node* old = replaced ? cluster->roster().find(*replaced) : nullptr;
        members.push_back(to_json(*member, status.leader(), old ? old->name() : std::string()));
    }
    json::array notes;
    for (const std::string& note : status.notes()) notes.emplace_back(note);
    const auto leader = NodeId::from_bytes(status.leader()).value_or(NodeId{});
    co_return json::object{{"leader", cluster->roster().name_of(leader)},
                           {"term", status.term()},
                           {"commit", status.commit()},
                           {"changing", status.is_changing()},
                           {"members", std::move(members)},
                           {"layout", to_json(status.layout())},
                           {"notes", std::move(notes)}};
}

Task<Result<std::string>> change_cluster(cluster::Cluster* cluster, std::string path,
                                         json::object body) {
    if (path == "/v1/cluster/token") {
        auto minted = co_await mint_token(cluster, std::move(body));
        co_return minted;
    }
    cluster::LayoutKeeper* const layout = &cluster->keeper().layout();
    if (path == "/v1/cluster/optimize" || path == "/v1/cluster/profile") {
        auto task = path == "/v1/cluster/optimize" ? optimize(layout, std::move(body))
                                                   : set_profile(layout, std::move(body));
        auto done = co_await std::move(task);
        co_return done;
    }
    auto done = co_await change_node(cluster, std::move(path), std::move(body));
    co_return done;
}

}  // namespace hamster::admin
