#include "raft/term_map.h"

#include <algorithm>

#include "base/assert.h"

namespace hamster::raft {

std::optional<Term> TermMap::term_at(LogIndex index) const {
    if (index == base_.index) return base_.term;
    if (index < base_.index || index > last_.index) return std::nullopt;
    const auto behind = std::ranges::upper_bound(runs_, index, {}, &Run::first);
    HAMSTER_ASSERT(behind != runs_.begin(), index.value, base_.index.value);
    return std::prev(behind)->term;
}

Position TermMap::last_not_above(LogIndex index, Term term) const {
    index = std::min(index, last_.index);
    for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
        if (run->first > index) continue;
        if (run->term <= term) return {index, run->term};
        index = LogIndex{run->first.value - 1};
    }
    return base_;
}

void TermMap::append(Term term) {
    HAMSTER_ASSERT(term >= last_.term && term.value > 0, term.value, last_.term.value);
    last_ = {LogIndex{last_.index.value + 1}, term};
    if (runs_.empty() || runs_.back().term != term) runs_.push_back({last_.index, term});
}

void TermMap::truncate_from(LogIndex from) {
    HAMSTER_ASSERT(from > base_.index, from.value, base_.index.value);
    if (from > last_.index) return;
    while (!runs_.empty() && runs_.back().first >= from) {
        runs_.pop_back();
    }
    last_ = {LogIndex{from.value - 1}, runs_.empty() ? base_.term : runs_.back().term};
}

void TermMap::compact_to(LogIndex index) {
    if (index <= base_.index) return;
    const auto term = term_at(index);
    HAMSTER_ASSERT(term.has_value(), index.value, last_.index.value);
    while (runs_.size() > 1 && runs_[1].first.value <= index.value + 1) {
        runs_.erase(runs_.begin());
    }
    base_ = {index, *term};
    if (index == last_.index) {
        runs_.clear();
    } else {
        runs_.front().first = LogIndex{index.value + 1};
    }
}

}  // namespace hamster::raft
