#include "node/node.h"

#include <optional>
#include <utility>

#include "admin/control.h"
#include "admin/endpoints.h"
#include "admin/http_server.h"
#include "base/assert.h"
#include "base/log.h"
#include "crypto/cluster_secret.h"
#include "node/front.h"
#include "node/self.h"

namespace hamster::node {

using admin::State;
using runtime::Micros;
using runtime::Task;

namespace {

constexpr Micros kProbeEvery = std::chrono::seconds(5);
constexpr std::size_t kMaxBucketsInReport = 100'000;

void fill_in(const objects::Backlog& backlog, proto::Repair::Backlog* out) {
    out->set_blobs(backlog.blobs);
    out->set_bytes(backlog.bytes);
}

void fill_in(const objects::ReconcileReport& report, proto::Repair* out) {
    fill_in(report.missing, out->mutable_missing());
    fill_in(report.moving, out->mutable_moving());
    fill_in(report.damaged, out->mutable_damaged());
    out->set_degraded_blobs(report.degraded_blobs);
    out->set_beyond_repair(report.beyond_repair);
    out->set_restored_blobs(report.restored_blobs);
    out->set_restored_bytes(report.restored_bytes);
    out->set_bytes_per_s(report.bytes_per_s);
    out->set_left_s(report.left_s);
    out->set_settled_slots(report.settled_slots);
    out->set_scrubbed_bytes(report.scrubbed_bytes);
    out->set_scrub_passes(report.scrub_passes);
    out->set_scrub_percent(report.scrub_percent);
    out->set_reencoded_blobs(report.reencoded_blobs);
    out->set_reencoded_bytes(report.reencoded_bytes);
}

class NodeImpl final : public Node, public admin::Subject {
  public:
    NodeImpl(runtime::World* control, std::vector<runtime::World*> io, crypto::KeySource* keys,
             Options options)
        : control_(control), io_(std::move(io)), keys_(keys), options_(std::move(options)) {
        started_ = control_->clock.now();
        metrics_
            .gauge("hamster_build_info", "Version of the binary",
                   {{"version", std::string(version())}})
            .set(1);
    }

    Task<Result<void>> start();
    Task<void> stop() override;
    Result<void> reload_tls() override;
    [[nodiscard]] const Identity& identity() const override { return identity_; }
    objects::Service& objects() override { return *objects_; }
    shards::Store& shards() override { return *shards_; }
    cluster::Cluster& cluster() override { return *cluster_; }
    meta::Replica& metadata() override { return *group_; }

    // admin::Subject
    [[nodiscard]] State state() const override { return state_; }
    Task<Result<admin::Report>> report() override;
    Task<Result<void>> probe() override;
    std::uint64_t scrub_now() override { return objects_->scrub_now(); }
    admin::Identities& identities() override { return *identities_; }
    base::Metrics& metrics() override { return metrics_; }

  private:
    Task<Result<void>> open_metadata();
    Task<Result<void>> make_sure_it_has_credentials();
    Task<Result<void>> open_stores();
    Task<Result<void>> open_cluster();
    [[nodiscard]] proto::Health health();
    Task<Result<void>> open_admin();
    void open_control();
    Task<Result<void>> open_fronts();
    Task<Result<void>> count_objects(admin::Report* report);

