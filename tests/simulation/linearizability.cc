#include "linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <set>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/assert.h"

namespace hamster::simulation {

namespace {

// Stands for every value that no answer and no condition ever names: they are all alike.
constexpr Tag kUnseen = kAnyTag - 1;

bool is_write(const Operation& op) { return op.kind == Kind::kPut || op.kind == Kind::kDelete; }
bool is_conditional(const Operation& op) { return op.if_none_match || op.if_match; }
bool may_change(const Operation& op) {
    return is_write(op) && (op.outcome == Outcome::kOk || op.outcome == Outcome::kUnknown);
}
// Whether it matters to the operation what the key holds before it.
bool observes(const Operation& op) { return !may_change(op) || is_conditional(op); }

void sort_by_invocation(std::vector<Operation>& operations) {
    std::ranges::sort(operations, {}, [](const Operation& op) {
        return std::tuple(op.invoked_us, op.returned_us, op.client, op.tag);
    });
}

bool matches(Tag condition, Tag value) {
    return value != kAbsent && (condition == kAnyTag || condition == value);
}

// What the key holds after the write was carried out; nullopt: its condition does not hold.
std::optional<Tag> written(const Operation& op, Tag value) {
    if (op.if_none_match && value != kAbsent) return std::nullopt;
    if (op.kind == Kind::kDelete) {
        // A conditional DELETE of what is not there succeeds, as in S3.
        if (op.if_match && value != kAbsent && !matches(*op.if_match, value)) return std::nullopt;
        return kAbsent;
    }
    if (op.if_match && !matches(*op.if_match, value)) return std::nullopt;
    return op.tag;
}

// What the key holds after an operation that was answered as it was; nullopt: not with that answer.
std::optional<Tag> after(const Operation& op, Tag value) {
    if (may_change(op)) return written(op, value);
    bool fits = false;
    switch (op.outcome) {
        case Outcome::kOk:
            fits = value == op.tag && value != kAbsent;
            break;
        case Outcome::kNotFound:
            fits = value == kAbsent && (op.kind != Kind::kPut || op.if_match);
            break;
        case Outcome::kPreconditionFailed:
            fits = value != kAbsent &&
                   (op.if_none_match || (op.if_match && !matches(*op.if_match, value)));
            break;
        case Outcome::kUnknown:
            break;
    }
    return fits ? std::optional(value) : std::nullopt;
}

void check_shape(const Operation& op) {
    HAMSTER_ASSERT(op.invoked_us <= op.returned_us, op.invoked_us, op.returned_us);
    HAMSTER_ASSERT(op.tag < kUnseen, op.tag);
    HAMSTER_ASSERT(op.kind != Kind::kPut || op.tag != kAbsent);
    HAMSTER_ASSERT(!op.if_none_match || (op.kind == Kind::kPut && !op.if_match));
    HAMSTER_ASSERT(!op.if_match || is_write(op));
}

// One search for an order. Answered operations must all be in it; unanswered writes may be.
//
// Four rules keep it small. None loses an explanation:
// - An answered operation that changes nothing, and may come next, comes next: whatever comes after
//   it in another order can come after it here.
// - An unanswered write is tried only if whatever follows it looks at the value: otherwise the same
//   order without it is an explanation too.
// - Of unanswered writes with the same condition and effect the first invoked is used first.
// - What failed once fails again when more of the unanswered writes are used up.
class Search {
  public:
    // `all_alike`: values that nobody saw are told apart by nothing. That is quicker, and the
    // verdict is the same; false shows the obstacle in its own words.
    Search(const std::vector<Operation>& operations, std::uint64_t max_states,
           bool all_alike = true);

    Verdict run() {
        if (must_.size() + maybe_count_ > kMaxOperationsPerKey) return Verdict::kUndecided;
        if (explore(kAbsent, false)) return Verdict::kLinearizable;
        return gave_up_ ? Verdict::kUndecided : Verdict::kViolation;
    }
    [[nodiscard]] std::uint64_t states() const { return states_; }
    // How far the best attempt came.
    [[nodiscard]] std::string obstacle() const;

  private:
    struct Alike {
        std::vector<Operation> ops;  // by invocation
        std::size_t used = 0;
    };
    struct Attempt {
        std::size_t ordered = 0;
        Tag value = kAbsent;
        std::vector<std::size_t> next;
    };

