#include "raft/log.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/log.h"

namespace hamster::raft {
namespace {

// The chain is field 5, fixed64, always the last nine bytes of a record: one tag byte and eight
// little-endian bytes. So it is checked on the bytes as they are, whatever fields come to be.
constexpr char kChainTag = (5 << 3) | 1;
constexpr std::size_t kChainBytes = 9;
static_assert(proto::Entry::kChainFieldNumber == 5);

std::uint64_t chain_of(std::uint64_t previous, base::Bytes entry) {
    std::string bytes;
    bytes.reserve(sizeof(previous) + entry.size());
    std::array<std::byte, 8> head;
    base::store_le64(head.data(), previous);
    bytes += base::as_text(head);
    bytes += base::as_text(entry);
    return base::xxh3_64(base::as_bytes(bytes));
}

}  // namespace

std::string encode_entry(proto::Entry& entry, std::uint64_t previous_chain) {
    HAMSTER_ASSERT(entry.index() > 0 && entry.term() > 0, entry.index(), entry.term());
    entry.clear_chain();
    std::string record = entry.SerializeAsString();
    const std::uint64_t chain = chain_of(previous_chain, base::as_bytes(record));
    entry.set_chain(chain);
    std::array<std::byte, 8> raw;
    base::store_le64(raw.data(), chain);
    record += kChainTag;
    record += base::as_text(raw);
    return record;
}

Result<proto::Entry> decode_entry(base::Bytes record, LogIndex index, const Tail* previous) {
    const auto corrupt = [index](std::string_view what) {
        return fail(Code::kCorrupt, fmt::format("log entry {}: {}", index.value, what));
    };
    if (record.size() < kChainBytes ||
        record[record.size() - kChainBytes] != static_cast<std::byte>(kChainTag)) {
        return corrupt("has no chain");
    }
    const std::size_t body = record.size() - kChainBytes;
    proto::Entry entry;
    if (!entry.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
        return corrupt("does not parse");
    }
    if (entry.chain() != base::load_le64(record.data() + body + 1)) {
        return corrupt("has two chains");
    }
    if (entry.index() != index.value || entry.term() == 0) {
        return corrupt(fmt::format("says index {}, term {}", entry.index(), entry.term()));
    }
    if (previous != nullptr) {
        HAMSTER_ASSERT(previous->index.value + 1 == index.value, previous->index.value);
        if (entry.term() < previous->term.value) {
            return corrupt("is of an earlier term than the one before it");
        }
        if (entry.chain() != chain_of(previous->chain, record.first(body))) {
            return corrupt("does not follow the one before it");
        }
    }
    return entry;
}

Log::Log(runtime::World* world, std::string dir, std::unique_ptr<wal::Wal> wal)
    : world_(world), vote_path_(std::move(dir) + "/vote"), wal_(std::move(wal)) {}

runtime::Task<Result<std::unique_ptr<Log>>> Log::open(runtime::World* world, std::string dir,
                                                      wal::Options options, base::Metrics* metrics,
                                                      std::optional<Tail> base) {
    bool ignored = false;
    co_return co_await open_and_verify(world, std::move(dir), options, metrics, base, &ignored);
}

runtime::Task<Result<std::unique_ptr<Log>>> Log::open_and_verify(
    runtime::World* world, std::string dir, wal::Options options, base::Metrics* metrics,
    std::optional<Tail> base, bool* is_damaged) {
    auto opened = co_await wal::Wal::open(world, dir + "/log", options, metrics);
    *is_damaged = !opened && opened.error().code == Code::kCorrupt;
    CO_TRY_ASSIGN(auto wal, opened);
    std::unique_ptr<Log> log(new Log(world, std::move(dir), std::move(wal)));
    auto done = co_await log->check_vote();
    if (done) {
        done = co_await log->recover(base);
        // Without a vote of its term no entry could have got there: the vote is the damage.
        const bool is_behind = log->durable_.term > log->vote_.term;
        *is_damaged = !is_behind && !done && done.error().code == Code::kCorrupt;
        if (is_behind) {
            done = fail(Code::kCorrupt,
                        fmt::format("{} is of term {}, but the log has entries of term {}; {}",
                                    log->vote_path_, log->vote_.term.value,
                                    log->durable_.term.value, kLostVoteAdvice));
        }
    }
    if (!done) {
        co_await log->stop();
        co_return std::unexpected(std::move(done).error());
    }
    co_return log;
}

namespace {

// The newest first, so that what a crash leaves is a first part.
runtime::Task<Result<void>> remove_files(runtime::Disk* disk, std::string dir) {
    auto listed = co_await disk->list(dir);
    CO_TRY_ASSIGN(auto names, listed);
    std::ranges::sort(names, std::ranges::greater());
    for (const std::string& name : names) {
        auto removed = co_await disk->remove(dir + "/" + name);
        CO_TRY(removed);
        auto synced = co_await disk->sync_dir(dir);
        CO_TRY(synced);
    }
    co_return Result<void>{};
}

}  // namespace

runtime::Task<Result<std::unique_ptr<Log>>> Log::open_or_rejoin(runtime::World* world,
                                                                std::string dir,
                                                                wal::Options options,
                                                                base::Metrics* metrics, Tail base) {
    bool is_damaged = false;
    auto opened = co_await open_and_verify(world, dir, options, metrics, base, &is_damaged);
    if (!opened && is_damaged) {
        const std::string vote_path = dir + "/vote";
        auto loaded = co_await load_vote(&world->disk, vote_path);
        CO_TRY_ASSIGN(const std::optional<Vote> vote, loaded);
        if (!vote) co_return opened;
        LOG_ERROR("raft",
                  "{}; this node fetches what it lost from the others and does not vote "
                  "before that is done",
                  opened.error().context);
        const Term next{vote->term.value + 1};
        const Vote rejoining{next, base::NodeId{}, next, vote->only_peer};
        auto stored = co_await store_vote(&world->disk, vote_path, rejoining);
        CO_TRY(stored);
        auto removed = co_await remove_files(&world->disk, dir + "/log");
        CO_TRY(removed);
        opened = co_await open_and_verify(world, dir, options, metrics, base, &is_damaged);
    }
    CO_TRY_ASSIGN(auto log, opened);
    // Also after a crash in the middle of it.
    if (log->vote_.rejoin.value != 0 && log->last_index() < base.index) {
        auto emptied = co_await log->reset(base);
        if (!emptied) {
            co_await log->stop();
            co_return std::unexpected(std::move(emptied).error());
        }
    }
    co_return log;
}

runtime::Task<Result<void>> Log::check_vote() {
    auto loaded = co_await load_vote(&world_->disk, vote_path_);
    CO_TRY_ASSIGN(const std::optional<Vote> vote, loaded);
    if (!vote && wal_->next() != 1) {
        co_return fail(Code::kCorrupt, fmt::format("{} is missing beside a log with entries; {}",
                                                   vote_path_, kLostVoteAdvice));
    }
    vote_ = vote.value_or(Vote{});
    co_return Result<void>{};
}

runtime::Task<Result<void>> Log::recover(std::optional<Tail> base) {
    const bool fresh = wal_->next() == 1;
    if (base && base->index.value > 0) base_ = base;
    if (!fresh && wal_->first() == wal_->next()) {
        if (!base_ || base_->index.value + 1 != wal_->next()) {
            co_return fail(Code::kCorrupt, "the log has lost its entries");
        }
        durable_ = *base_;
    }
    const bool follows_base = base_ && base_->index.value + 1 == wal_->first();
    if (follows_base) opened_terms_ = TermMap({base_->index, base_->term});
    auto read = co_await this->read(first_index(), {wal_->next()}, [&](const proto::Entry& e) {
        durable_ = Tail{{e.index()}, {e.term()}, e.chain()};
        if (e.index() > 1 && e.index() == first_index().value && !follows_base) {
            opened_terms_ = TermMap({durable_.index, durable_.term});
        } else {
            opened_terms_.append(durable_.term);
        }
        return Result<void>{};
    });
    CO_TRY(read);
    tail_ = durable_;
    co_return Result<void>{};
}

runtime::Task<Result<Term>> Log::begin_term(base::NodeId self) {
    HAMSTER_ASSERT(in_flight_ == 0, in_flight_);
    HAMSTER_ASSERT(!self.is_zero());
    const Vote next{{vote_.term.value + 1}, self, vote_.rejoin, {}};
    auto stored = co_await store_vote(&world_->disk, vote_path_, next);
    CO_TRY(stored);
    vote_ = next;
    co_return vote_.term;
}

runtime::Task<Result<void>> Log::save_vote(Vote vote) {
    HAMSTER_ASSERT(vote.term >= vote_.term, vote.term.value, vote_.term.value);
    auto stored = co_await store_vote(&world_->disk, vote_path_, vote);
    CO_TRY(stored);
    vote_ = vote;
    co_return Result<void>{};
}

runtime::Task<Result<Tail>> Log::append(proto::Entry::Kind kind, std::string payload) {
    HAMSTER_ASSERT(vote_.term.value > 0);
    if (failed_) {
        co_return std::unexpected(*failed_);
    }
    proto::Entry entry;
    entry.set_term(vote_.term.value);
    entry.set_index(tail_.index.value + 1);
    entry.set_kind(kind);
    entry.set_payload(std::move(payload));
    std::string record = encode_entry(entry, tail_.chain);
    const Tail before = tail_;
    const Tail mine{{entry.index()}, {entry.term()}, entry.chain()};
    tail_ = mine;
    ++in_flight_;
    auto outcome = co_await wal_->append_at(mine.index.value, std::move(record));
    --in_flight_;
    if (!outcome && outcome.error().code == Code::kConflict && failed_) {
        outcome = std::unexpected(*failed_);  // it only stood behind the one that failed
    }
    settle(mine, before, outcome);
    CO_TRY(outcome);
    co_return mine;
}

runtime::Task<Result<void>> Log::write(std::optional<LogIndex> truncate_from,
                                       std::vector<proto::Entry>* entries) {
    HAMSTER_ASSERT(in_flight_ == 0, in_flight_);
    if (truncate_from && *truncate_from <= tail_.index) {
        auto cut = co_await truncate(*truncate_from);
        CO_TRY(cut);
    }
    std::vector<std::string> records;
    std::vector<Tail> tails{tail_};
    for (proto::Entry& entry : *entries) {
        if (entry.index() <= tail_.index.value) continue;  // the first part of a repetition
        const Tail& before = tails.back();
        HAMSTER_ASSERT(entry.index() == before.index.value + 1, entry.index());
        HAMSTER_ASSERT(entry.term() >= before.term.value && entry.term() <= vote_.term.value,
                       entry.term(), vote_.term.value);
        records.push_back(encode_entry(entry, before.chain));
        tails.push_back({{entry.index()}, {entry.term()}, entry.chain()});
    }
    if (records.empty()) co_return Result<void>{};
    ++in_flight_;
    const std::uint64_t first = tail_.index.value + 1;
    auto outcome = co_await wal_->append_all(first, std::move(records));
    --in_flight_;
    const std::uint64_t done = wal_->next() - first;
    HAMSTER_ASSERT(done < tails.size() && (!outcome || done + 1 == tails.size()), done);
    tail_ = durable_ = tails[done];
    co_return outcome;
}

runtime::Task<Result<void>> Log::truncate(LogIndex from) {
    HAMSTER_ASSERT(in_flight_ == 0 && from >= first_index(), from.value, in_flight_);
    Tail before;  // nothing precedes entry 1
    if (from > first_index()) {
        auto read = co_await this->read({from.value - 1}, from, [&before](const proto::Entry& e) {
            before = Tail{{e.index()}, {e.term()}, e.chain()};
            return Result<void>{};
        });
        CO_TRY(read);
    } else if (from.value > 1) {
        HAMSTER_ASSERT(base_ && base_->index.value + 1 == from.value, from.value);
        before = *base_;
    }
    auto dropped = co_await wal_->drop_from(from.value);
    CO_TRY(dropped);
    tail_ = durable_ = before;
    co_return Result<void>{};
}

runtime::Task<Result<void>> Log::reset(Tail base) {
    HAMSTER_ASSERT(in_flight_ == 0 && base.index.value > 0, in_flight_, base.index.value);
    auto emptied = co_await wal_->reset(base.index.value + 1);
    CO_TRY(emptied);
    base_ = tail_ = durable_ = base;
    opened_terms_ = TermMap({base.index, base.term});
    co_return Result<void>{};
}

void Log::settle(const Tail& entry, const Tail& before, const Result<void>& outcome) {
    if (outcome) {
        if (entry.index > durable_.index) {  // tasks may resume in any order
            durable_ = entry;
        }
    } else if (tail_ == entry) {
        tail_ = before;
    } else if (!failed_) {
        failed_ = outcome.error();
    }
    if (in_flight_ == 0) {
        failed_.reset();
        tail_ = durable_;
    }
}

runtime::Task<Result<void>> Log::read(LogIndex from, LogIndex to,
                                      std::function<Result<void>(const proto::Entry&)> visit) {
    // One entry earlier, so that the first one's chain can be checked.
    const std::uint64_t start = from > first_index() ? from.value - 1 : from.value;
    std::optional<Tail> previous;
    auto check = [&previous, from, visit = std::move(visit)](std::uint64_t seq,
                                                             base::Bytes record) -> Result<void> {
        // Nothing precedes entry 1.
        const Tail origin;
        const Tail* before = previous ? &*previous : seq == 1 ? &origin : nullptr;
        TRY_ASSIGN(const proto::Entry entry, decode_entry(record, LogIndex{seq}, before));
        previous = Tail{{entry.index()}, {entry.term()}, entry.chain()};
        return seq < from.value ? Result<void>{} : visit(entry);
    };
    if (from >= to) {
        co_return Result<void>{};
    }
    co_return co_await wal_->read(start, to.value, std::move(check));
}

runtime::Task<Result<void>> Log::check_follows(LogIndex index, std::uint64_t chain) {
    HAMSTER_ASSERT(index.value > 0);
    if (index > last_index()) {
        co_return fail(Code::kCorrupt, fmt::format("the log ends before entry {}", index.value));
    }
    // The entry itself, or the oldest one kept if that comes right behind it. None is kept after a
    // snapshot.
    const LogIndex at{std::max(index, first_index())};
    if (at.value > index.value + 1 || at > last_index()) {
        co_return Result<void>{};
    }
    if (at > last_index()) {  // no entries are kept: all there is to compare is the base
        const bool differs = base_ && base_->index == index && base_->chain != chain;
        if (differs) co_return fail(Code::kCorrupt, "the log begins behind another entry");
        co_return Result<void>{};
    }
    const Tail before{index, {}, chain};
    auto check = [at, before, index](std::uint64_t seq, base::Bytes record) -> Result<void> {
        HAMSTER_ASSERT(seq == at.value, seq, at.value);
        const Tail* const previous = at == index ? nullptr : &before;
        TRY_ASSIGN(const proto::Entry entry, decode_entry(record, at, previous));
        if (at == index && entry.chain() != before.chain) {
            return fail(Code::kCorrupt, fmt::format("log entry {} is another one", at.value));
        }
        return {};
    };
    co_return co_await wal_->read(at.value, at.value + 1, std::move(check));
}

runtime::Task<Result<void>> Log::drop_before(LogIndex index) {
    co_return co_await wal_->drop_before(index.value);
}

runtime::Task<Result<void>> Log::drop_up_to(Tail base) {
    base_ = base;
    co_return co_await wal_->drop_before(base.index.value + 1);
}

runtime::Task<void> Log::stop() { co_await wal_->stop(); }

}  // namespace hamster::raft