    runtime::World* control_;
    std::vector<runtime::World*> io_;
    crypto::KeySource* keys_;
    Options options_;
    // Destroyed from the bottom up: whoever uses a part stands below it.
    base::Metrics metrics_;
    Identity identity_;
    runtime::Time started_;
    State state_ = State::kStarting;
    runtime::Time probed_at_{INT64_MIN / 2};
    Result<void> probed_;
    crypto::Key256 secret_;
    std::unique_ptr<cluster::Cluster> cluster_;
    std::unique_ptr<meta::Replica> group_;
    std::unique_ptr<meta::Router> router_;
    std::unique_ptr<shards::Store> shards_;
    std::unique_ptr<admin::Identities> identities_;
    std::unique_ptr<objects::Service> objects_;
    std::unique_ptr<runtime::TlsServer> tls_;
    std::unique_ptr<admin::Endpoints> endpoints_;
    std::unique_ptr<admin::Control> control_api_;
    std::unique_ptr<admin::HttpServer> admin_server_;
    std::unique_ptr<admin::HttpServer> control_server_;
    std::vector<std::unique_ptr<Front>> fronts_;
};

Task<Result<void>> NodeImpl::start() {
    auto claimed = co_await claim_data_dir(&control_->disk);
    CO_TRY_ASSIGN(identity_, claimed);
    auto admin = co_await open_admin();
    CO_TRY(admin);
    auto metadata = co_await open_metadata();
    CO_TRY(metadata);
    auto stores = co_await open_stores();
    CO_TRY(stores);
    auto clustered = co_await open_cluster();
    CO_TRY(clustered);
    open_control();
    auto fronts = co_await open_fronts();
    CO_TRY(fronts);
    state_ = State::kServing;
    co_return Result<void>{};
}

Task<Result<void>> NodeImpl::open_admin() {
    endpoints_ = std::make_unique<admin::Endpoints>(this);
    if (options_.admin_address.empty()) co_return Result<void>{};
    constexpr std::string_view kWhere = "the admin address (-admin) cannot be used";
    auto free = co_await check_free(control_, options_.admin_address);
    if (!free) co_return fail(std::move(free).error(), kWhere);
    auto listener = control_->network.listen(options_.admin_address, nullptr);
    if (!listener) co_return fail(std::move(listener).error(), kWhere);
    admin_server_ = std::make_unique<admin::HttpServer>(control_, endpoints_.get());
    admin_server_->start(std::move(*listener));
    co_return Result<void>{};
}

// Serving goes on without it: only the verbs that ask the running node are lost.
void NodeImpl::open_control() {
    if (options_.control_address.empty()) return;
    auto listener = control_->network.listen(options_.control_address, nullptr);
    if (!listener) {
        LOG_ERROR("node", "status, user and key will not reach this node: {}",
                  listener.error().context);
        return;
    }
    control_api_ = std::make_unique<admin::Control>(this);
    control_server_ = std::make_unique<admin::HttpServer>(control_, control_api_.get());
    control_server_->start(std::move(*listener));
}

// A node that was founded before there were clusters becomes the first member of one.
Task<Result<void>> NodeImpl::make_sure_it_has_credentials() {
    auto loaded = co_await cluster::load_credentials(&control_->disk);
    if (loaded || loaded.error().code != Code::kNotFound || identity_.is_newcomer) {
        if (!loaded) co_return std::unexpected(std::move(loaded).error());
        co_return Result<void>{};
    }
    CO_TRY_ASSIGN(proto::Node self, describe_self(control_, options_, identity_.node, nullptr));
    auto group = co_await meta::open_group(control_, std::string(kMetaDir), options_.meta, nullptr,
                                           &metrics_);
    CO_TRY_ASSIGN(const std::unique_ptr<meta::Replica> alone, group);
    auto founded = co_await cluster::found_trust(control_, keys_, alone.get(), secret_,
                                                 identity_.cluster, std::move(self));
    co_await alone->stop();
    co_return founded;
}

Task<Result<void>> NodeImpl::open_metadata() {
    if (options_.fit_to_disk) {
        CO_TRY_ASSIGN(const runtime::DiskSpace space, control_->disk.space());
        fit_to_disk(&options_, space.total_bytes);
    }
    auto secret = co_await crypto::load_cluster_secret(&control_->disk, std::string(kSecretFile));
    CO_TRY_ASSIGN(secret_, secret);
    options_.meta.cluster = identity_.cluster;
    options_.meta.self = identity_.node;
    options_.meta.is_newcomer = identity_.is_newcomer;
    auto known = co_await make_sure_it_has_credentials();
    CO_TRY(known);
    auto loaded = co_await cluster::load_credentials(&control_->disk);
    CO_TRY(loaded);
    auto acquaintances = co_await cluster::load_acquaintances(&control_->disk);
    CO_TRY(acquaintances);
    cluster_ = std::make_unique<cluster::Cluster>(control_, keys_, identity_.node,
                                                  std::move(*loaded), std::move(*acquaintances));
    options_.meta.wire = cluster_->wire();
    auto group = co_await meta::open_group(control_, std::string(kMetaDir), options_.meta, nullptr,
                                           &metrics_);
    CO_TRY_ASSIGN(group_, group);
    CO_TRY(cluster_->attach(group_.get()));
    co_return Result<void>{};
}

Task<Result<void>> NodeImpl::open_stores() {
    options_.shards.must_exist = true;
    auto shards =
        co_await shards::Store::open(control_, std::string(kShardsDir), options_.shards, &metrics_);
    CO_TRY_ASSIGN(shards_, shards);
    router_ = std::make_unique<meta::Router>(group_.get());
    identities_ = std::make_unique<admin::Identities>(router_.get(), keys_, secret_);
    group_->watch_identities([this] { identities_->note_change(); });
    options_.objects.self = identity_.node;
    options_.objects.founder = cluster_->founder();
    options_.objects.remote = cluster_->remote();
    objects_ =
        objects::make_service(control_, router_.get(), shards_.get(), options_.objects, &metrics_);
    cluster_->attach(objects_.get());
    co_return Result<void>{};
}

Task<Result<void>> NodeImpl::open_cluster() {
    CO_TRY_ASSIGN(proto::Node self,
                  describe_self(control_, options_, identity_.node, cluster_->self()));
    options_.name = self.name();
    constexpr std::string_view kWhere = "the cluster address (-listen) cannot be used";
    auto free = co_await check_free(control_, self.address());
    if (!free) co_return fail(std::move(free).error(), kWhere);
    auto opened = cluster_->open(std::move(self), secret_, [this] { return health(); });
    if (!opened) co_return fail(std::move(opened).error(), kWhere);
    cluster_->keeper().on_removed(options_.on_removed);
    co_return Result<void>{};
}

proto::Health NodeImpl::health() {
    proto::Health health;
    health.set_version(std::string(version()));
    health.set_applied(group_->driver().applied().value);
    health.set_full(objects_->is_full());
    if (group_->driver().waits_for_space()) health.set_trouble("no space for the metadata's log");
    if (const auto& failure = group_->driver().failure()) health.set_trouble(failure->context);
    if (const auto space = control_->disk.space()) {
        health.set_disk_free_bytes(space->free_bytes);
        health.set_disk_total_bytes(space->total_bytes);
    }
    const auto up = control_->clock.now() - started_;
    health.set_uptime_s(static_cast<std::uint64_t>(up.count()) / 1'000'000);
    health.set_corrupt_slices(shards_->stats().corrupt_slices);
    fill_in(objects_->reconcile_report(), health.mutable_repair());
    return health;
}

Task<Result<void>> NodeImpl::open_fronts() {
    if (!options_.tls_cert.empty() || !options_.tls_key.empty()) {
        auto tls = control_->network.load_tls(options_.tls_cert, options_.tls_key);
        if (!tls) co_return fail(std::move(tls).error(), "TLS (-tls-cert, -tls-key)");
        tls_ = std::move(*tls);
    }
    HAMSTER_ASSERT(!io_.empty());
    if (options_.s3_address.empty()) co_return Result<void>{};
    constexpr std::string_view kWhere = "the S3 address (-s3) cannot be used";
    auto free = co_await check_free(control_, options_.s3_address);
    if (!free) co_return fail(std::move(free).error(), kWhere);
    for (runtime::World* world : io_) {
        auto front = std::make_unique<Front>(world, objects_.get(), &options_.s3, &metrics_,
                                             options_.root, router_.get(), identities_.get());
        auto opened = co_await front->open(options_.s3_address, tls_.get());
        fronts_.push_back(std::move(front));
        if (!opened) co_return fail(std::move(opened).error(), kWhere);
    }
    // All of them listen: only now does any of them accept.
    for (const auto& front : fronts_) co_await front->serve();
    co_return Result<void>{};
}

Task<void> NodeImpl::stop() {
    state_ = State::kDraining;
    std::vector<Task<bool>> drains;
    drains.reserve(fronts_.size());
    for (const auto& front : fronts_) drains.push_back(front->drain(options_.drain));
    auto drained = co_await runtime::when_all(std::move(drains));
    (void)drained;
    if (control_server_) co_await control_server_->stop();
    if (group_) group_->end_waiting();
    if (cluster_) co_await cluster_->stop();
    if (objects_) co_await objects_->stop();
    if (shards_) co_await shards_->stop();
    if (group_) co_await group_->stop();
    // Last, so that /readyz says "draining" until the end.
    if (admin_server_) co_await admin_server_->stop();
}

Result<void> NodeImpl::reload_tls() {
    if (!tls_) return {};
    return tls_->reload();
}

Task<Result<void>> NodeImpl::count_objects(admin::Report* report) {
    const meta::View view = group_->here();  // also while nobody leads
    CO_TRY_ASSIGN(const auto buckets, view.buckets(std::nullopt, "", "", kMaxBucketsInReport));
    report->buckets = buckets.size();
    for (const proto::Bucket& bucket : buckets) {
        const auto id = base::BucketId::from_bytes(bucket.bucket_id());
        if (!id) co_return fail(Code::kCorrupt, "a bucket row holds a malformed id");
        CO_TRY_ASSIGN(const proto::BucketCounters counters, view.counters(*id));
        report->objects += counters.objects();
        report->object_bytes += counters.bytes();
    }
    co_return Result<void>{};
}

Task<Result<admin::Report>> NodeImpl::report() {
    if (state_ == State::kStarting) co_return fail(Code::kUnavailable, "the node is starting");
    admin::Report report;
    report.cluster_id = identity_.cluster.hex();
    report.node_id = identity_.node.hex();
    report.name = options_.name;
    report.version = std::string(version());
    report.state = state_;
    report.uptime_s =
        static_cast<std::uint64_t>((control_->clock.now() - started_).count()) / 1'000'000;
    const shards::Stats stats = shards_->stats();
    report.stored_bytes = stats.live_bytes;
    report.disk_bytes = stats.disk_bytes;
    report.corrupt_slices = stats.corrupt_slices;
    const objects::ReconcileReport reconciled = objects_->reconcile_report();
    report.scrub_passes = reconciled.scrub_passes;
    report.scrub_percent = reconciled.scrub_percent;
    report.scrub_damaged = reconciled.scrub_damaged;
    CO_TRY_ASSIGN(const runtime::DiskSpace space, control_->disk.space());
    report.disk_free_bytes = space.free_bytes;
    report.disk_total_bytes = space.total_bytes;
    report.full = objects_->is_full();
    report.garbage_blobs =
        static_cast<std::uint64_t>(metrics_.gauge("hamster_garbage_blobs", "").value());
    report.garbage_bytes =
        static_cast<std::uint64_t>(metrics_.gauge("hamster_garbage_bytes", "").value());
    report.s3_address = options_.s3_address;
    report.admin_address = options_.admin_address;
    auto counted = co_await count_objects(&report);
    CO_TRY(counted);
    co_return report;
}

// An empty command travels the whole way to a durable log. At most one every few seconds, however
// often anybody asks.
Task<Result<void>> NodeImpl::probe() {
    if (state_ == State::kStarting) co_return Result<void>{};
    const runtime::Time now = control_->clock.now();
    if (now - probed_at_ < kProbeEvery) co_return probed_;
    probed_at_ = now;
    proto::Command command;
    command.mutable_drop_garbage();
    auto proposed = co_await group_->propose(std::move(command));
    probed_ = proposed ? Result<void>{} : std::unexpected(proposed.error());
    // Without a quorum nobody can commit; restarting this node would not help.
    const bool is_ours = group_->driver().failure() || group_->driver().is_alone();
    if (!proposed && !is_ours) probed_ = {};
    co_return probed_;
}

}  // namespace

Task<Result<std::unique_ptr<Node>>> Node::open(runtime::World* control,
                                               std::vector<runtime::World*> io,
                                               crypto::KeySource* keys, Options options) {
    CO_TRY(
        admin::check_root_credential(options.root.access_key_id, options.root.secret_access_key));
    auto node = std::make_unique<NodeImpl>(control, std::move(io), keys, std::move(options));
    auto started = co_await node->start();
    if (!started) {
        co_await node->stop();
        co_return std::unexpected(std::move(started).error());
    }
    co_return std::unique_ptr<Node>(std::move(node));
}

}  // namespace hamster::node
