// Which term each entry of a log has, in runs: a few words however long the log is. The core knows
// its log by this alone; payloads stay with the driver.
#pragma once

#include <optional>
#include <vector>

#include "base/ids.h"

namespace hamster::raft {

using base::LogIndex;
using base::Term;

struct Position {
    LogIndex index;
    Term term;
    bool operator==(const Position&) const = default;
};

class TermMap {
  public:
    // A log that begins behind `base`: the last entry that was compacted, or {0, 0}.
    explicit TermMap(Position base = {}) : base_(base), last_(base) {}

    [[nodiscard]] const Position& base() const { return base_; }
    [[nodiscard]] const Position& last() const { return last_; }
    // Of an entry of the log, or of its base; nullopt outside.
    [[nodiscard]] std::optional<Term> term_at(LogIndex index) const;
    // The last position at or before `index` whose term is at most `term`; the base if there is
    // none above it.
    [[nodiscard]] Position last_not_above(LogIndex index, Term term) const;

    // The entry behind the last one. Terms never fall.
    void append(Term term);
    // `from` and all behind it go; it is above the base.
    void truncate_from(LogIndex from);
    // Entries up to `index` go, which is in the log; it becomes the base.
    void compact_to(LogIndex index);

  private:
    struct Run {
        LogIndex first;
        Term term;
    };
    Position base_;
    Position last_;
    std::vector<Run> runs_;  // ascending; the first one begins right behind the base
};

}  // namespace hamster::raft
