#include "meta/group.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"
#include "meta/apply.h"
#include "meta/keyspace.h"
#include "meta/limits.h"
#include "raft/log.h"
#include "runtime/sync.h"

namespace hamster::meta {

namespace {

using base::LogIndex;
using proto::Answer;
using proto::Command;
using runtime::Task;

constexpr std::uint64_t kMaxStampMs = (std::uint64_t{1} << 48) - 1;  // a UUIDv7 holds no more

// The group of a lone voter. Everything but `last_stamp_ms_` and the store's snapshots belongs to
// the control loop.
//
// A proposal appends its entry and hands it over once it is durable. Those of one sync resume one
// after the other; the first waits for the rest and then applies what is there, in the order of the
// log, as one batch of the store.
class SingleVoter final : public Group {
  public:
    SingleVoter(runtime::World* control, GroupOptions options, base::Metrics* metrics,
                std::unique_ptr<raft::Log> log, std::unique_ptr<kv::Store> store)
        : control_(control),
          options_(options),
          log_(std::move(log)),
          store_(std::move(store)),
          commits_(metrics->counter("hamster_meta_commits_total", "Commands committed.")),
          commit_seconds_(metrics->histogram("hamster_meta_commit_seconds",
                                             "From proposal to answer, by command.")),
          queue_(metrics->gauge("hamster_meta_apply_queue", "Proposals not answered yet.")),
          log_bytes_(metrics->gauge("hamster_meta_log_unflushed_bytes",
                                    "Log bytes the store has not flushed.")) {}

    Task<Result<Answer>> propose(Command command) override;
    Task<Result<View>> view() override { co_return View(store_->snapshot()); }
    std::uint64_t stamp_now() override;
    Task<void> stop() override;

    // Whether log and store belong together and to this cluster. Before anything is written.
    Task<Result<void>> check_origin();
    // Applies what the log has and the store lacks. Before the first proposal.
    Task<Result<void>> replay();
    // Begins a term of its own; the first entry of a lone voter commits by itself.
    Task<Result<void>> lead();
    Task<Result<void>> found(proto::ClusterInfo info);
    // Gives up a group that could not be opened.
    Task<void> give_up();

  private:
    // A durable entry that is not applied yet; lives in the frame of its proposal.
    struct Durable {
        const Command* command;
        std::uint64_t chain;  // of its entry
        std::optional<Result<Answer>> answer;
        runtime::Event done;
    };

    Task<Result<Answer>> propose_here(Command command);
    Task<Result<Answer>> commit(Command command);
    void apply_ready();
    Result<Answer> apply_committed(Staging& staging, LogIndex index, const Durable& entry);
    void fail_store(const Error& error);
    Task<Result<std::string>> founded_cluster(LogIndex from);
    Result<void> replay_entry(Staging& staging, const proto::Entry& entry);
    void note_log_bytes(std::size_t bytes);
    void maybe_flush();
    Task<void> flush();
    void poison(const Error& error);

