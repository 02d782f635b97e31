#include "raft/driver/driver.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"

namespace hamster::raft {

using proto::Entry;
using runtime::Task;

namespace {

constexpr runtime::Micros kFullDiskRetry{1'000'000};

}  // namespace

Driver::Driver(runtime::World* world, DriverOptions options, std::unique_ptr<Log> log,
               Transport* transport, StateMachine* machine, base::Metrics* metrics)
    : world_(world),
      options_(options),
      log_(std::move(log)),
      transport_(transport),
      machine_(machine),
      elections_(metrics->counter("hamster_raft_terms_led_total",
                                  "Terms in which this node led the metadata.")),
      is_leader_(
          metrics->gauge("hamster_raft_is_leader", "1 while this node leads the metadata.")) {}

Task<Result<void>> Driver::start(Applied applied) {
    HAMSTER_ASSERT(core_ == nullptr);
    // It went down after the state was put in place and before the log was emptied for it.
    const bool is_of_log = log_->opened_terms().term_at(applied.at.index) == applied.at.term;
    if (applied.is_installed && !is_of_log) {
        auto emptied = co_await log_->reset(applied.at);
        CO_TRY(emptied);
    }
    Restored restored;
    restored.vote = log_->vote();
    restored.log = log_->opened_terms();
    restored.applied = applied.at.index;
    const LogIndex base = restored.log.base().index;
    if (applied.at.index < base || applied.at.index > restored.log.last().index) {
        co_return fail(
            Code::kCorrupt,
            fmt::format("the state ends at entry {}, but the log holds {} to {}",
                        applied.at.index.value, base.value, restored.log.last().index.value));
    }
    if (applied.members.voters.empty() && applied.at.index.value > 0) {
        co_return fail(Code::kCorrupt, "the state does not say who takes part");
    }
    restored.memberships = {{base, applied.members}};
    auto visit = [this, &restored](const Entry& entry) -> Result<void> {
        if (entry.kind() == Entry::CONFIGURATION) {
            proto::Membership stored;
            if (!stored.ParseFromString(entry.payload())) {
                return fail(Code::kCorrupt, "a membership entry cannot be read");
            }
            TRY_ASSIGN(auto members, members_from(stored));
            restored.memberships.emplace_back(LogIndex{entry.index()}, std::move(members));
        }
        cache({entry});
        trim_cache();
        return {};
    };
    applied_ = applied.at.index;
    const LogIndex behind{applied_.value + 1};
    auto read = co_await log_->read(behind, {log_->last_index().value + 1}, std::move(visit));
    CO_TRY(read);
    core_ = std::make_unique<Core>(options_.core, std::move(restored));
    runtime::spawn(world_->executor, gate_, "raft ticks", tick_loop());
    runtime::spawn(world_->executor, gate_, "raft writes", write_loop());
    core_->campaign_if_alone();
    pump();
    co_return Result<void>{};
}

Task<void> Driver::stop() {
    stopping_ = true;
    writes_done_.notify_all();
    write_queued_.notify_all();
    give_up_proposals({Code::kUnknownOutcome, "the node stops"});
    for (auto& [id, read] : std::exchange(reads_, {})) {
        read->outcome = fail(Code::kUnavailable, "the node stops");
        read->done.set();
    }
    co_await gate_.close();
    co_await log_->stop();
}

Task<void> Driver::tick_loop() {
    while (!stopping_ && !failed_) {
        co_await world_->clock.sleep(options_.tick);
        if (stopping_ || failed_) break;
        if (installing_) continue;
        core_->tick();
        expire_reads();
        pump();
    }
}

// ---- to the disk ----------------------------------------------------------------------------

Task<void> Driver::write_loop() {
    while (!stopping_ && !failed_) {
        if (writes_.empty()) {
            co_await write_queued_.wait();
            continue;
        }
        Write write = std::move(writes_.front());
        writes_.pop_front();
        // What queued behind it goes along, as far as nothing is cut in between: one sync for all.
        while (!writes_.empty() && !writes_.front().vote && !writes_.front().truncate_from) {
            Write& next = writes_.front();
            std::ranges::move(next.append, std::back_inserter(write.append));
            write.id = next.id;
            writes_.pop_front();
        }
        writing_ = true;
        auto done = co_await perform(&write);
        writing_ = false;
        writes_done_.notify_all();
        if (!done) {
            fail_with(done.error());
            break;
        }
        note_chains(write.append);
        if (write.vote) core_->vote_persisted(*write.vote);
        if (write.id != 0) core_->persisted(write.id);
        pump();
    }
}

// A full disk is waited for: what waits behind it is neither acknowledged nor lost meanwhile,
// unless nobody else knows of it.
Task<Result<void>> Driver::perform(Write* write) {
    for (;;) {
        Result<void> done;
        if (write->vote && *write->vote != log_->vote()) {
            done = co_await log_->save_vote(*write->vote);
        }
        if (done) {
            auto cut = std::exchange(write->truncate_from, std::nullopt);
            done = co_await log_->write(cut, &write->append);
            if (!done) write->truncate_from = cut;
        }
        if (!done && done.error().code == Code::kNoSpace && !stopping_) {
            if (give_way(write)) done = Result<void>{};
        }
        if (done && std::exchange(disk_is_full_, false)) core_->set_may_campaign(true);
        if (done || done.error().code != Code::kNoSpace || stopping_) co_return done;
        LOG_WARN("raft", "the log waits for space: {}", done.error().context);
        co_await world_->clock.sleep(kFullDiskRetry);
    }
}

// The disk does not take this write. A lone voter takes back what it cannot keep; true when nothing
// of the write is left then. Any other leader makes room for one that has space.
bool Driver::give_way(Write* write) {
    disk_is_full_ = true;
    writes_done_.notify_all();  // an installation does not wait for it
    const bool leads = core_->role() == Role::kLeader;
    if (const auto from = leads ? core_->take_back(log_->last_index()) : std::nullopt) {
        take_back(*from, write);
        return !write->vote && !write->truncate_from &&
               (write->append.empty() || write->append.back().index() <= log_->last_index().value);
    }
    core_->step_down();
    core_->set_may_campaign(false);
    pump();
    return false;
}

void Driver::take_back(LogIndex from, Write* write) {
    const auto goes = [from](const Entry& entry) { return entry.index() >= from.value; };
    std::erase_if(write->append, goes);
    for (Write& queued : writes_) std::erase_if(queued.append, goes);
    std::erase_if(writes_, [](const Write& queued) {
        return queued.append.empty() && !queued.vote && !queued.truncate_from;
    });
    uncache_from(from);
    give_up_proposals({Code::kNoSpace, "the disk of the metadata's log is full"}, from);
}

void Driver::fail_with(const Error& error) {
    if (failed_ || stopping_) return;
    failed_ = error;
    is_leader_.set(0);
    if (core_ != nullptr) core_->step_down();
    LOG_ERROR("raft", "this node takes no part until the next start: {}", error.context);
    give_up_proposals({Code::kUnknownOutcome, "the node failed: " + error.context});
    for (auto& [id, read] : std::exchange(reads_, {})) {
        read->outcome = fail(Code::kUnavailable, "the node failed: " + error.context);
        read->done.set();
    }
    announce();
}

// ---- what the core wants --------------------------------------------------------------------

void Driver::pump() {
    if (failed_ || stopping_ || installing_) return;
    for (bool again = true; again;) {
        Output output = core_->take();
        // A load from the cache is answered at once, and may make room for the next one.
        again = !output.sends.empty();
        enqueue(output);
        for (proto::RaftMessage& message : output.messages) post(std::move(message));
        for (Send& send : output.sends) {
            if (send.first > send.last || is_cached(send.first)) {
                send_from_cache(std::move(send));
            } else {
                runtime::spawn(world_->executor, gate_, "raft load",
                               send_from_disk(std::move(send)));
            }
        }
        for (const NodeId& to : output.snapshots) transport_->send_snapshot(to);
        for (const Read& read : output.reads) note_read(read);
    }
    apply_committed();
    const bool leads = core_->role() == Role::kLeader;
    if (leads && led_term_ != core_->term()) elections_.add();
    if (!leads || led_term_ != core_->term()) {
        give_up_proposals({Code::kUnknownOutcome, "the leader changed"});
    }
    led_term_ = leads ? core_->term() : Term{};
    is_leader_.set(leads && !failed_ ? 1 : 0);
    announce();
}

// Tells of a change of who leads or takes part.
void Driver::announce() {
    if (core_ == nullptr || !options_.on_change) return;
    Standing now{core_->role(), core_->term(), core_->leader(), core_->members()};
    if (now == announced_) return;
    announced_ = std::move(now);
    options_.on_change();
}

void Driver::post(proto::RaftMessage message) {
    if (message.has_append()) message.set_clock_ms(cluster_time_ms());
    if (message.has_append_reply()) message.set_clock_ms(world_->clock.unix_ms());
    transport_->send(std::move(message));
}

void Driver::note_clock(const proto::RaftMessage& message) {
    const auto from = NodeId::from_bytes(message.from());
    if (!from || message.term() != core_->term().value) return;
    const runtime::Time now = world_->clock.now();
    if (message.has_append() && *from == core_->leader()) {
        clock_.heard_leader(message.clock_ms(), now);
    } else if (message.has_append_reply() && core_->progress().contains(*from)) {
        clock_.heard_follower(core_->term(), *from, message.clock_ms(), now);
    }
}

ClusterClock::Asked Driver::clock_now() {
    return {world_->clock.now(), world_->clock.unix_ms(), options_.core.self,
            core_ == nullptr ? Term{} : core_->term()};
}

std::uint64_t Driver::cluster_time_ms() {
    const bool leads = core_ != nullptr && core_->role() == Role::kLeader;
    return leads ? clock_.leading(clock_now(), core_->members()) : clock_.following(clock_now());
}

bool Driver::knows_cluster_time() {
    if (core_ == nullptr) return false;
    return clock_.is_known(clock_now(), core_->members(), core_->role() == Role::kLeader);
}

bool Driver::is_alone() const {
    if (failed_ || stopping_ || core_ == nullptr || !core_->has_committed_here()) return false;
    return core_->members().voters == std::set<NodeId>{options_.core.self} &&
           !core_->has_pending_membership();
}

void Driver::enqueue(Output& output) {
    if (!output.vote && output.write == 0) return;
    if (output.truncate_from) uncache_from(*output.truncate_from);
    cache(output.append);
    writes_.push_back({output.vote, output.truncate_from, std::move(output.append), output.write});
    write_queued_.notify_all();
}

void Driver::cache(const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
        HAMSTER_ASSERT(cache_.empty() || cache_.back().index() + 1 == entry.index(), entry.index());
        cache_.push_back(entry);
        cache_bytes_ += cost_of(entry);
    }
}

