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
const Error kNoLeader{Code::kUnavailable, "this node does not lead the metadata"};

std::uint64_t bytes_of(const Entry& entry) { return entry.payload().size() + sizeof(Entry); }

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

// A full disk is waited for: what waits behind it is neither acknowledged nor lost meanwhile.
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
        if (done || done.error().code != Code::kNoSpace || stopping_) co_return done;
        LOG_WARN("raft", "the log waits for space: {}", done.error().context);
        co_await world_->clock.sleep(kFullDiskRetry);
    }
}

void Driver::fail_with(const Error& error) {
    if (failed_ || stopping_) return;
    failed_ = error;
    is_leader_.set(0);
    LOG_ERROR("raft", "this node takes no part until the next start: {}", error.context);
    give_up_proposals({Code::kUnknownOutcome, "the node failed: " + error.context});
    for (auto& [id, read] : std::exchange(reads_, {})) {
        read->outcome = fail(Code::kUnavailable, "the node failed: " + error.context);
        read->done.set();
    }
}

// ---- what the core wants --------------------------------------------------------------------

void Driver::pump() {
    if (failed_ || stopping_ || installing_) return;
    for (bool again = true; again;) {
        Output output = core_->take();
        // A load from the cache is answered at once, and may make room for the next one.
        again = !output.sends.empty();
        enqueue(output);
        for (proto::RaftMessage& message : output.messages) transport_->send(std::move(message));
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
    is_leader_.set(leads ? 1 : 0);
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
        cache_bytes_ += bytes_of(entry);
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

bool Driver::is_alone() const {
    const Members& members = core_->members();
    return core_->role() == Role::kLeader && members.voters.size() == 1 &&
           members.is_voter(options_.core.self) && !core_->has_pending_membership();
}

std::uint64_t Driver::cluster_time_ms() const { return world_->clock.unix_ms(); }

void Driver::uncache_from(LogIndex index) {
    while (!cache_.empty() && cache_.back().index() >= index.value) {
        cache_bytes_ -= bytes_of(cache_.back());
        cache_.pop_back();
    }
}

// What is not applied yet stays; it will be asked for at once.
void Driver::trim_cache() {
    while (cache_bytes_ > options_.cache_bytes && cache_.front().index() <= applied_.value) {
        cache_bytes_ -= bytes_of(cache_.front());
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
        bytes += bytes_of(entry);
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
        bytes += bytes_of(entry);
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
    transport_->send(std::move(send.message));
    core_->sent(*to, term, last);
}

void Driver::receive(const proto::RaftMessage& message) {
    if (failed_ || stopping_ || installing_ || core_ == nullptr) return;
    core_->receive(message);
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
        fail_with(done.error());
        co_return std::unexpected(std::move(done).error());
    }
    pump();
    co_return true;
}

Task<Result<void>> Driver::replace(Tail at, Members members) {
    while ((writing_ || !writes_.empty()) && !failed_ && !stopping_) {
        co_await writes_done_.wait();
    }
    if (failed_ || stopping_) co_return fail(Code::kUnavailable, "the node stops");
    // First the state, then the log: a state ahead of its log is known for what it is.
    auto placed = co_await machine_->install();
    CO_TRY(placed);
    auto emptied = co_await log_->reset(at);
    CO_TRY(emptied);
    const bool replaced = core_->install({at.index, at.term}, members);
    HAMSTER_ASSERT(replaced, at.index.value);
    cache_.clear();
    cache_bytes_ = 0;
    applied_ = at.index;
    co_return Result<void>{};
}

// ---- applying and answering -----------------------------------------------------------------

void Driver::apply_committed() {
    while (!failed_ && applied_ < core_->can_apply()) {
        std::vector<Entry> entries;
        std::vector<bool> wanted;
        std::uint64_t bytes = 0;
        while (applied_.value + entries.size() < core_->can_apply().value &&
               bytes < options_.message_bytes) {
            const LogIndex at{applied_.value + entries.size() + 1};
            HAMSTER_ASSERT(is_cached(at), at.value);
            const Entry& entry = cache_[at.value - cache_.front().index()];
            const auto waiter = proposals_.find(at);
            wanted.push_back(waiter != proposals_.end() &&
                             waiter->second->term.value == entry.term());
            entries.push_back(entry);
            bytes += bytes_of(entry);
        }
        auto done = machine_->apply(entries, wanted);
        if (!done) {
            fail_with(done.error());
            return;
        }
        applied_ = LogIndex{entries.back().index()};
        answer_applied(entries);
        trim_cache();
    }
    answer_reads();
}

// A waiter is answered by its own entry, index and term, or told that it does not know.
void Driver::answer_applied(const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
        const auto found = proposals_.find(LogIndex{entry.index()});
        if (found == proposals_.end()) continue;
        Waiter* const waiter = found->second;
        proposals_.erase(found);
        const bool is_own = waiter->term.value == entry.term();
        waiter->outcome =
            is_own ? Result<void>{} : fail(Code::kUnknownOutcome, "another entry took its place");
        waiter->done.set();
    }
}

void Driver::give_up_proposals(const Error& error) {
    for (auto& [index, waiter] : std::exchange(proposals_, {})) {
        waiter->outcome = std::unexpected(error);
        waiter->done.set();
    }
}

Task<Result<Tail>> Driver::propose(std::string command) {
    if (stopping_ || failed_ || proposals_.size() >= options_.max_waiting) {
        co_return std::unexpected(kNoLeader);
    }
    const auto at = core_->propose(Entry::COMMAND, std::move(command));
    if (!at) co_return std::unexpected(kNoLeader);
    co_return co_await wait_for(*at);
}

Task<Result<Tail>> Driver::wait_for(Position at) {
    Waiter mine;
    mine.term = at.term;
    const bool is_first = proposals_.emplace(at.index, &mine).second;
    HAMSTER_ASSERT(is_first, at.index.value);
    led_term_ = at.term;
    pump();
    if (!mine.outcome) co_await mine.done.wait();
    CO_TRY(*mine.outcome);
    co_return Tail{at.index, at.term, 0};
}

Task<Result<void>> Driver::change_members(Members next) {
    if (stopping_ || failed_) co_return std::unexpected(kNoLeader);
    auto at = core_->propose_membership(next);
    CO_TRY(at);
    auto done = co_await wait_for(*at);
    CO_TRY(done);
    co_return Result<void>{};
}

Result<void> Driver::transfer(const NodeId& to) {
    if (stopping_ || failed_) return std::unexpected(kNoLeader);
    TRY(core_->transfer(to));
    pump();
    return {};
}

Task<Result<void>> Driver::read_barrier() {
    if (stopping_ || failed_ || reads_.size() >= options_.max_waiting) {
        co_return fail(Code::kUnavailable, "the metadata is not ready");
    }
    ReadWaiter mine;
    const std::uint64_t id = next_read_++;
    reads_.emplace(id, &mine);
    core_->read(id);
    pump();
    if (!mine.outcome) co_await mine.done.wait();
    co_return *mine.outcome;
}

void Driver::note_read(const Read& read) {
    const auto found = reads_.find(read.id);
    if (found == reads_.end()) return;  // given up, or a message came twice
    if (read.confirmed) {
        found->second->index = read.index;
        return;
    }
    ReadWaiter* const waiter = found->second;
    reads_.erase(found);
    waiter->outcome = fail(Code::kUnavailable, "no leader could confirm the read");
    waiter->done.set();
}

void Driver::answer_reads() {
    for (auto it = reads_.begin(); it != reads_.end();) {
        ReadWaiter* const waiter = it->second;
        if (!waiter->index || *waiter->index > applied_) {
            ++it;
            continue;
        }
        it = reads_.erase(it);
        waiter->outcome = Result<void>{};
        waiter->done.set();
    }
}

void Driver::expire_reads() {
    const auto limit = static_cast<std::uint64_t>(2 * options_.core.election_ticks);
    for (auto it = reads_.begin(); it != reads_.end();) {
        ReadWaiter* const waiter = it->second;
        if (++waiter->ticks <= limit) {
            ++it;
            continue;
        }
        it = reads_.erase(it);
        waiter->outcome = fail(Code::kUnavailable, "no leader could confirm the read");
        waiter->done.set();
    }
}

}  // namespace hamster::raft
