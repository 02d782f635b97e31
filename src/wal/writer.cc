#include "wal/writer.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/planted.h"

namespace hamster::wal {
namespace {

Error closed() { return Error{Code::kClosed, "the log is closed"}; }

}  // namespace

Writer::Writer(runtime::World* world, std::string dir, Options options, base::Metrics* metrics)
    : world_(world),
      dir_(dir),
      options_(options),
      files_(world, std::move(dir), options.file_bytes, options.spare_files),
      sync_seconds_(
          metrics->histogram("hamster_wal_sync_seconds", "Time of one durable write of the log")),
      bytes_total_(metrics->counter("hamster_wal_bytes_total",
                                    "Bytes written to the log, padding included")),
      groups_total_(metrics->counter("hamster_wal_groups_total", "Durable writes of the log")),
      records_total_(metrics->counter("hamster_wal_records_total",
                                      "Records written; divided by the groups: their size")) {}

runtime::Task<Result<void>> Writer::start() {
    auto opened = co_await files_.open();
    CO_TRY_ASSIGN(Recovered found, opened);
    HAMSTER_ASSERT(found.current < found.files.size(), found.current);
    for (std::size_t i = 0; i < found.files.size(); ++i) {
        (i <= found.current ? log_ : ready_).push_back(std::move(found.files[i]));
    }
    offset_ = found.offset;
    next_number_ = found.replay.next_number();
    index_ = std::move(found.replay.index());
    runtime::spawn(world_->executor, gate_, "wal.writer", run());
    co_return Result<void>{};
}

runtime::Task<Result<std::uint64_t>> Writer::append(std::string record) {
    Pending item;
    item.payload = std::move(record);
    co_return co_await submit(&item);
}

runtime::Task<Result<void>> Writer::append_at(std::uint64_t seq, std::string record) {
    HAMSTER_ASSERT(seq > 0);
    Pending item;
    item.wanted_seq = seq;
    item.payload = std::move(record);
    auto outcome = co_await submit(&item);
    CO_TRY(outcome);
    co_return Result<void>{};
}

runtime::Task<Result<void>> Writer::append_all(std::uint64_t seq,
                                               std::vector<std::string> records) {
    HAMSTER_ASSERT(seq > 0);
    std::deque<Pending> items;  // stays where it is
    for (std::string& record : records) {
        Pending& item = items.emplace_back();
        item.wanted_seq = seq++;
        item.payload = std::move(record);
        CO_TRY(admit(item));
    }
    for (Pending& item : items) {
        queue_.push_back(&item);
        queued_bytes_ += item.payload.size();
    }
    wake_.notify_all();
    Result<void> outcome;
    for (Pending& item : items) {
        co_await item.done.wait();
        if (outcome && !item.outcome) outcome = std::unexpected(item.outcome.error());
    }
    co_return outcome;
}

runtime::Task<Result<void>> Writer::drop_from(std::uint64_t seq) {
    Pending item;
    item.kind = RecordKind::kDropFrom;
    item.wanted_seq = seq;
    auto outcome = co_await submit(&item);
    CO_TRY(outcome);
    co_return Result<void>{};
}

runtime::Task<Result<void>> Writer::reset(std::uint64_t seq) {
    Pending item;
    item.kind = RecordKind::kReset;
    item.wanted_seq = seq;
    auto outcome = co_await submit(&item);
    CO_TRY(outcome);
    co_return co_await drop_before(seq);  // the files before the marker hold nothing any more
}

Result<void> Writer::admit(const Pending& item) const {
    if (poisoned_) {
        return std::unexpected(*poisoned_);
    }
    if (closing_) {
        return std::unexpected(closed());
    }
    const std::uint64_t room = options_.file_bytes - base::kBlock;
    if (item.payload.size() > kMaxRecordBytes ||
        kGroupHeaderBytes + record_span(item.payload.size()) > room) {
        return fail(Code::kTooLarge, "the record is too long for the log");
    }
    if (queued_bytes_ + item.payload.size() > kMaxQueuedBytes) {
        return fail(Code::kUnavailable, "too much waits for the log");
    }
    if (item.kind != RecordKind::kData && (item.wanted_seq == 0 || item.wanted_seq == UINT64_MAX)) {
        return fail(Code::kInvalid, "no such record number");
    }
    return {};
}

runtime::Task<Result<std::uint64_t>> Writer::submit(Pending* item) {
    CO_TRY(admit(*item));
    queue_.push_back(item);
    queued_bytes_ += item->payload.size();
    wake_.notify_all();
    co_await item->done.wait();
    co_return std::move(item->outcome);
}

runtime::Task<void> Writer::run() {
    for (;;) {
        if (!queue_.empty()) {
            co_await write_group();
        } else if (closing_) {
            co_return;
        } else {
            co_await wake_.wait();
        }
    }
}

// Chooses before it knows whether the group fits the file: the answer is the group's bytes.
std::uint64_t Writer::take_group() {
    HAMSTER_ASSERT(group_.empty(), group_.size());
    std::uint64_t bytes = kGroupHeaderBytes;
    // A group may always use the rest of this file; a longer first record goes to the next one.
    const std::uint64_t room = log_.back()->size - offset_;
    const std::uint64_t limit = std::min(options_.max_group_bytes, room);
    group_seq_ = index_.next();
    while (!queue_.empty()) {
        Pending* item = queue_.front();
        const bool data = item->kind == RecordKind::kData;
        const std::uint64_t span = record_span(item->payload.size());
        if (!group_.empty() && (!data || bytes + span > limit)) {
            break;
        }
        queue_.pop_front();
        queued_bytes_ -= item->payload.size();
        const std::uint64_t seq = group_seq_ + group_.size();
        if (data && item->wanted_seq != 0 && item->wanted_seq != seq) {
            item->outcome = fail(Code::kConflict, fmt::format("the next record is {}", seq));
            item->done.set();
            continue;
        }
        if (item->kind == RecordKind::kDropFrom &&
            (item->wanted_seq < index_.first() || item->wanted_seq >= index_.next())) {
            const bool nothing = item->wanted_seq >= index_.next();
            item->outcome = nothing ? Result<std::uint64_t>(item->wanted_seq)
                                    : fail(Code::kInvalid, "below the log's first record");
            item->done.set();
            continue;
        }
        group_.push_back(item);
        bytes += span;
        if (!data) {
            break;  // a marker stands alone
        }
    }
    return bytes;
}

runtime::Task<void> Writer::write_group() {
    if (poisoned_) {
        answer_all(*poisoned_);
        co_return;
    }
    const std::uint64_t bytes = take_group();
    if (group_.empty()) {
        co_return;
    }
    if (base::round_up(bytes, base::kBlock) > log_.back()->size - offset_) {
        auto advanced = co_await advance();
        if (!advanced) {
            const Error error = std::move(advanced).error();
            if (error.code != Code::kNoSpace) {
                poison(error);
            }
            answer_group(std::unexpected(error));
            answer_all(error);
            co_return;
        }
    }
    serialise(bytes);
    const runtime::Time start = world_->clock.now();
    std::vector<base::Bytes> pieces{buffer_.bytes()};
    auto writing = base::planted(base::Bug::kWalAckBeforeSync)
                       ? log_.back()->file->write(offset_, std::move(pieces))
                       : log_.back()->file->write_durable(offset_, std::move(pieces));
    auto written = co_await std::move(writing);
    if (base::planted(base::Bug::kWalRetrySync) && !written) written = Result<void>{};
    if (written) {
        sync_seconds_.observe_us(static_cast<std::uint64_t>((world_->clock.now() - start).count()));
        apply_group(buffer_.size());
    } else if (written.error().code != Code::kNoSpace) {
        poison(written.error());
    }
    answer_group(written);
}

void Writer::serialise(std::uint64_t bytes) {
    const std::uint64_t padded = base::round_up(bytes, base::kBlock);
    const std::uint64_t usual = base::round_up(options_.max_group_bytes, base::kBlock);
    if (buffer_.capacity() < padded || (buffer_.capacity() > usual && padded <= usual)) {
        buffer_ = base::Buffer(std::max(padded, usual));
    }
    const LogFile& file = *log_.back();
    GroupWriter out(&buffer_, file.seed, offset_, next_number_);
    for (std::size_t i = 0; i < group_.size(); ++i) {
        const Pending& item = *group_[i];
        const bool data = item.kind == RecordKind::kData;
        out.add(item.kind, data ? group_seq_ + i : item.wanted_seq, base::as_bytes(item.payload));
    }
    out.finish();
    HAMSTER_ASSERT(buffer_.size() == padded, buffer_.size(), padded);
    HAMSTER_ASSERT(offset_ + padded <= file.size, offset_, padded, file.size);
}

// The group in group_ is durable.
void Writer::apply_group(std::uint64_t bytes) {
    LogFile& file = *log_.back();
    const auto records = static_cast<std::uint32_t>(group_.size());
    switch (group_.front()->kind) {
        case RecordKind::kData:
            index_.add(GroupRef{group_seq_, file.epoch, offset_, bytes}, records);
            break;
        case RecordKind::kDropFrom:
            index_.drop_from(group_.front()->wanted_seq);
            break;
        case RecordKind::kReset:
            index_.reset(group_.front()->wanted_seq);
            break;
    }
    file.has_groups = true;
    offset_ += bytes;
    ++next_number_;
    bytes_total_.add(bytes);
    groups_total_.add();
    records_total_.add(records);
    // The next file is made while this one still has room for a while.
    if (offset_ > file.size / 2 && ready_.empty() && !preparing_ && gate_.is_open()) {
        preparing_ = true;
        runtime::spawn(world_->executor, gate_, "wal.prepare", prepare(file.epoch + 1));
    }
}

void Writer::answer_group(const Result<void>& outcome) {
    for (std::size_t i = 0; i < group_.size(); ++i) {
        Pending* item = group_[i];
        if (outcome) {
            item->outcome = group_seq_ + i;
        } else {
            item->outcome = std::unexpected(outcome.error());
        }
        item->done.set();  // resumes its task later; `item` stays valid until then
    }
    group_.clear();
}

void Writer::answer_all(const Error& error) {
    for (Pending* item : queue_) {
        item->outcome = std::unexpected(error);
        item->done.set();
    }
    queue_.clear();
    queued_bytes_ = 0;
}

void Writer::poison(const Error& error) {
    if (!poisoned_) {
        LOG_ERROR("wal", "{}: stops taking records: {}", dir_, error.context);
        poisoned_ = Error{Code::kIo, dir_ + ": the log failed earlier: " + error.context};
    }
}

runtime::Task<void> Writer::prepare(std::uint64_t epoch) {
    auto made = co_await files_.make(epoch);
    preparing_ = false;
    if (made) {
        ready_.push_back(std::move(*made));
    } else if (made.error().code == Code::kNoSpace) {
        LOG_WARN("wal", "{}: no space for the next file", dir_);  // tried again when it is needed
    } else {
        poison(made.error());
    }
    prepared_.notify_all();
}

runtime::Task<Result<void>> Writer::advance() {
    while (preparing_) {
        co_await prepared_.wait();
    }
    if (poisoned_) {
        co_return std::unexpected(*poisoned_);
    }
    if (ready_.empty()) {
        auto made = co_await files_.make(log_.back()->epoch + 1);
        CO_TRY_ASSIGN(auto file, made);
        ready_.push_back(std::move(file));
    }
    HAMSTER_ASSERT(ready_.front()->epoch == log_.back()->epoch + 1);
    log_.push_back(std::move(ready_.front()));
    ready_.pop_front();
    offset_ = base::kBlock;
    co_return Result<void>{};
}

runtime::Task<Result<void>> Writer::drop_before(std::uint64_t seq) {
    co_await dropping_.acquire(1);
    Result<void> outcome;
    // The file written to stays, and a file goes only when a later one holds a group: the numbers
    // of records and groups are always found again.
    while (!poisoned_ && !closing_ && log_.size() > 1 && log_[1]->has_groups &&
           index_.all_below(log_.front()->epoch, seq)) {
        const std::uint64_t epoch = log_.front()->epoch;
        log_.pop_front();
        index_.forget_file(epoch);
        outcome = co_await files_.recycle(epoch);
        if (!outcome) {
            poison(outcome.error());
        }
    }
    dropping_.release(1);
    co_return outcome;
}

runtime::Task<void> Writer::stop() {
    closing_ = true;
    wake_.notify_all();
    co_await gate_.close();
}

runtime::Task<Result<std::unique_ptr<Wal>>> Wal::open(runtime::World* world, std::string dir,
                                                      Options options, base::Metrics* metrics) {
    if (options.file_bytes % base::kBlock != 0 || options.file_bytes < 4 * base::kBlock ||
        options.max_group_bytes == 0) {
        co_return fail(Code::kInvalid, "log files are whole blocks, at least four");
    }
    auto log = std::make_unique<Writer>(world, std::move(dir), options, metrics);
    auto started = co_await log->start();
    CO_TRY(started);
    co_return std::unique_ptr<Wal>(std::move(log));
}

}  // namespace hamster::wal
