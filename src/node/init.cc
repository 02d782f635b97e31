#include <utility>

#include "base/log.h"
#include "crypto/cluster_secret.h"
#include "node/node.h"

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

Task<Result<void>> found_meta(runtime::World* control, meta::GroupOptions options,
                              Identity identity) {
    base::Metrics metrics;
    const proto::ClusterInfo info = cluster_info(identity);
    options.cluster = identity.cluster;
    auto opened =
        co_await meta::open_group(control, std::string(kMetaDir), options, &info, &metrics);
    CO_TRY_ASSIGN(const std::unique_ptr<meta::Group> group, opened);
    auto founded = co_await make_sure_it_is_founded(group.get(), identity);
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

}  // namespace

Task<Result<Identity>> init_data_dir(runtime::World* control, crypto::KeySource* keys,
                                     Options options) {
    auto begun = co_await begin_init(control);
    CO_TRY_ASSIGN(const Identity identity, begun);
    if (options.fit_to_disk) {
        CO_TRY_ASSIGN(const runtime::DiskSpace space, control->disk.space());
        fit_to_disk(&options, space.total_bytes);
    }
    auto secret = co_await crypto::load_or_create_cluster_secret(&control->disk, keys,
                                                                 std::string(kSecretFile));
    CO_TRY(secret);
    auto meta_founded = co_await found_meta(control, options.meta, identity);
    CO_TRY(meta_founded);
    auto shards_founded = co_await found_shards(control, options.shards);
    CO_TRY(shards_founded);
    auto finished = co_await finish_init(&control->disk);
    CO_TRY(finished);
    co_return identity;
}

}  // namespace hamster::node