    bool explore(Tag value, bool after_maybe);
    bool try_musts(const std::vector<std::size_t>& next, Tag value, bool after_maybe);
    bool try_maybes(std::int64_t horizon, Tag value, bool after_maybe);
    std::size_t take_answers(Tag value, std::vector<std::size_t>& next, std::int64_t& horizon);
    std::int64_t find_next(std::vector<std::size_t>& next) const;
    void take(std::size_t i);
    void put_back(std::size_t i);
    bool is_new(Tag value, bool after_maybe);
    [[nodiscard]] std::string key_of(Tag value, bool after_maybe) const;

    std::uint64_t max_states_;
    std::vector<Operation> must_;  // by invocation
    std::vector<Alike> maybe_;
    std::size_t maybe_count_ = 0;
    std::vector<bool> ordered_;  // of must_
    std::size_t ordered_count_ = 0;
    std::size_t first_ = 0;           // all of must_ before it are ordered
    std::vector<std::size_t> trail_;  // what take_answers() took, to be put back
    // By key_of(): how many of each of maybe_ were used; none of them more than another in all.
    using Used = std::vector<std::uint16_t>;
    std::unordered_map<std::string, std::vector<Used>> tried_;
    std::uint64_t states_ = 0;
    Attempt best_;
    bool gave_up_ = false;
};

Search::Search(const std::vector<Operation>& operations, std::uint64_t max_states, bool all_alike)
    : max_states_(max_states) {
    std::set<Tag> seen{kAbsent};
    for (const Operation& op : operations) {
        if (op.if_match) seen.insert(*op.if_match);
        if (!is_write(op)) seen.insert(op.tag);
    }
    std::vector<Operation> sorted = operations;
    sort_by_invocation(sorted);
    for (Operation& op : sorted) {
        if (op.outcome == Outcome::kUnknown && !is_write(op)) continue;
        if (all_alike && !seen.contains(op.tag)) op.tag = kUnseen;
        if (op.outcome != Outcome::kUnknown) {
            must_.push_back(op);
            continue;
        }
        ++maybe_count_;
        const auto same = [&op](const Alike& alike) {
            const Operation& one = alike.ops.front();
            return one.kind == op.kind && one.tag == op.tag &&
                   one.if_none_match == op.if_none_match && one.if_match == op.if_match;
        };
        const auto found = std::ranges::find_if(maybe_, same);
        Alike& alike = found == maybe_.end() ? maybe_.emplace_back() : *found;
        alike.ops.push_back(op);
    }
    ordered_.assign(must_.size(), false);
}

void Search::take(std::size_t i) {
    ordered_[i] = true;
    ++ordered_count_;
    while (first_ < must_.size() && ordered_[first_]) ++first_;
}

void Search::put_back(std::size_t i) {
    ordered_[i] = false;
    --ordered_count_;
    first_ = std::min(first_, i);
}

// The answered operations that may come next: those invoked before any other one of the rest had
// returned. Answers the moment of that first return.
std::int64_t Search::find_next(std::vector<std::size_t>& next) const {
    std::int64_t horizon = kNever;
    next.clear();
    for (std::size_t i = first_; i < must_.size() && must_[i].invoked_us <= horizon; ++i) {
        if (ordered_[i]) continue;
        horizon = std::min(horizon, must_[i].returned_us);
        next.push_back(i);
    }
    std::erase_if(next, [&](std::size_t i) { return must_[i].invoked_us > horizon; });
    return horizon;
}

// Orders every answer that changes nothing and fits; how many those were.
std::size_t Search::take_answers(Tag value, std::vector<std::size_t>& next, std::int64_t& horizon) {
    std::size_t count = 0;
    for (bool again = true; again;) {
        again = false;
        horizon = find_next(next);
        for (const std::size_t i : next) {
            if (may_change(must_[i]) || !after(must_[i], value)) continue;
            take(i);
            trail_.push_back(i);
            ++count;
            again = true;
        }
    }
    return count;
}

// Whether this was not tried before, with as much left as now or more.
bool Search::is_new(Tag value, bool after_maybe) {
    static_assert(kMaxOperationsPerKey <= std::numeric_limits<std::uint16_t>::max());
    Used used;
    for (const Alike& alike : maybe_) used.push_back(static_cast<std::uint16_t>(alike.used));
    const auto covers = [](const Used& less, const Used& more) {
        return std::ranges::equal(less, more, std::less_equal<>());
    };
    std::vector<Used>& tried = tried_[key_of(value, after_maybe)];
    for (const Used& earlier : tried) {
        if (covers(earlier, used)) return false;
    }
    std::erase_if(tried, [&](const Used& earlier) { return covers(used, earlier); });
    tried.push_back(std::move(used));
    ++states_;
    return true;
}

// The ordered ones as a set: their prefix, then one bit for each up to the last.
std::string Search::key_of(Tag value, bool after_maybe) const {
    std::string key = fmt::format("{} {} {}", value, after_maybe ? 1 : 0, first_);
    key += ' ';
    std::size_t left = ordered_count_ - first_;
    for (std::size_t i = first_; left > 0; ++i) {
        key += ordered_[i] ? '1' : '0';
        if (ordered_[i]) --left;
    }
    return key;
}

bool Search::explore(Tag value, bool after_maybe) {
    std::vector<std::size_t> next;
    std::int64_t horizon = kNever;
    const std::size_t taken = take_answers(value, next, horizon);
    const bool looked_at = !after_maybe || taken > 0;
    bool found = ordered_count_ == must_.size();
    if (!found && states_ >= max_states_) gave_up_ = true;
    if (!found && !gave_up_ && is_new(value, !looked_at)) {
        if (ordered_count_ >= best_.ordered) best_ = {ordered_count_, value, next};
        found = try_musts(next, value, !looked_at) || try_maybes(horizon, value, !looked_at);
    }
    for (std::size_t i = 0; i < taken; ++i) {
        put_back(trail_.back());
        trail_.pop_back();
    }
    return found;
}

bool Search::try_musts(const std::vector<std::size_t>& next, Tag value, bool after_maybe) {
    std::vector<std::size_t> by_return = next;
    std::ranges::sort(by_return, {},
                      [this](std::size_t i) { return std::pair(must_[i].returned_us, i); });
    for (const std::size_t i : by_return) {
        const Operation& op = must_[i];
        if (!may_change(op) || (after_maybe && !observes(op))) continue;
        const std::optional<Tag> then = after(op, value);
        if (!then) continue;
        take(i);
        const bool found = explore(*then, false);
        put_back(i);
        if (found || gave_up_) return found;
    }
    return false;
}

bool Search::try_maybes(std::int64_t horizon, Tag value, bool after_maybe) {
    for (Alike& alike : maybe_) {
        if (alike.used == alike.ops.size()) continue;
        const Operation& op = alike.ops[alike.used];
        if (op.invoked_us > horizon || (after_maybe && !observes(op))) continue;
        const std::optional<Tag> then = written(op, value);
        if (!then || *then == value) continue;
        ++alike.used;
        const bool found = explore(*then, true);
        --alike.used;
        if (found || gave_up_) return found;
    }
    return false;
}

std::string value_text(Tag value) {
    if (value == kAbsent) return "nothing";
    return fmt::format("v{}", value);
}

std::string Search::obstacle() const {
    std::string text = fmt::format(
        "No order explains all answers. The longest one explains {} of {}; then the key "
        "holds {}, and next would be one of:\n",
        best_.ordered, must_.size(), value_text(best_.value));
    for (const std::size_t i : best_.next) text += "  " + text_of(must_[i]) + "\n";
    return text;
}

// The history as it was known right after a moment: later invocations never happened, answers to
// come are unknown.
std::vector<Operation> cut_at(const std::vector<Operation>& operations, std::int64_t moment) {
    std::vector<Operation> cut;
    for (Operation op : operations) {
        if (op.invoked_us > moment) continue;
        if (op.returned_us > moment) {
            if (!is_write(op)) continue;
            op.outcome = Outcome::kUnknown;
            op.returned_us = kNever;
        }
        cut.push_back(op);
    }
    return cut;
}

// Makes a violation small. Every step keeps the promise that a history which can be explained stays
// so: hence what is left proves as much as the whole. Gives up shrinking, not the promise, when the
// searches get long.
class Shrinker {
  public:
    Shrinker(std::vector<Operation> operations, std::uint64_t max_states)
        : core_(std::move(operations)), states_left_(2 * max_states) {}