// The log has given these entries their chains; what is applied has them.
void Driver::note_chains(const std::vector<Entry>& written) {
    for (const Entry& entry : written) {
        if (!is_cached(LogIndex{entry.index()})) continue;
        Entry& cached = cache_[entry.index() - cache_.front().index()];
        if (cached.term() == entry.term()) cached.set_chain(entry.chain());
    }
}

void Driver::uncache_from(LogIndex index) {
    while (!cache_.empty() && cache_.back().index() >= index.value) {
        cache_bytes_ -= cost_of(cache_.back());
        cache_.pop_back();
    }
}

// What is not applied yet stays; it will be asked for at once.
void Driver::trim_cache() {
    while (cache_bytes_ > options_.cache_bytes && cache_.front().index() <= applied_.value) {
        cache_bytes_ -= cost_of(cache_.front());
        cache_.pop_front();
    }
}

bool Driver::is_cached(LogIndex index) const {
    return !cache_.empty() && cache_.front().index() <= index.value &&
           index.value <= cache_.back().index();
}

void Driver::send_from_cache(Send send) {
    std::uint64_t bytes = 0;
    LogIndex last{send.first.value - 1};
    for (LogIndex at = send.first; at <= send.last && is_cached(at); ++at.value) {
        const Entry& entry = cache_[at.value - cache_.front().index()];
        bytes += cost_of(entry);
        if (at > send.first && bytes > options_.message_bytes) break;
        *send.message.mutable_append()->add_entries() = entry;
        last = at;
    }
    finish_send(std::move(send), last);
}

