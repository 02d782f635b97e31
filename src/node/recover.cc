// `hamster recover`: see node.h.
#include "meta/recover.h"

#include <utility>

#include "base/log.h"
#include "cluster/trust.h"
#include "node/node.h"

namespace hamster::node {

using runtime::Task;

namespace {

constexpr runtime::Micros kProbeWithin = std::chrono::seconds(3);

// Whether a member of this cluster answers at the address, whichever it is.
Task<bool> answers(runtime::World* control, std::shared_ptr<const runtime::NodeTls> tls,
                   crypto::ClusterCa ca, std::string address, std::uint64_t now_ms) {
    auto stream =
        co_await control->network.connect_node(address, tls, control->clock.now() + kProbeWithin);
    if (!stream) co_return false;
    const std::vector<std::string> shown = (*stream)->peer_certificates();
    if (shown.empty()) co_return false;
    const auto certificate = crypto::Certificate::from_der(base::as_bytes(shown[0]));
    co_return certificate&& crypto::identity_of(*certificate, ca, now_ms).has_value();
}

Task<Result<meta::GroupOptions>> prepare(runtime::World* control, Options options) {
    auto claimed = co_await claim_data_dir(&control->disk);
    CO_TRY_ASSIGN(const Identity identity, claimed);
    if (options.fit_to_disk) {
        CO_TRY_ASSIGN(const runtime::DiskSpace space, control->disk.space());
        fit_to_disk(&options, space.total_bytes);
    }
    options.meta.cluster = identity.cluster;
    options.meta.self = identity.node;
    options.meta.is_newcomer = identity.is_newcomer;
    co_return options.meta;
}

}  // namespace

Task<Result<Lost>> inspect_loss(runtime::World* control, Options options) {
    auto prepared = co_await prepare(control, std::move(options));
    CO_TRY_ASSIGN(const meta::GroupOptions group, prepared);
    base::Metrics metrics;
    auto inspected = co_await meta::inspect_group(control, std::string(kMetaDir), group, &metrics);
    CO_TRY_ASSIGN(const meta::Standing standing, inspected);
    if (!standing.members.is_voter(group.self)) {
        co_return fail(Code::kInvalid,
                       "this node does not vote, so it may lack what the voters knew: recover on "
                       "one of the voters, the one that was stopped last");
    }
    auto loaded = co_await cluster::load_credentials(&control->disk);
    CO_TRY_ASSIGN(const cluster::Credentials credentials, loaded);
    Lost lost;
    lost.self = group.self;
    lost.last = standing.last.value;
    for (const base::NodeId& id : standing.members.voters) {
        if (id == group.self) continue;
        const auto found = standing.nodes.find(id);
        proto::Node node;
        if (found != standing.nodes.end()) node = found->second;
        node.set_node_id(std::string(id.view()));
        const bool is_up = co_await answers(control, cluster::to_tls(credentials), credentials.ca,
                                            node.address(), control->clock.unix_ms());
        if (is_up) {
            co_return fail(
                Code::kPrecondition,
                fmt::format("{} answers at {}: the quorum may come back by itself; start "
                            "this node instead. If {} is to be given up, stop it for good "
                            "first",
                            node.name(), node.address(), node.name()));
        }
        lost.voters.push_back(std::move(node));
    }
    if (lost.voters.empty()) {
        co_return fail(Code::kPrecondition,
                       "this node votes alone already: there is nothing to recover, start it");
    }
    co_return lost;
}

Task<Result<void>> give_up_lost(runtime::World* control, Options options, Lost lost) {
    auto prepared = co_await prepare(control, std::move(options));
    CO_TRY_ASSIGN(const meta::GroupOptions group, prepared);
    std::set<base::NodeId> ids;
    for (const proto::Node& node : lost.voters) {
        if (const auto id = base::NodeId::from_bytes(node.node_id())) ids.insert(*id);
    }
    base::Metrics metrics;
    auto done = co_await meta::become_lone_voter(control, std::string(kMetaDir), group,
                                                 std::move(ids), &metrics);
    co_return done;
}

}  // namespace hamster::node