    std::vector<Operation> run() {
        cut_the_end();
        drop_answers();
        sort_by_invocation(core_);
        return std::move(core_);
    }

  private:
    bool is_violation(const std::vector<Operation>& operations) {
        if (states_left_ == 0) return false;
        Search search(operations, states_left_);
        const Verdict verdict = search.run();
        states_left_ -= std::min(states_left_, search.states() + 1);
        return verdict == Verdict::kViolation;
    }
    // To the first return at which no explanation was left.
    void cut_the_end() {
        std::vector<std::int64_t> moments;
        for (const Operation& op : core_) {
            if (op.returned_us != kNever) moments.push_back(op.returned_us);
        }
        std::ranges::sort(moments);
        std::size_t low = 0;  // the answer is in [low, high)
        std::size_t high = moments.size();
        std::vector<Operation> shortest = core_;
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            std::vector<Operation> cut = cut_at(core_, moments[middle]);
            if (is_violation(cut)) {
                shortest = std::move(cut);
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        core_ = std::move(shortest);
    }
    void drop_answers() {
        for (std::size_t i = core_.size(); i > 0; --i) {
            if (may_change(core_[i - 1])) continue;
            std::vector<Operation> fewer = core_;
            fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i - 1));
            if (is_violation(fewer)) core_ = std::move(fewer);
        }
    }