// The entries may be cut off or replaced while they are read: then the term has changed as well.
Task<void> Driver::send_from_disk(Send send) {
    std::uint64_t bytes = 0;
    LogIndex last{send.first.value - 1};
    bool is_full = false;
    auto visit = [&](const Entry& entry) -> Result<void> {
        bytes += cost_of(entry);
        is_full = entry.index() > send.first.value && bytes > options_.message_bytes;
        if (is_full) return fail(Code::kTooLarge, "enough");
        *send.message.mutable_append()->add_entries() = entry;
        last = LogIndex{entry.index()};
        return {};
    };
    const LogIndex to{std::min(send.last, log_->last_index()).value + 1};
    auto read = co_await log_->read(send.first, to, visit);
    if (stopping_ || failed_) co_return;
    if (!read && !is_full) {
        LOG_WARN("raft", "entries for a follower: {}", read.error().context);
        send.message.mutable_append()->clear_entries();
        last = LogIndex{send.first.value - 1};
    }
    finish_send(std::move(send), last);
    pump();
}

void Driver::finish_send(Send send, LogIndex last) {
    const auto to = NodeId::from_bytes(send.message.to());
    const Term term{send.message.term()};
    HAMSTER_ASSERT(to.has_value());
    if (core_->term() != term) return;
    post(std::move(send.message));
    core_->sent(*to, term, last);
}

