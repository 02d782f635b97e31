#include <utility>

#include "base/log.h"
#include "cluster/join.h"
#include "cluster/trust.h"
#include "crypto/cluster_secret.h"
#include "node/node.h"
#include "node/self.h"

namespace hamster::node {

using runtime::Task;

namespace {

proto::ClusterInfo cluster_info(const Identity& identity) {
    proto::ClusterInfo info;
    info.set_cluster_id(std::string(identity.cluster.view()));
    info.set_format(kFormat);
    return info;
}

// An init that was interrupted may have left a log without its first command.
Task<Result<void>> make_sure_it_is_founded(meta::Group* group, Identity identity) {
    auto viewed = co_await group->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    auto cluster = view.cluster();
    if (cluster) {
        if (cluster->cluster_id() == identity.cluster.view()) co_return Result<void>{};
        co_return fail(Code::kInvalid, "the metadata belongs to another cluster");
    }
    if (cluster.error().code != Code::kNotFound) co_return std::unexpected(cluster.error());
    proto::Command command;
    *command.mutable_found_cluster()->mutable_info() = cluster_info(identity);
    auto proposed = co_await group->propose(std::move(command));
    CO_TRY_ASSIGN(const proto::Answer answer, proposed);
    if (answer.status() != proto::Answer::OK) co_return fail(Code::kInvalid, answer.detail());
    co_return Result<void>{};
}

Task<Result<void>> found_cluster(runtime::World* control, crypto::KeySource* keys,
                                 meta::Group* group, Identity identity, crypto::Key256 secret,
                                 proto::Node self) {
    auto founded = co_await make_sure_it_is_founded(group, identity);
    CO_TRY(founded);
    auto trusted = co_await cluster::found_trust(control, keys, group, secret, identity.cluster,
                                                 std::move(self));
    co_return trusted;
}

Task<Result<void>> found_meta(runtime::World* control, crypto::KeySource* keys,
                              meta::GroupOptions options, Identity identity, crypto::Key256 secret,
                              proto::Node self) {
    base::Metrics metrics;
    const proto::ClusterInfo info = cluster_info(identity);
    options.cluster = identity.cluster;
    options.self = identity.node;
    auto opened =
        co_await meta::open_group(control, std::string(kMetaDir), options, &info, &metrics);
    CO_TRY_ASSIGN(const std::unique_ptr<meta::Replica> group, opened);
    auto founded =
        co_await found_cluster(control, keys, group.get(), identity, secret, std::move(self));
    co_await group->stop();
    co_return founded;
}

Task<Result<void>> found_shards(runtime::World* control, shards::Options options) {
    base::Metrics metrics;
    auto opened = co_await shards::Store::open(control, std::string(kShardsDir), options, &metrics);
    CO_TRY_ASSIGN(const std::unique_ptr<shards::Store> store, opened);
    co_await store->stop();
    co_return Result<void>{};
}

constexpr runtime::Micros kConnectProbe = std::chrono::seconds(1);

}  // namespace

Task<Result<void>> check_free(runtime::World* control, std::string address) {
    const runtime::Time deadline = control->clock.now() + kConnectProbe;
    auto connected = co_await control->network.connect(address, deadline);
    if (connected) co_return fail(Code::kConflict, "somebody listens on " + address + " already");
    co_return Result<void>{};
}

Result<proto::Node> describe_self(runtime::World* control, const Options& options,
                                  base::NodeId node, const proto::Node* before) {
    proto::Node self;
    if (before != nullptr) self = *before;
    self.set_node_id(std::string(node.view()));
    if (!options.name.empty()) self.set_name(options.name);
    if (self.name().empty()) self.set_name(node.hex().substr(0, 8));
    if (!options.listen.empty()) self.set_address(options.listen);
    if (self.address().empty()) self.set_address(std::string(kDefaultListen));
    if (options.zone) self.set_zone(*options.zone);
    if (options.capacity_bytes != 0) self.set_capacity_bytes(options.capacity_bytes);
    if (self.capacity_bytes() == 0) {
        TRY_ASSIGN(const runtime::DiskSpace space, control->disk.space());
        self.set_capacity_bytes(space.total_bytes);
    }
    if (!options.host.empty()) self.set_host(options.host);
    self.set_version(std::string(version()));
    self.set_s3_address(options.s3_address);
    return self;
}

Task<Result<Identity>> init_data_dir(runtime::World* control, crypto::KeySource* keys,
                                     Options options) {
    auto begun = co_await begin_init(control);
    CO_TRY_ASSIGN(const Identity identity, begun);
    if (options.fit_to_disk) {
        CO_TRY_ASSIGN(const runtime::DiskSpace space, control->disk.space());
        fit_to_disk(&options, space.total_bytes);
    }
    auto made = co_await crypto::load_or_create_cluster_secret(&control->disk, keys,
                                                               std::string(kSecretFile));
    CO_TRY_ASSIGN(const crypto::Key256 secret, made);
    CO_TRY_ASSIGN(proto::Node self, describe_self(control, options, identity.node, nullptr));
    auto meta_founded =
        co_await found_meta(control, keys, options.meta, identity, secret, std::move(self));
    CO_TRY(meta_founded);
    auto shards_founded = co_await found_shards(control, options.shards);
    CO_TRY(shards_founded);
    auto finished = co_await finish_init(&control->disk);
    CO_TRY(finished);
    co_return identity;
}

namespace {

Task<Result<void>> keep_welcome(runtime::Disk* disk, cluster::Welcome welcome,
                                crypto::SigningKey key) {
    auto secret = co_await runtime::write_file(disk, std::string(kSecretFile),
                                               std::string(base::as_text(welcome.secret.bytes())));
    CO_TRY(secret);
    auto known = co_await cluster::store_acquaintances(disk, std::move(welcome.acquaintances));
    CO_TRY(known);
    auto stored = co_await cluster::store_credentials(
        disk, {std::move(welcome.ca), std::move(welcome.certificate), std::move(key)});
    co_return stored;
}

}  // namespace

Task<Result<Identity>> join_data_dir(runtime::World* control, crypto::KeySource* keys,
                                     Options options, std::string token) {
    CO_TRY_ASSIGN(const crypto::JoinToken decoded, crypto::decode(token));
    auto begun = co_await begin_join(control, decoded.terms.cluster);
    CO_TRY_ASSIGN(const Identity identity, begun);
    if (options.fit_to_disk) {
        CO_TRY_ASSIGN(const runtime::DiskSpace space, control->disk.space());
        fit_to_disk(&options, space.total_bytes);
    }
    CO_TRY_ASSIGN(proto::Node self, describe_self(control, options, identity.node, nullptr));
    auto free = co_await check_free(control, self.address());
    if (!free) co_return fail(std::move(free).error(), "the cluster address (-listen)");
    auto key = co_await cluster::load_or_create_key(&control->disk, keys);
    CO_TRY(key);
    // All that can fail here comes before the token is shown.
    auto shards_founded = co_await found_shards(control, options.shards);
    CO_TRY(shards_founded);
    auto made = co_await control->disk.make_dir(std::string(kMetaDir));
    CO_TRY(made);
    auto joined = co_await cluster::join(control, decoded, *key, std::move(self), options.replaces);
    CO_TRY(joined);
    auto kept = co_await keep_welcome(&control->disk, std::move(*joined), *key);
    CO_TRY(kept);
    auto finished = co_await finish_init(&control->disk);
    CO_TRY(finished);
    co_return identity;
}

}  // namespace hamster::node
