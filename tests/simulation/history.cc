#include "history.h"

#include <algorithm>

#include "base/assert.h"

namespace hamster::simulation {

std::int64_t History::moment(runtime::Time now) {
    last_moment_us_ = std::max(last_moment_us_ + 1, now.us);
    return last_moment_us_;
}

History::Token History::begin(std::string bucket, std::string key, Operation asked,
                              runtime::Time now) {
    asked.invoked_us = moment(now);
    asked.returned_us = kNever;
    asked.outcome = Outcome::kUnknown;
    entries_.push_back({{std::move(bucket), std::move(key)}, asked});
    return entries_.size() - 1;
}

History::Entry& History::open_entry(Token token) {
    HAMSTER_ASSERT(token < entries_.size(), token, entries_.size());
    Entry& entry = entries_[token];
    HAMSTER_ASSERT(entry.is_open, token);
    entry.is_open = false;
    return entry;
}

void History::end(Token token, Outcome outcome, Tag saw, runtime::Time now) {
    Operation& operation = open_entry(token).operation;
    operation.outcome = outcome;
    if (outcome == Outcome::kUnknown) return;
    operation.returned_us = moment(now);
    const bool is_read = operation.kind == Kind::kGet || operation.kind == Kind::kHead;
    if (is_read && outcome == Outcome::kOk) operation.tag = saw;
}

void History::refused(Token token) { open_entry(token).is_refused = true; }

std::map<History::Key, std::vector<Operation>> History::by_key() const {
    std::map<Key, std::vector<Operation>> keys;
    for (const Entry& entry : entries_) {
        if (!entry.is_refused) keys[entry.key].push_back(entry.operation);
    }
    return keys;
}

HistoryFinding check_history(const History& history, std::uint64_t max_states) {
    HistoryFinding found;
    for (auto& [key, operations] : history.by_key()) {
        Finding finding = check_key(operations, max_states);
        if (finding.verdict == Verdict::kUndecided) ++found.undecided;
        if (finding.verdict != Verdict::kViolation) continue;
        finding.account = "'" + key.first + "/" + key.second + "': " + finding.account;
        found.key = key;
        found.finding = std::move(finding);
        break;
    }
    return found;
}

}  // namespace hamster::simulation