void Driver::receive(const proto::RaftMessage& message) {
    if (failed_ || stopping_ || installing_ || core_ == nullptr) return;
    core_->receive(message);
    if (const auto& index = core_->parted_at()) {
        fail_with({Code::kCorrupt,
                   fmt::format("the leader has another entry {} than was committed here: `recover` "
                               "went on without what this node knows. Remove it from the cluster, "
                               "and let it join again with an empty directory",
                               index->value)});
        return;
    }
    note_clock(message);
    pump();
}

void Driver::snapshot_sent(const NodeId& to, LogIndex index, bool installed) {
    if (failed_ || stopping_) return;
    core_->snapshot_sent(to, index, installed);
    pump();
}

Task<Result<void>> Driver::flushed(Tail at) {
    if (failed_ || stopping_ || installing_) co_return Result<void>{};
    HAMSTER_ASSERT(at.index <= applied_, at.index.value, applied_.value);
    auto dropped = co_await log_->drop_up_to(at);
    CO_TRY(dropped);
    // Whole files go: the oldest entry kept says how far. It stays as the base of what follows.
    if (!installing_ && log_->first_index().value > 1) {
        core_->compacted(std::min(at.index, log_->first_index()));
    }
    co_return Result<void>{};
}

Task<Result<bool>> Driver::install(Tail at, Members members) {
    if (failed_ || stopping_ || installing_) {
        co_return fail(Code::kUnavailable, "the metadata is not ready for a snapshot");
    }
    const Position position{at.index, at.term};
    if (!core_->needs_install(position)) {
        core_->install(position, members);
        pump();
        co_return false;
    }
    if (core_->role() == Role::kLeader) co_return fail(Code::kUnavailable, "this node leads");
    gate_.enter();
    installing_ = true;
    auto done = co_await replace(at, std::move(members));
    installing_ = false;
    gate_.leave();
    if (!done) {
        if (done.error().code != Code::kNoSpace) fail_with(done.error());
        pump();
        co_return std::unexpected(std::move(done).error());
    }
    pump();
    co_return true;
}

// kNoSpace: nothing was replaced.
Task<Result<void>> Driver::replace(Tail at, Members members) {
    while ((writing_ || !writes_.empty()) && !failed_ && !stopping_ && !disk_is_full_) {
        co_await writes_done_.wait();
    }
    if (disk_is_full_) co_return fail(Code::kNoSpace, "the log waits for space");
    if (failed_ || stopping_) co_return fail(Code::kUnavailable, "the node stops");
    // First the state, then the log: a state ahead of its log is known for what it is.
    auto placed = co_await machine_->install();
    CO_TRY(placed);
    auto emptied = co_await empty_log(at);
    CO_TRY(emptied);
    const bool replaced = core_->install({at.index, at.term}, members);
    HAMSTER_ASSERT(replaced, at.index.value);
    cache_.clear();
    cache_bytes_ = 0;
    applied_ = at.index;
    co_return Result<void>{};
}

// There is no way back: the state is replaced already.
Task<Result<void>> Driver::empty_log(Tail at) {
    for (;;) {
        auto emptied = co_await log_->reset(at);
        if (emptied || emptied.error().code != Code::kNoSpace) co_return emptied;
        if (stopping_) co_return fail(Code::kUnavailable, "the node stops");
        LOG_WARN("raft", "the log waits for space behind a snapshot: {}", emptied.error().context);
        co_await world_->clock.sleep(kFullDiskRetry);
    }
}

}  // namespace hamster::raft
