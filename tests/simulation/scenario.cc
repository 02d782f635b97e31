#include "scenario.h"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "crypto/random.h"
#include "meta/limits.h"
#include "node/node.h"
#include "plan.h"
#include "runtime/sim/simulator.h"
#include "runtime/sync.h"
#include "shards/record.h"
#include "workload.h"

namespace hamster::simulation {

namespace {

using runtime::Micros;
using runtime::sim::DiskFaults;
using runtime::sim::Machine;
using runtime::sim::NetworkFaults;
using runtime::sim::Simulator;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kCapacity = 512ULL << 20;
constexpr int kMaxBootsPerStart = 25;
constexpr Micros kRunLimit = std::chrono::hours(2);

class Scenario {
  public:
    Scenario(std::uint64_t seed, bool verbose)
        : plan_(draw_plan(seed)),
          verbose_(verbose),
          random_(runtime::Prng::split(seed, "faults")),
          sim_(seed),
          machine_(sim_.machine("node")),
          model_(&report_) {
        stage_.world = &sim_.harness();
        stage_.address = "node:9000";
        stage_.model = &model_;
        stage_.report = &report_;
        stage_.keys = plan_.keys;
        stage_.two_part_uploads = plan_.two_part_uploads;
        stage_.max_bytes = plan_.max_bytes;
        disk_.capacity_bytes = kCapacity;
    }

    RunResult run();

  private:
    // --- the node's life
    Task<void> init_here(runtime::World* world, bool* done);
    Task<void> open_here(runtime::World* world);
    Task<void> stop_here(node::Node* node) { co_await node->stop(); }
    Task<void> reconcile_here(node::Node* node) { co_await node->objects().reconcile_once(); }
    Task<void> list_here(runtime::World* world, std::string dir, std::vector<std::string>* names);
    void init();
    // Boots and opens until the node serves. False when it never will, and that is as it should be.
    bool start();
    bool try_start();
    bool excused_refusal(const Error& error);
    void down();  // ends the incarnation, power cut
    void arm(std::uint64_t most);
    void clean_stop();

    // --- phases
    void spawn_workers(int first, int count, int operations);
    Task<void> work(int number, int operations);
    void workload();
    void inject();
    void end_windows();
    void heal();
    void verify();
    void check_space();
    void count_space();
    bool settle_reconciler();

    // --- faults
    void rot_segment();
    bool misdirect_in(const std::string& path);
    bool rot_log();
    void set_disk() { machine_.set_faults(disk_); }
    // Tells the clients whether errors are to be expected.
    void tell() {
        stage_.disturbed = is_down_ || windows_open_ || poisonable_ || lingers_;
        if (stage_.disturbed) ++stage_.disturbances;
    }
    [[nodiscard]] Micros some(std::int64_t low_ms, std::int64_t high_ms);
    [[nodiscard]] bool chance(std::uint64_t percent) { return random_.below(100) < percent; }
    void say(const std::string& text);
    template <class Done>
    bool wait(Done done, Micros limit);
    void run_checker(Task<void> task);
    Task<void> then_flag(Task<void> task, bool* done);
    void reached(std::string_view point) { report_.reached(point); }

