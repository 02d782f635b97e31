// Opening a group: what must be there, whether log and store belong together and to this cluster,
// and how it begins to take part.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "meta/apply.h"
#include "meta/group_files.h"
#include "meta/keyspace.h"
#include "meta/replica_impl.h"

namespace hamster::meta {

using base::LogIndex;
using proto::Answer;
using proto::Command;
using runtime::Task;

namespace {

constexpr runtime::Micros kPoll = std::chrono::milliseconds(1);

// Nothing is made where metadata is expected: a new log beside an old store would hide the loss.
Task<Result<void>> check_present(runtime::Disk* disk, std::string dir) {
    constexpr std::string_view kWhatToDo =
        "a disk that is not mounted, or files that were deleted; restore the data directory as a "
        "whole from one backup, nothing has been changed";
    auto names = co_await disk->list(dir);
    if (!names && names.error().code != Code::kNotFound) {
        co_return std::unexpected(std::move(names).error());
    }
    const auto is_ours = [](const std::string& name) {
        return name == "log" || name == "vote" || name == "store";
    };
    if (!names || std::ranges::none_of(*names, is_ours)) {
        co_return fail(Code::kNotFound,
                       fmt::format("there is no metadata in {}/: {}", dir, kWhatToDo));
    }
    const std::string log = dir + "/log";
    auto files = co_await disk->list(log);
    if (!files && files.error().code != Code::kNotFound) {
        co_return std::unexpected(std::move(files).error());
    }
    const auto is_log = [](const std::string& name) { return name.ends_with(".wal"); };
    if (!files || std::ranges::none_of(*files, is_log)) {
        co_return fail(Code::kCorrupt,
                       fmt::format("the log in {}/ is missing: {}", log, kWhatToDo));
    }
    co_return Result<void>{};
}

// The cluster that the log from `from` on founds; empty when it does not.
Task<Result<std::string>> founded_cluster(raft::Log* log, LogIndex from) {
    std::string cluster;
    auto visit = [&cluster](const proto::Entry& entry) -> Result<void> {
        if (entry.kind() != proto::Entry::COMMAND || !cluster.empty()) return {};
        TRY_ASSIGN(const auto command, decode_command(base::as_bytes(entry.payload())));
        if (command.has_found_cluster()) cluster = command.found_cluster().info().cluster_id();
        return {};
    };
    auto read = co_await log->read(from, LogIndex{log->last_index().value + 1}, std::move(visit));
    CO_TRY(read);
    co_return cluster;
}

// Whether the log goes on where the store ends.
Task<Result<void>> check_follows(raft::Log* log, proto::Applied state) {
    const LogIndex first = log->first_index();
    const LogIndex last = log->last_index();
    if (state.index() + 1 < first.value || state.index() > last.value) {
        co_return fail(Code::kCorrupt,
                       fmt::format("the metadata store ends at entry {}, but the log holds {} to "
                                   "{}: files are missing or from another time; restore the data "
                                   "directory as a whole from one backup",
                                   state.index(), first.value, last.value));
    }
    if (state.chain() == 0) co_return Result<void>{};
    auto follows = co_await log->check_follows(LogIndex{state.index()}, state.chain());
    if (!follows && follows.error().code == Code::kCorrupt) {
        co_return fail(Code::kCorrupt,
                       fmt::format("the metadata store and the log have different histories "
                                   "({}): files of two directories or times were mixed; "
                                   "restore the data directory as a whole from one backup",
                                   follows.error().context));
    }
    co_return follows;
}

Task<Result<void>> check_cluster(raft::Log* log, const kv::Store* store, proto::Applied state,
                                 base::ClusterId expected) {
    if (expected.is_zero()) co_return Result<void>{};
    std::string cluster;
    auto info = View(store->snapshot()).cluster();
    if (info) {
        cluster = info->cluster_id();
    } else if (info.error().code != Code::kNotFound) {
        co_return std::unexpected(std::move(info).error());
    } else {
        auto founded = co_await founded_cluster(log, LogIndex{state.index() + 1});
        CO_TRY_ASSIGN(cluster, std::move(founded));
    }
    if (!cluster.empty() && cluster != expected.view()) {
        co_return fail(Code::kInvalid,
                       "the metadata belongs to another cluster than this data "
                       "directory: restore both from the same backup");
    }
    co_return Result<void>{};
}

// The log of a snapshot that was put in place right before a crash may be an older one.
Task<Result<void>> check_origin(raft::Log* log, const kv::Store* store, proto::Applied state,
                                Place place, base::ClusterId cluster) {
    if (!place.is_installed) {
        auto follows = co_await check_follows(log, state);
        CO_TRY(follows);
    }
    const bool is_behind = state.index() > log->last_index().value;
    const LogIndex seen{is_behind ? log->last_index().value : state.index()};
    state.set_index(seen.value);
    auto checked = co_await check_cluster(log, store, state, cluster);
    co_return checked;
}

}  // namespace

Result<raft::Members> members_in(const kv::Store& store, const GroupOptions& options) {
    const std::string row = system_row("membership");
    TRY_ASSIGN(const auto bytes, store.get(row));
    if (bytes) {
        proto::Membership stored;
        if (!stored.ParseFromString(*bytes)) return fail(Code::kCorrupt, "the members' row");
        return raft::members_from(stored);
    }
    raft::Members members;
    if (!options.is_newcomer) members.voters.insert(options.self);
    return members;
}

Task<Result<GroupFiles>> open_files(runtime::World* control, std::string dir, GroupOptions options,
                                    base::Metrics* metrics) {
    GroupFiles opened;
    auto place = co_await read_place(&control->disk, dir);
    CO_TRY_ASSIGN(opened.place, place);
    auto store = co_await kv::open(control, dir + "/" + opened.place.store, options.store);
    CO_TRY_ASSIGN(opened.store, store);
    CO_TRY_ASSIGN(opened.state, applied(*opened.store));
    wal::Options wal_options;
    wal_options.file_bytes = options.wal_file_bytes;
    std::optional<raft::Tail> base;
    const proto::Applied& state = opened.state;
    if (state.term() != 0) base = {{state.index()}, {state.term()}, state.chain()};
    // What is damaged here others have: it comes from them again.
    CO_TRY_ASSIGN(const raft::Members members, members_in(*opened.store, options));
    const bool has_others = std::ranges::any_of(
        members.voters, [&](const base::NodeId& id) { return id != options.self; });
    // Who alone votes has had its store flushed since (replica_apply.cc), and is not among these.
    const bool can_rejoin = has_others || (options.is_newcomer && members.voters.empty());
    auto task = can_rejoin ? raft::Log::open_or_rejoin(control, dir, wal_options, metrics,
                                                       base.value_or(raft::Tail{}))
                           : raft::Log::open(control, dir, wal_options, metrics, base);
    auto log = co_await std::move(task);
    CO_TRY_ASSIGN(opened.log, log);
    co_return opened;
}

Task<Result<void>> ReplicaImpl::start(std::unique_ptr<raft::Log> log, raft::Applied applied,
                                      base::Metrics* metrics) {
    applied_ = applied.at;
    replayed_to_ = log->last_index().value;
    raft::DriverOptions options;
    options.core.self = options_.self;
    options.core.seed = control_->random.next();
    options.tick = options_.raft_tick;
    options.on_change = [this] { on_standing(); };
    driver_ =
        std::make_unique<raft::Driver>(control_, options, std::move(log), this, this, metrics);
    CO_TRY_ASSIGN(const proto::Applied state, meta::applied(*store()));
    stamps_.note(state.stamp_ms(), control_->clock.now());
    auto started = co_await driver_->start(std::move(applied));
    CO_TRY(started);
    note_clock();
    if (place_.is_installed) {
        place_.is_installed = false;
        auto noted = co_await write_place(&control_->disk, dir_, place_);
        CO_TRY(noted);
    }
    co_await tidy_stores();
    co_return Result<void>{};
}

// Its log holds nothing but what it committed.
Task<Result<void>> ReplicaImpl::lead_alone() {
    for (;;) {
        if (const auto& failure = driver_->failure()) co_return std::unexpected(*failure);
        auto caught_up = co_await driver_->read_barrier();
        if (caught_up) break;
        co_await control_->clock.sleep(kPoll);
    }
    is_alone_ = driver_->is_alone();
    co_return Result<void>{};
}

Task<Result<void>> ReplicaImpl::found(proto::ClusterInfo info) {
    Command command;
    *command.mutable_found_cluster()->mutable_info() = std::move(info);
    auto answer = co_await propose(std::move(command));
    CO_TRY(answer);
    if (answer->status() != Answer::OK) {
        co_return fail(Code::kInvalid, "the cluster was not founded: " + answer->detail());
    }
    co_return Result<void>{};
}

namespace {

Task<Result<void>> start(ReplicaImpl* group, std::unique_ptr<raft::Log> log, raft::Applied applied,
                         const proto::ClusterInfo* found, base::Metrics* metrics) {
    const bool is_empty = log->last_index().value == 0;
    auto started = co_await group->start(std::move(log), std::move(applied), metrics);
    CO_TRY(started);
    // By the log: the store may be from before others joined, and nobody hears us yet.
    const raft::Members& members = group->driver().core().members();
    const bool is_alone =
        members.voters.size() == 1 && members.learners.empty() && members.is_voter(group->self());
    if (!is_alone) co_return Result<void>{};
    auto leading = co_await group->lead_alone();
    CO_TRY(leading);
    if (!is_empty) co_return Result<void>{};
    HAMSTER_ASSERT(found != nullptr);
    auto founded = co_await group->found(*found);
    co_return founded;
}

}  // namespace

Task<Result<std::unique_ptr<Replica>>> open_group(runtime::World* control, std::string dir,
                                                  GroupOptions options,
                                                  const proto::ClusterInfo* found,
                                                  base::Metrics* metrics) {
    HAMSTER_ASSERT(control != nullptr && metrics != nullptr);
    if (found == nullptr && !options.is_newcomer) {
        auto present = co_await check_present(&control->disk, dir);
        CO_TRY(present);
    }
    auto made = co_await control->disk.make_dir(dir);
    CO_TRY(made);
    auto files = co_await open_files(control, dir, options, metrics);
    CO_TRY_ASSIGN(GroupFiles opened, files);
    raft::Log* const log = opened.log.get();
    const bool is_empty = log->last_index().value == 0;
    Result<void> fit;
    if (is_empty && found == nullptr && !options.is_newcomer) {
        fit = fail(Code::kCorrupt,
                   fmt::format("the log in {}/log/ is empty: restore the data directory as a "
                               "whole from one backup",
                               dir));
    } else {
        fit = co_await check_origin(log, opened.store.get(), opened.state, opened.place,
                                    options.cluster);
    }
    // A lone voter keeps the identity it voted for first.
    if (options.self.is_zero()) options.self = log->vote().voted_for;
    if (options.self.is_zero()) options.self = control->random.id<base::NodeId>();
    auto members = members_in(*opened.store, options);
    if (!fit || !members) {
        co_await log->stop();
        co_return std::unexpected(!fit ? fit.error() : members.error());
    }
    const LogIndex index{opened.state.index()};
    base::Term term{opened.state.term()};
    if (term.value == 0) term = log->opened_terms().term_at(index).value_or(base::Term{});
    raft::Applied applied{{index, term, opened.state.chain()}, *members, opened.place.is_installed};
    auto group = std::make_unique<ReplicaImpl>(control, dir, options, metrics, opened.place,
                                               std::move(opened.store));
    auto started =
        co_await start(group.get(), std::move(opened.log), std::move(applied), found, metrics);
    if (!started) {
        co_await group->give_up();
        co_return std::unexpected(std::move(started).error());
    }
    co_return std::unique_ptr<Replica>(std::move(group));
}

}  // namespace hamster::meta