    std::vector<Operation> core_;
    std::uint64_t states_left_;
};

// For the account alone; it may stop half-way.
constexpr std::uint64_t kMaxAccountStates = 100'000;

std::string account_of(const std::vector<Operation>& core) {
    std::set<Tag> written_tags;
    for (const Operation& op : core) {
        if (op.kind == Kind::kPut) written_tags.insert(op.tag);
    }
    std::string text;
    for (const Operation& op : core) {
        if (is_write(op) || op.outcome != Outcome::kOk || written_tags.contains(op.tag)) continue;
        text += fmt::format("v{} was seen, but nobody had written it.\n", op.tag);
        break;
    }
    Search search(core, kMaxAccountStates, false);
    (void)search.run();
    text += search.obstacle();
    text += "The operations, by invocation:\n";
    for (const Operation& op : core) text += "  " + text_of(op) + "\n";
    return text;
}

std::string_view name_of(Kind kind) {
    switch (kind) {
        case Kind::kPut:
            return "PUT";
        case Kind::kGet:
            return "GET";
        case Kind::kHead:
            return "HEAD";
        case Kind::kDelete:
            return "DELETE";
    }
    return "?";
}

std::string answer_text(const Operation& op) {
    switch (op.outcome) {
        case Outcome::kOk:
            return is_write(op) ? "done" : fmt::format("saw v{}", op.tag);
        case Outcome::kNotFound:
            return "not found";
        case Outcome::kPreconditionFailed:
            return "precondition failed";
        case Outcome::kUnknown:
            return "no answer";
    }
    return "?";
}

}  // namespace

std::string text_of(const Operation& op) {
    std::string text =
        fmt::format("[{}, {}] client {}: {}", op.invoked_us,
                    op.returned_us == kNever ? "..." : std::to_string(op.returned_us), op.client,
                    name_of(op.kind));
    if (op.kind == Kind::kPut) text += " " + value_text(op.tag);
    if (op.if_none_match) text += " if-none-match *";
    if (op.if_match) {
        text +=
            *op.if_match == kAnyTag ? " if-match *" : fmt::format(" if-match v{}", *op.if_match);
    }
    return text + ": " + answer_text(op);
}

Finding check_key(const std::vector<Operation>& operations, std::uint64_t max_states) {
    for (const Operation& op : operations) check_shape(op);
    Finding finding;
    {
        Search search(operations, max_states);
        finding.verdict = search.run();
        finding.states = search.states();
    }
    if (finding.verdict != Verdict::kViolation) return finding;
    finding.core = Shrinker(operations, max_states).run();
    finding.account = account_of(finding.core);
    return finding;
}

}  // namespace hamster::simulation