    Plan plan_;
    bool verbose_;
    Report report_;
    runtime::Prng random_;
    Simulator sim_;
    Machine& machine_;
    Model model_;
    Stage stage_;
    DiskFaults disk_;
    std::optional<crypto::PredictableKeySource> keys_;
    std::unique_ptr<node::Node> node_;
    std::optional<Error> open_error_;
    bool is_down_ = true;
    bool windows_open_ = false;     // some fault lasts
    bool errors_happened_ = false;  // a device error may have poisoned something
    bool poisonable_ = false;       // the same, of this incarnation
    bool lingers_ =
        false;  // slow operations may still be under way; a node notices free space late
    runtime::Event bucket_made_;
    bool rotten_ = false;
    bool refused_for_good_ = false;
    int working_ = 0;
    std::vector<std::unique_ptr<Worker>> workers_;
    runtime::Gate gate_;
    std::vector<std::shared_ptr<bool>> held_;  // flags that checkers set
    std::uint64_t errors_at_boot_ = 0;
    std::int64_t most_offset_ms_ = 0;
};

void Scenario::say(const std::string& text) {
    if (verbose_) fmt::print(stderr, "[{:>10} us] {}\n", sim_.now().us, text);
}

Micros Scenario::some(std::int64_t low_ms, std::int64_t high_ms) {
    const auto span = static_cast<std::uint64_t>((high_ms - low_ms) * 1000 + 1);
    return Micros(low_ms * 1000 + static_cast<std::int64_t>(random_.below(span)));
}

template <class Done>
bool Scenario::wait(Done done, Micros limit) {
    return sim_.run_until([&] { return report_.failed() || done(); }, limit);
}

Task<void> Scenario::init_here(runtime::World* world, bool* done) {
    auto made = co_await node::init_data_dir(world, &*keys_, plan_.options);
    if (made) {
        *done = true;
    } else {
        open_error_ = made.error();
    }
}

Task<void> Scenario::open_here(runtime::World* world) {
    std::vector<runtime::World*> io{world};
    auto opened = co_await node::Node::open(world, std::move(io), &*keys_, plan_.options);
    if (opened) {
        node_ = std::move(*opened);
    } else {
        open_error_ = opened.error();
    }
}

Task<void> Scenario::list_here(runtime::World* world, std::string dir,
                               std::vector<std::string>* names) {
    auto listed = co_await world->disk.list(std::move(dir));
    if (listed) *names = *listed;
}

void Scenario::down() {
    if (!machine_.is_up()) return;
    machine_.crash([this] { node_.reset(); });
    is_down_ = true;
    poisonable_ = false;
    tell();
    model_.incarnation_ended();
    say("down");
}

void Scenario::arm(std::uint64_t most) {
    machine_.crash_at_io(random_.below(most) + 1, [this] {
        say("crash at an I/O boundary");
        reached("crash.at-io");
        down();
    });
}

void Scenario::init() {
    set_disk();
    bool done = false;
    for (int attempt = 0; !done; ++attempt) {
        runtime::World& world = machine_.boot();
        keys_.emplace(&world.random);
        open_error_.reset();
        if (plan_.crash_in_init && attempt < 4) arm(40);
        const bool survived =
            sim_.run_on(machine_, init_here(&world, &done), std::chrono::hours(1));
        if (!survived) {
            reached("crash.in-init");
            done = false;
            continue;
        }
        if (open_error_) {
            report_.violation("I10", "init failed: " + open_error_->context);
            return;
        }
        machine_.disarm_crash();
        down();
    }
}

// Errors that the faults of this moment explain.
bool Scenario::excused_refusal(const Error& error) {
    if (error.code == Code::kNoSpace) return disk_.capacity_bytes < kCapacity;
    if (error.code == Code::kIo)
        return disk_.read_eio_ppm + disk_.write_eio_ppm + disk_.sync_eio_ppm > 0;
    return false;
}

bool Scenario::try_start() {
    runtime::World& world = machine_.boot();
    keys_.emplace(&world.random);
    open_error_.reset();
    errors_at_boot_ = stage_.server_errors;
    if (plan_.crash_in_recovery && !stage_.healthy && chance(35)) {
        reached("crash.armed-in-recovery");
        arm(60);
    }
    const bool survived = sim_.run_on(machine_, open_here(&world), std::chrono::hours(1));
    if (!survived) {
        reached("crash.in-recovery");
        return false;
    }
    machine_.disarm_crash();
    if (node_) {
        is_down_ = false;
        poisonable_ = disk_.read_eio_ppm + disk_.write_eio_ppm + disk_.sync_eio_ppm > 0;
        tell();
        say("up");
        return true;
    }
    say("refused to open: " + open_error_->context);
    reached(fmt::format("open-error.{}", base::to_string(open_error_->code)));
    down();
    return false;
}

bool Scenario::start() {
    for (int attempt = 0; attempt < kMaxBootsPerStart && !report_.failed(); ++attempt) {
        if (try_start()) return true;
        if (!open_error_) continue;
        if (rotten_ && open_error_->code == Code::kCorrupt) {
            reached("refused.corrupt");
            refused_for_good_ = true;
            return false;
        }
        if (!excused_refusal(*open_error_)) {
            report_.violation(
                "I1", fmt::format("the node does not open: {}: {}",
                                  base::to_string(open_error_->code), open_error_->context));
            return false;
        }
        end_windows();
    }
    if (!report_.failed()) report_.violation("I10", "the node does not come up");
    return false;
}

void Scenario::clean_stop() {
    say("clean stop");
    reached("fault.clean-restart");
    ++stage_.disturbances;
    stage_.disturbed = true;
    const bool survived = sim_.run_on(machine_, stop_here(node_.get()), std::chrono::hours(1));
    if (survived) down();
}

Task<void> Scenario::work(int number, int operations) {
    Worker* worker = workers_[static_cast<std::size_t>(number)].get();
    if (number == 0) {
        co_await worker->make_bucket();
        bucket_made_.set();
    }
    co_await bucket_made_.wait();
    co_await worker->run(operations);
    --working_;
}

void Scenario::spawn_workers(int first, int count, int operations) {
    for (int i = first; i < first + count; ++i) {
        workers_.push_back(std::make_unique<Worker>(&stage_, plan_.seed, i));
        ++working_;
        runtime::spawn(stage_.world->executor, gate_, "worker", work(i, operations));
    }
}

Task<void> Scenario::then_flag(Task<void> task, bool* done) {
    co_await std::move(task);
    *done = true;
}

// A checker's requests against a healthy node.
void Scenario::run_checker(Task<void> task) {
    auto done = std::make_shared<bool>(false);
    runtime::spawn(stage_.world->executor, gate_, "checker",
                   then_flag(std::move(task), done.get()));
    if (!wait([&] { return *done || is_down_; }, kRunLimit) && !report_.failed()) {
        report_.violation("I10", "the final requests do not end");
    }
    // Frames that still run refer to the flag.
    wait([&] { return *done; }, seconds(300));
    held_.push_back(std::move(done));
}

// Where the slices of a segment of long bodies end: in a block whose last bytes are their header.
struct FoundSlice {
    std::uint64_t offset = 0;
    std::uint32_t span = 0;
    std::uint32_t length = 0;  // of the payload
};

std::vector<FoundSlice> slices_in(std::string_view content) {
    std::vector<FoundSlice> found;
    for (std::size_t end = base::kBlock; end <= content.size(); end += base::kBlock) {
        const std::string_view tail =
            content.substr(end - shards::kHeaderBytes, shards::kHeaderBytes);
        const auto header = shards::decode_header(base::as_bytes(tail));
        if (!header || header->kind != shards::Kind::kSlice) continue;
        const std::uint32_t span = shards::large_span(header->length);
        if (span <= end && header->offset == end - span)
            found.push_back({end - span, span, header->length});
    }
    return found;
}

// One slice written over another of its size: the disk missed. Both are whole, one is in the wrong
// place.
Task<void> misdirect(runtime::World* world, std::string path, std::uint64_t from, std::uint64_t to,
                     std::uint32_t span) {
    auto opened = co_await world->disk.open(std::move(path), runtime::Disk::Mode::kReadWrite);
    if (!opened) co_return;
    const std::unique_ptr<runtime::File> file = std::move(*opened);
    base::Buffer buffer(span);
    buffer.resize(span);
    auto got = co_await file->read(from, buffer.writable());
    if (!got || *got < span) co_return;
    std::vector<base::Bytes> pieces{buffer.bytes()};
    (void)co_await file->write_durable(to, std::move(pieces));
}

bool Scenario::misdirect_in(const std::string& path) {
    const auto content = machine_.durable_content(path);
    if (!content) return false;
    const std::vector<FoundSlice> slices = slices_in(*content);
    bool any = false;
    for (int attempt = 0; attempt < 8 && !slices.empty() && !is_down_; ++attempt) {
        const FoundSlice to = slices[random_.below(slices.size())];
        std::vector<FoundSlice> alike;
        for (const FoundSlice& other : slices) {
            if (other.length == to.length && other.offset != to.offset) alike.push_back(other);
        }
        if (alike.empty()) continue;
        const FoundSlice from = alike[random_.below(alike.size())];
        any = sim_.run_on(machine_,
                          misdirect(&machine_.world(), path, from.offset, to.offset, to.span)) ||
              any;
    }
    return any;
}

void Scenario::rot_segment() {
    if (is_down_) return;
    std::vector<std::string> names;
    const std::string dir = "shards/segments";
    if (!sim_.run_on(machine_, list_here(&machine_.world(), dir, &names)) || names.empty()) return;
    rotten_ = true;
    stage_.bodies_may_be_lost = true;
    if (chance(50)) {
        for (const std::string& name : names) {
            if (!name.ends_with(".large") || is_down_) continue;
            if (misdirect_in(dir + "/" + name)) reached("fault.misdirected-write");
        }
        return;
    }
    const std::string path = dir + "/" + names[random_.below(names.size())];
    const auto content = machine_.durable_content(path);
    if (!content || content->size() <= base::kBlock) return;
    machine_.flip_bit(path, base::kBlock * 8 + random_.below((content->size() - base::kBlock) * 8));
    reached("fault.bit-rot");
    say("a bit of " + path + " flips");
}

// Damage that cannot be a torn tail: early in the first of the log's files, with much behind it.
bool Scenario::rot_log() {
    if (is_down_) return false;
    std::vector<std::string> names;
    const std::string dir = "meta/log";
    if (!sim_.run_on(machine_, list_here(&machine_.world(), dir, &names)) || names.empty())
        return false;
    const std::string path = dir + "/" + names.front();
    const auto content = machine_.durable_content(path);
    if (!content) return false;
    const std::size_t end = content->find_last_not_of('\0');
    if (end == std::string::npos || end < 12 * base::kBlock) return false;
    down();
    // In the header of a group, which is never padding.
    const std::uint64_t block = 1 + random_.below(end / base::kBlock / 4);
    machine_.flip_bit(path, block * base::kBlock * 8 + random_.below(128));
    reached("fault.log-rot");
    say("a bit of " + path + " flips");
    rotten_ = true;
    return true;
}

void Scenario::end_windows() {
    disk_ = DiskFaults{};
    disk_.capacity_bytes = kCapacity;
    set_disk();
    sim_.set_network_faults({});
    windows_open_ = false;
    tell();
}

void Scenario::inject() {
    const Fault fault = plan_.kinds[random_.below(plan_.kinds.size())];
    say(fmt::format("fault: {}", name_of(fault)));
    if (fault != Fault::kBitRot) reached(fmt::format("fault.{}", name_of(fault)));
    switch (fault) {
        case Fault::kCrashAtIo:
            return arm(chance(50) ? 30 : 400);
        case Fault::kCrashNow:
            return down();
        case Fault::kCleanRestart:
            return clean_stop();
        case Fault::kDiskErrors:
            disk_.read_eio_ppm = chance(50) ? 20'000 : 0;
            disk_.write_eio_ppm = chance(50) ? 20'000 : 0;
            disk_.sync_eio_ppm = chance(50) ? 20'000 : 0;
            errors_happened_ = poisonable_ = true;
            break;
        case Fault::kSlowDisk:
            disk_.slow_ppm = 20'000;
            lingers_ = true;
            break;
        case Fault::kFullDisk:
            lingers_ = true;
            disk_.capacity_bytes = machine_.allocated_bytes() + random_.below(3ULL << 20);
            break;
        case Fault::kClockJump: {
            constexpr std::array<std::int64_t, 5> kSpans = {20'000, 3'600'000, 10'000'000,
                                                            86'400'000, 31'536'000'000};
            const std::int64_t span = kSpans[random_.below(kSpans.size())];
            const auto jump =
                static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(span)));
            stage_.server_offset_ms += chance(60) ? jump : -jump;
            most_offset_ms_ = std::max(most_offset_ms_, stage_.server_offset_ms);
            machine_.set_clock_offset_ms(stage_.server_offset_ms);
            return;
        }
        case Fault::kNetworkReset:
            sim_.set_network_faults({static_cast<std::uint32_t>(random_.below(20'000)), 5000});
            break;
        case Fault::kBitRot:
            return rot_segment();
    }
    windows_open_ = true;
    tell();
    set_disk();
}

void Scenario::workload() {
    spawn_workers(0, plan_.workers, plan_.operations);
    const runtime::Time end = sim_.now() + kRunLimit;
    int left = plan_.faults;
    while (working_ > 0 && !report_.failed() && sim_.now() < end) {
        wait([this] { return working_ == 0 || is_down_; }, some(1, 150));
        if (report_.failed()) return;
        if (is_down_) {
            sim_.run_for(some(0, 300));
            if (!start()) return;
            continue;
        }
        // A poisoned node says so; an operator restarts it.
        if (stage_.server_errors > errors_at_boot_ + 6) {
            reached("restart.poisoned");
            down();
            continue;
        }
        if (windows_open_ && chance(30)) end_windows();
        if (left == 0) {
            if (!windows_open_) break;
            continue;
        }
        --left;
        inject();
    }
}

// The faults stop; whoever is wounded is restarted; from here on every promise is due.
void Scenario::heal() {
    say("heal");
    end_windows();
    machine_.disarm_crash();
    if (!is_down_ && errors_happened_) down();
    // Slow operations end; otherwise what I10 grants.
    sim_.run_for(plan_.has(Fault::kSlowDisk) ? seconds(15) : seconds(4));
    lingers_ = false;
    tell();
    if (is_down_ && !start()) return;
    stage_.healthy = true;
    spawn_workers(plan_.workers, 2, 6);
    if (!wait([this] { return working_ == 0; }, kRunLimit) && !report_.failed()) {
        report_.violation("I10", "clients wait for ever");
    }
}

void Scenario::verify() {
    workers_.push_back(std::make_unique<Worker>(&stage_, plan_.seed, 1000));
    Worker* const checker = workers_.back().get();
    run_checker(checker->verify_all());
    if (report_.failed() || !plan_.power_cut_last) return;
    reached("crash.after-verify");
    down();
    if (!start()) return;
    run_checker(checker->verify_all());
}

bool Scenario::settle_reconciler() {
    for (int round = 0; round < 6 && !report_.failed(); ++round) {
        if (!sim_.run_on(machine_, reconcile_here(node_.get()), std::chrono::hours(1)))
            return false;
        sim_.run_for(seconds(3));
    }
    return true;
}

void Scenario::check_space() {
    workers_.push_back(std::make_unique<Worker>(&stage_, plan_.seed, 1001));
    Worker* const checker = workers_.back().get();
    run_checker(checker->abort_uploads());
    if (plan_.delete_all) run_checker(checker->delete_all());
    if (report_.failed()) return;
    // After a start everything counts as read by other nodes for a minute.
    sim_.run_for(seconds(61));
    // Orphans age from when they are first seen.
    if (!settle_reconciler() || report_.failed()) return;
    // Cluster time never goes back: a clock that was ahead holds collection up until it is passed.
    stage_.server_offset_ms =
        most_offset_ms_ + static_cast<std::int64_t>(meta::kOrphanGraceMs) + 3'600'000;
    machine_.set_clock_offset_ms(stage_.server_offset_ms);
    if (!settle_reconciler() || report_.failed()) return;
    count_space();
    if (report_.failed() || plan_.delete_all) return;
    run_checker(checker->verify_all());  // nothing that is referenced went
}

Task<void> view_here(node::Node* node, std::optional<meta::View>* out) {
    auto view = co_await node->objects().router().system().view();
    if (view) *out = *view;
}

void Scenario::count_space() {
    std::optional<meta::View> view;
    if (!sim_.run_on(machine_, view_here(node_.get(), &view)) || !view) {
        return report_.violation("I10", "no view of the metadata");
    }
    std::set<std::string> blobs;
    std::uint64_t bytes = 0;
    const auto bucket = view->bucket(kBucket);
    if (!bucket || !*bucket) return report_.violation("I1", "the bucket is gone");
    const auto id = base::BucketId::from_bytes((*bucket)->bucket_id());
    meta::ListQuery query;
    query.limit = 10'000;
    const auto page = view->list_versions(*id, query, std::nullopt);
    if (!page) return report_.violation("I1", "the versions cannot be listed");
    for (const auto& entry : page->entries) {
        for (const auto& part : entry.version.parts()) {
            if (blobs.insert(part.blob_id()).second) bytes += part.size();
        }
    }
    const auto garbage = view->garbage(std::nullopt, 100);
    if (!garbage || !garbage->empty()) {
        return report_.violation("I11", "garbage is left after the grace has passed");
    }
    auto& metrics = node_->metrics();
    const auto gauge = [&](std::string_view name) {
        return static_cast<std::uint64_t>(metrics.gauge(name, "").value());
    };
    const std::uint64_t shards = gauge("hamster_shards_shards");
    if (shards != blobs.size() && !stage_.bodies_may_be_lost) {
        return report_.violation(
            "I11", fmt::format("{} shards on the disk, {} blobs referenced", shards, blobs.size()));
    }
    const auto& shard_options = plan_.options.shards;
    const std::uint64_t bound =
        5 * bytes / 2 + blobs.size() * 8192 +
        4 * (shard_options.segment_bytes + shard_options.small_segment_bytes);
    const std::uint64_t used = gauge("hamster_shards_disk_bytes");
    if (used > bound && !stage_.bodies_may_be_lost) {
        return report_.violation("I11",
                                 fmt::format("segments hold {} bytes for {} referenced; at most "
                                             "{} were expected",
                                             used, bytes, bound));
    }
    const auto& meta_options = plan_.options.meta;
    const std::uint64_t logs =
        6 * meta_options.wal_file_bytes +
        2 * std::min<std::uint64_t>(meta_options.flush_after_bytes, 8ULL << 20);
    if (machine_.allocated_bytes() > used + logs + (4ULL << 20)) {
        report_.violation("I11", fmt::format("{} bytes on the disk, {} of them in segments",
                                             machine_.allocated_bytes(), used));
    }
    reached("space.counted");
}

RunResult Scenario::run() {
    say(plan_.text());
    init();
    if (!report_.failed() && start()) workload();
    if (!report_.failed() && !refused_for_good_ && plan_.log_rot && rot_log()) {
        if (start()) reached("refused.log-rot-survived");
    }
    if (!report_.failed() && !refused_for_good_) heal();
    if (!report_.failed() && !refused_for_good_) verify();
    if (!report_.failed() && !refused_for_good_) check_space();
    if (!report_.failed() && !refused_for_good_ && node_) clean_stop();
    stage_.stop = true;
    down();
    // Whoever still waits for the node learns that it is gone.
    const bool quiet = sim_.run_until([this] { return gate_.count() == 0; }, std::chrono::hours(1));
    HAMSTER_ASSERT(quiet, plan_.seed, gate_.count());
    RunResult outcome;
    outcome.trace_hash = sim_.trace_hash();
    outcome.simulated_us = static_cast<std::uint64_t>(sim_.now().us);
    outcome.requests = stage_.completed;
    outcome.violation = report_.first();
    outcome.points = report_.points();
    return outcome;
}

}  // namespace

RunResult run_seed(std::uint64_t seed, bool verbose) {
    Scenario scenario(seed, verbose);
    return scenario.run();
}

const std::set<std::string, std::less<>>& expected_points() {
    static const std::set<std::string, std::less<>> points = {"op.put",
                                                              "op.put-if-none-match",
                                                              "op.put-if-match",
                                                              "op.put-refused",
                                                              "op.get",
                                                              "op.get-range",
                                                              "op.head",
                                                              "op.delete",
                                                              "op.delete-objects",
                                                              "op.copy",
                                                              "op.put-tags",
                                                              "op.get-tags",
                                                              "op.list-v1",
                                                              "op.list-v2",
                                                              "op.create-upload",
                                                              "op.upload-part",
                                                              "op.list-parts",
                                                              "op.complete-upload",
                                                              "op.abort-upload",
                                                              "op.list-uploads",
                                                              "op.create-bucket",
                                                              "client.abort",
                                                              "list.page",
                                                              "list.end",
                                                              "status.0",
                                                              "status.200",
                                                              "status.204",
                                                              "status.206",
                                                              "status.400",
                                                              "status.403",
                                                              "status.404",
                                                              "status.412",
                                                              "status.416",
                                                              "status.500",
                                                              "status.503",
                                                              "status.507",
                                                              "fault.crash-at-io",
                                                              "fault.crash-now",
                                                              "fault.clean-restart",
                                                              "fault.disk-errors",
                                                              "fault.slow-disk",
                                                              "fault.full-disk",
                                                              "fault.clock-jump",
                                                              "fault.network-reset",
                                                              "fault.bit-rot",
                                                              "fault.log-rot",
                                                              "fault.misdirected-write",
                                                              "fault.refused-full",
                                                              "crash.at-io",
                                                              "crash.in-init",
                                                              "crash.in-recovery",
                                                              "crash.after-verify",
                                                              "restart.poisoned",
                                                              "refused.corrupt",
                                                              "space.counted"};
    return points;
}

}  // namespace hamster::simulation
