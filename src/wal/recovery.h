// What a set of log files says, decided from their bytes alone: no I/O, so that any bytes can be
// fed to it. The files are fed in order of epoch; each through one FileScan.
//
// The rule: only one group is ever being written, so only the last one can be torn. A place where a
// group should stand and none verifies is the end of the log, unless a group that was written later
// exists: then something acknowledged is damaged. Group numbers, which count across files, tell a
// file that was left early from one whose last groups are gone.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "wal/format.h"

namespace hamster::wal {

// Where a run of contiguous records stands. `length` is in whole blocks.
struct GroupRef {
    std::uint64_t first_seq = 0;
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

// The live part of the log: which records exist and where. Kept up to date by recovery and by the
// writer alike, so both follow the same rules. Sorted by first_seq, and so by place.
class Index {
  public:
    [[nodiscard]] std::uint64_t first() const { return first_; }
    [[nodiscard]] std::uint64_t next() const { return next_; }
    [[nodiscard]] const std::deque<GroupRef>& groups() const { return groups_; }

    void add(const GroupRef& group, std::uint32_t records);  // group.first_seq == next()
    void drop_from(std::uint64_t seq);
    void reset(std::uint64_t seq);
    // True when no record >= seq lives in a file of this epoch or an earlier one.
    [[nodiscard]] bool all_below(std::uint64_t epoch, std::uint64_t seq) const;
    void forget_file(std::uint64_t epoch);  // the oldest one

  private:
    std::uint64_t first_ = 1;
    std::uint64_t next_ = 1;
    std::deque<GroupRef> groups_;
};

// State carried from file to file.
class Replay {
  public:
    // Takes the next group in log order. kCorrupt when groups or records are missing before it.
    Result<void> take(const GroupHeader& group, const Record& first, const GroupRef& where);
    [[nodiscard]] bool empty() const { return last_number_ == 0; }
    [[nodiscard]] std::uint64_t next_number() const { return last_number_ + 1; }
    [[nodiscard]] Index& index() { return index_; }

  private:
    std::uint64_t last_number_ = 0;
    Index index_;
};

// Walks one file. Ask want(), read that range (fewer bytes only at the end of the file), feed() it;
// until done().
class FileScan {
  public:
    // Bytes asked for at once, unless one group is longer.
    static constexpr std::uint64_t kWindow = 1ULL << 20;

    FileScan(std::string name, FileHeader header, std::uint64_t size, Replay* replay);
    struct Range {
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
    };
    [[nodiscard]] bool done() const { return offset_ >= size_; }
    [[nodiscard]] Range want() const;
    Result<void> feed(base::Bytes bytes);

    [[nodiscard]] std::uint64_t groups() const { return groups_; }
    // Where the next group of this file would be written.
    [[nodiscard]] std::uint64_t end() const { return hole_ ? *hole_ : offset_; }

  private:
    enum class Step { kGroup, kNothing, kNeedMore };
    Result<Step> step(base::Bytes bytes);

    std::string name_;
    std::uint64_t epoch_;
    std::uint64_t seed_;
    std::uint64_t size_;  // in whole blocks
    Replay* replay_;
    std::uint64_t offset_ = base::kBlock;
    std::uint64_t need_ = 0;             // length of a group that outgrew the window
    std::optional<std::uint64_t> hole_;  // the first block where no group verified
    std::uint64_t groups_ = 0;
};

}  // namespace hamster::wal