    runtime::World* control_;
    GroupOptions options_;
    std::unique_ptr<raft::Log> log_;
    std::unique_ptr<kv::Store> store_;
    base::Counter& commits_;
    base::Histogram& commit_seconds_;
    base::Gauge& queue_;
    base::Gauge& log_bytes_;
    LogIndex applied_;
    std::map<std::uint64_t, Durable*> durable_;  // by index
    bool gathering_ = false;                     // a proposal waits for the others of its sync
    std::atomic<std::uint64_t> last_stamp_ms_{0};
    runtime::Semaphore slots_{kMaxProposalsInFlight};
    std::uint64_t unflushed_bytes_ = 0;  // of the log, since the last flush began
    bool flushing_ = false;
    std::optional<Error> poisoned_;
    bool store_failed_ = false;  // what the store holds is in doubt: it is not flushed any more
    runtime::Gate gate_;
};

Task<Result<Answer>> SingleVoter::propose(Command command) {
    co_return co_await runtime::run_on(control_->executor, propose_here(std::move(command)));
}

std::uint64_t SingleVoter::stamp_now() {
    const std::uint64_t now = std::min(control_->clock.unix_ms(), kMaxStampMs);
    std::uint64_t last = last_stamp_ms_.load();
    while (last < now && !last_stamp_ms_.compare_exchange_weak(last, now)) {
    }
    return std::max(last, now);
}

Task<Result<Answer>> SingleVoter::propose_here(Command command) {
    if (!gate_.is_open()) co_return fail(Code::kUnavailable, "the metadata is stopping");
    gate_.enter();
    queue_.add(1);
    const runtime::Time start = control_->clock.now();
    co_await slots_.acquire(1);
    auto answer = co_await commit(std::move(command));
    slots_.release(1);
    const auto elapsed = control_->clock.now() - start;
    commit_seconds_.observe_us(static_cast<std::uint64_t>(elapsed.count()));
    queue_.add(-1);
    gate_.leave();
    co_return answer;
}

Task<Result<Answer>> SingleVoter::commit(Command command) {
    if (poisoned_) co_return fail(Code::kIo, "the metadata takes no writes: " + poisoned_->context);
    command.set_stamp_ms(stamp_now());
    if (command.request_id().empty()) {
        const auto id = mint_request_id(command.stamp_ms(), control_->random.id<base::RequestId>());
        command.set_request_id(std::string(id.view()));
    }
    std::string payload = command.SerializeAsString();
    const std::size_t bytes = payload.size();
    auto appended = co_await log_->append(proto::Entry::COMMAND, std::move(payload));
    if (!appended && appended.error().code == Code::kIo) {
        // The entry may be on the disk all the same and come back at the next start.
        poison(appended.error());
        co_return fail(Code::kUnknownOutcome, "the log failed: " + appended.error().context);
    }
    CO_TRY(appended);
    const LogIndex index = appended->index;
    Durable mine{&command, appended->chain, std::nullopt, {}};
    const bool first = durable_.emplace(index.value, &mine).second;
    HAMSTER_ASSERT(first, index.value);
    if (!gathering_) {
        gathering_ = true;
        co_await runtime::yield();
        gathering_ = false;
        apply_ready();
    }
    if (!mine.answer) co_await mine.done.wait();
    HAMSTER_ASSERT(mine.answer.has_value(), index.value);
    note_log_bytes(bytes);
    co_return std::move(*mine.answer);
}

// Applies what is durable as far as it is contiguous. An entry is durable only after all before it
// are, so nobody waits for an entry that does not come.
void SingleVoter::apply_ready() {
    const LogIndex before = applied_;
    Staging staging(*store_);
    std::vector<Durable*> group;
    while (!durable_.empty()) {
        const auto [index, entry] = *durable_.begin();
        HAMSTER_ASSERT(index > applied_.value, index, applied_.value);
        if (index != applied_.value + 1 && !poisoned_) break;
        durable_.erase(durable_.begin());
        group.push_back(entry);
        entry->answer = apply_committed(staging, LogIndex{index}, *entry);
    }
    if (auto written = staging.write(); !written) {
        fail_store(written.error());
        applied_ = before;  // the store may have less than was applied: no log is dropped for it
        for (Durable* entry : group) {
            entry->answer =
                fail(Code::kUnknownOutcome, "the store failed: " + written.error().context);
        }
    }
    commits_.add(applied_.value - before.value);
    for (Durable* entry : group) {
        entry->done.set();
    }
}

Result<Answer> SingleVoter::apply_committed(Staging& staging, LogIndex index,
                                            const Durable& entry) {
    if (poisoned_) {
        // Durable in the log, behind an entry that could not be applied.
        return fail(Code::kUnknownOutcome, "the metadata stopped: " + poisoned_->context);
    }
    HAMSTER_ASSERT(index.value == applied_.value + 1, index.value, applied_.value);
    auto answer = apply(staging, index, *entry.command, entry.chain);
    if (auto room = staging.write_if_large(); answer && !room) {
        answer = std::unexpected(std::move(room).error());
    }
    if (!answer) {
        fail_store(answer.error());
        return fail(Code::kUnknownOutcome, "the store failed: " + answer.error().context);
    }
    applied_ = index;
    return answer;
}

// What the store holds is in doubt from here on.
void SingleVoter::fail_store(const Error& error) {
    store_failed_ = true;
    if (poisoned_) return;
    poisoned_ = error;
    LOG_ERROR("meta", "no more writes until the next start: {}", error.context);
}

void SingleVoter::poison(const Error& error) {
    if (poisoned_) return;
    poisoned_ = error;
    apply_ready();  // whoever waits for an entry before his own learns it now
    LOG_ERROR("meta", "no more writes until the next start: {}", error.context);
}

void SingleVoter::note_log_bytes(std::size_t bytes) {
    unflushed_bytes_ += bytes;
    log_bytes_.set(static_cast<std::int64_t>(unflushed_bytes_));
    maybe_flush();
}

void SingleVoter::maybe_flush() {
    if (flushing_ || unflushed_bytes_ < options_.flush_after_bytes || !gate_.is_open()) return;
    flushing_ = true;
    runtime::spawn(control_->executor, gate_, "meta flush", flush());
}

// The log may lose what the store has on its disk, and nothing else.
Task<void> SingleVoter::flush() {
    HAMSTER_ASSERT(flushing_);
    const LogIndex flushed = applied_;
    unflushed_bytes_ = 0;
    if (base::planted(base::Bug::kDropBeforeFlush)) {
        (void)co_await log_->drop_before(LogIndex{flushed.value + 1});
    }
    auto done = co_await store_->flush();
    if (done) {
        done = co_await log_->drop_before(LogIndex{flushed.value + 1});
    } else if (done.error().code != Code::kNoSpace) {
        store_failed_ = true;
    }
    flushing_ = false;
    if (done) co_return;
    // A full disk: the log keeps what it has, and the next flush comes after as many bytes again.
    if (done.error().code == Code::kNoSpace) {
        LOG_WARN("meta", "the store was not flushed: {}", done.error().context);
    } else {
        poison(done.error());
    }
}

Task<void> SingleVoter::stop() {
    co_await gate_.close();
    co_await log_->stop();
    if (store_failed_) co_return;
    auto flushed = co_await store_->flush();
    if (!flushed) LOG_WARN("meta", "the store was not flushed: {}", flushed.error().context);
}

Task<void> SingleVoter::give_up() {
    co_await gate_.close();
    co_await log_->stop();
}

Result<void> SingleVoter::replay_entry(Staging& staging, const proto::Entry& entry) {
    const LogIndex index{entry.index()};
    HAMSTER_ASSERT(index.value == applied_.value + 1, index.value, applied_.value);
    if (entry.kind() == proto::Entry::COMMAND) {
        TRY_ASSIGN(auto command, decode_command(base::as_bytes(entry.payload())));
        const bool forget = base::planted(base::Bug::kDeleteForgotten);
        if (forget && command.has_delete_object()) command.mutable_drop_garbage();
        TRY(apply(staging, index, command, entry.chain()));
    } else {
        TRY(apply_nothing(staging, index, entry.chain()));
    }
    applied_ = index;
    unflushed_bytes_ += entry.payload().size();
    return staging.write_if_large();
}

// The cluster that the log from `from` on founds; empty when it does not.
Task<Result<std::string>> SingleVoter::founded_cluster(LogIndex from) {
    std::string cluster;
    auto visit = [&cluster](const proto::Entry& entry) -> Result<void> {
        if (entry.kind() != proto::Entry::COMMAND || !cluster.empty()) return {};
        TRY_ASSIGN(const auto command, decode_command(base::as_bytes(entry.payload())));
        if (command.has_found_cluster()) cluster = command.found_cluster().info().cluster_id();
        return {};
    };
    auto read = co_await log_->read(from, LogIndex{log_->last_index().value + 1}, std::move(visit));
    CO_TRY(read);
    co_return cluster;
}

Task<Result<void>> SingleVoter::check_origin() {
    CO_TRY_ASSIGN(const proto::Applied state, applied(*store_));
    const LogIndex first = log_->first_index();
    const LogIndex last = log_->last_index();
    if (state.index() + 1 < first.value || state.index() > last.value) {
        co_return fail(Code::kCorrupt,
                       fmt::format("the metadata store ends at entry {}, but the log holds {} to "
                                   "{}: files are missing or from another time; restore the data "
                                   "directory as a whole from one backup",
                                   state.index(), first.value, last.value));
    }
    if (state.chain() != 0) {
        auto follows = co_await log_->check_follows(LogIndex{state.index()}, state.chain());
        if (!follows && follows.error().code == Code::kCorrupt) {
            co_return fail(Code::kCorrupt,
                           fmt::format("the metadata store and the log have different histories "
                                       "({}): files of two directories or times were mixed; "
                                       "restore the data directory as a whole from one backup",
                                       follows.error().context));
        }
        CO_TRY(follows);
    }
    if (options_.cluster.is_zero()) co_return Result<void>{};
    std::string cluster;
    auto info = View(store_->snapshot()).cluster();
    if (info) {
        cluster = info->cluster_id();
    } else if (info.error().code != Code::kNotFound) {
        co_return std::unexpected(std::move(info).error());
    } else {
        auto founded = co_await founded_cluster(LogIndex{state.index() + 1});
        CO_TRY_ASSIGN(cluster, std::move(founded));
    }
    if (!cluster.empty() && cluster != options_.cluster.view()) {
        co_return fail(Code::kInvalid,
                       "the metadata belongs to another cluster than this data "
                       "directory: restore both from the same backup");
    }
    co_return Result<void>{};
}

Task<Result<void>> SingleVoter::replay() {
    auto before = applied(*store_);
    CO_TRY(before);
    applied_ = LogIndex{before->index()};
    const LogIndex last = log_->last_index();
    const LogIndex from{applied_.value + 1};
    Staging staging(*store_);
    auto visit = [this, &staging](const proto::Entry& e) { return replay_entry(staging, e); };
    auto read = co_await log_->read(from, LogIndex{last.value + 1}, std::move(visit));
    CO_TRY(read);
    CO_TRY(staging.write());
    HAMSTER_ASSERT(applied_ == last, applied_.value, last.value);
    auto after = applied(*store_);
    CO_TRY(after);
    last_stamp_ms_ = after->stamp_ms();
    if (from.value <= last.value) {
        LOG_INFO("meta", "replayed {} entries", last.value - before->index());
    }
    co_return Result<void>{};
}

Task<Result<void>> SingleVoter::lead() {
    // A lone voter keeps the identity it voted for first.
    base::NodeId self = log_->vote().voted_for;
    if (self.is_zero()) self = control_->random.id<base::NodeId>();
    auto term = co_await log_->begin_term(self);
    CO_TRY(term);
    maybe_flush();
    co_return Result<void>{};
}

Task<Result<void>> SingleVoter::found(proto::ClusterInfo info) {
    Command command;
    *command.mutable_found_cluster()->mutable_info() = std::move(info);
    auto answer = co_await propose_here(std::move(command));
    CO_TRY(answer);
    if (answer->status() != Answer::OK) {
        co_return fail(Code::kInvalid, "the cluster was not founded: " + answer->detail());
    }
    co_return Result<void>{};
}

Task<Result<void>> start(SingleVoter* group, bool empty, const proto::ClusterInfo* info) {
    auto checked = co_await group->check_origin();
    CO_TRY(checked);
    auto replayed = co_await group->replay();
    CO_TRY(replayed);
    auto leading = co_await group->lead();
    CO_TRY(leading);
    if (!empty) co_return Result<void>{};
    HAMSTER_ASSERT(info != nullptr);
    co_return co_await group->found(*info);
}

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

}  // namespace

Task<Result<std::unique_ptr<Group>>> open_group(runtime::World* control, std::string dir,
                                                GroupOptions options,
                                                const proto::ClusterInfo* found,
                                                base::Metrics* metrics) {
    HAMSTER_ASSERT(control != nullptr && metrics != nullptr);
    if (found == nullptr) {
        auto present = co_await check_present(&control->disk, dir);
        CO_TRY(present);
    }
    auto made = co_await control->disk.make_dir(dir);
    CO_TRY(made);
    wal::Options wal_options;
    wal_options.file_bytes = options.wal_file_bytes;
    auto opened = co_await raft::Log::open(control, dir, wal_options, metrics);
    CO_TRY_ASSIGN(auto log, opened);
    const bool empty = log->last_index().value == 0;
    if (empty && found == nullptr) {
        co_await log->stop();
        co_return fail(Code::kCorrupt,
                       fmt::format("the log in {}/log/ is empty: restore the data directory as a "
                                   "whole from one backup",
                                   dir));
    }
    auto stored = co_await kv::open(control, dir + "/store", options.store);
    if (!stored) {
        co_await log->stop();
        co_return std::unexpected(std::move(stored).error());
    }
    auto group = std::make_unique<SingleVoter>(control, options, metrics, std::move(log),
                                               std::move(*stored));
    auto started = co_await start(group.get(), empty, found);
    if (!started) {
        co_await group->give_up();
        co_return std::unexpected(std::move(started).error());
    }
    co_return std::unique_ptr<Group>(std::move(group));
}

}  // namespace hamster::meta
