#include "wal/recovery.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/planted.h"

namespace hamster::wal {

void Index::add(const GroupRef& group, std::uint32_t records) {
    HAMSTER_ASSERT(group.first_seq == next_, group.first_seq, next_);
    HAMSTER_ASSERT(groups_.empty() || groups_.back().epoch <= group.epoch);
    groups_.push_back(group);
    next_ += records;
}

void Index::drop_from(std::uint64_t seq) {
    while (!groups_.empty() && groups_.back().first_seq >= seq) {
        groups_.pop_back();
    }
    next_ = seq;
    first_ = std::min(first_, seq);
}

void Index::reset(std::uint64_t seq) {
    groups_.clear();
    first_ = next_ = seq;
}

bool Index::all_below(std::uint64_t epoch, std::uint64_t seq) const {
    const auto after = std::ranges::upper_bound(groups_, epoch, {}, &GroupRef::epoch);
    if (after == groups_.begin()) {
        return true;  // nothing there is alive
    }
    return (after == groups_.end() ? next_ : after->first_seq) <= seq;
}

void Index::forget_file(std::uint64_t epoch) {
    while (!groups_.empty() && groups_.front().epoch <= epoch) {
        groups_.pop_front();
    }
    first_ = groups_.empty() ? next_ : groups_.front().first_seq;
}

Result<void> Replay::take(const GroupHeader& group, const Record& first, const GroupRef& where) {
    // The log's own first group is number 1 in file 1; a later file may be the oldest one left.
    const bool oldest = last_number_ == 0 && where.epoch > 1;
    if (group.number == 0 || (!oldest && group.number != last_number_ + 1)) {
        return fail(Code::kCorrupt, fmt::format("group {} is found where {} should be",
                                                group.number, last_number_ + 1));
    }
    if (oldest) {
        index_.reset(first.seq);
    }
    last_number_ = group.number;
    switch (first.kind) {
        case RecordKind::kReset:
            index_.reset(first.seq);
            return {};
        case RecordKind::kDropFrom:
            if (first.seq > index_.next()) {
                return fail(Code::kCorrupt, "a marker drops records that never were");
            }
            index_.drop_from(first.seq);
            return {};
        case RecordKind::kData:
            break;
    }
    if (first.seq != index_.next()) {
        return fail(Code::kCorrupt,
                    fmt::format("record {} is found where {} should be", first.seq, index_.next()));
    }
    index_.add(where, group.records);
    return {};
}

FileScan::FileScan(std::string name, FileHeader header, std::uint64_t size, Replay* replay)
    : name_(std::move(name)),
      epoch_(header.epoch),
      seed_(header.seed()),
      size_(size / base::kBlock * base::kBlock),
      replay_(replay) {}

FileScan::Range FileScan::want() const {
    HAMSTER_ASSERT(!done());
    return {offset_, std::min(std::max(kWindow, need_), size_ - offset_)};
}

Result<void> FileScan::feed(base::Bytes bytes) {
    const std::uint64_t start = offset_;
    if (bytes.size() < want().length) {
        return fail(Code::kCorrupt, fmt::format("{}: shorter than it was", name_));
    }
    while (!done() && offset_ - start < bytes.size()) {
        TRY_ASSIGN(const Step taken, step(bytes.subspan(offset_ - start)));
        if (taken == Step::kNeedMore) {
            return {};
        }
        if (taken == Step::kNothing) {
            if (!hole_) {
                hole_ = offset_;
            }
            offset_ += base::kBlock;
        }
    }
    return {};
}

// Looks at the group that should stand at offset_.
Result<FileScan::Step> FileScan::step(base::Bytes bytes) {
    const auto header = parse_group_header(bytes, seed_, offset_);
    if (!header) {
        return Step::kNothing;
    }
    if (hole_ && base::planted(base::Bug::kWalTruncateOnDamage)) return Step::kNothing;
    if (hole_) {
        return fail(Code::kCorrupt,
                    fmt::format("{}: damaged at offset {}: a later group stands at offset {}",
                                name_, *hole_, offset_));
    }
    if (header->bytes > size_ - offset_) {
        return Step::kNothing;
    }
    if (header->padded() > bytes.size()) {
        HAMSTER_ASSERT(need_ < header->padded(), need_, header->padded());
        need_ = header->padded();
        return Step::kNeedMore;
    }
    need_ = 0;
    std::optional<Record> first;
    const bool valid = parse_group(*header, bytes, seed_, offset_, [&first](const Record& record) {
        if (!first) {
            first = record;
        }
    });
    if (!valid || !first) {
        return Step::kNothing;  // torn, unless a later group turns up
    }
    const GroupRef where{first->seq, epoch_, offset_, header->padded()};
    auto taken = replay_->take(*header, *first, where);
    if (!taken) {
        return fail(std::move(taken).error(), fmt::format("{}: at offset {}", name_, offset_));
    }
    ++groups_;
    offset_ += header->padded();
    return Step::kGroup;
}

}  // namespace hamster::wal
