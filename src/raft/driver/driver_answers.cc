// Applies what is committed and answers who waits.
#include <utility>

#include "base/assert.h"
#include "raft/driver/driver.h"

namespace hamster::raft {

using proto::Entry;
using runtime::Task;

namespace {

const Error kNoLeader{Code::kUnavailable, "this node does not lead the metadata"};

}  // namespace

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
            bytes += cost_of(entry);
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

void Driver::give_up_proposals(const Error& error, LogIndex from) {
    while (!proposals_.empty() && proposals_.rbegin()->first >= from) {
        Waiter* const waiter = proposals_.rbegin()->second;
        proposals_.erase(std::prev(proposals_.end()));
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
