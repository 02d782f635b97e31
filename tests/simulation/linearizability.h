// Is there an order of a key's operations that explains what every client was told? Each key is a
// register of its own, with conditional writes. An operation takes effect at one moment between its
// invocation and its return; one whose outcome nobody knows at any moment after its invocation, or
// never. Pure: no clock, no randomness.
//
// The search is that of Wing and Gong with Lowe's memory of what was tried: a state of the search
// is the set of operations already ordered, and the value that the key holds then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace hamster::simulation {

// Names a value that was written: its content and hence its ETag. Two writes of the same bytes have
// the same tag.
using Tag = std::uint64_t;
inline constexpr Tag kAbsent = 0;  // what a key without an object holds
// As a condition: `If-Match: *`. Never written.
inline constexpr Tag kAnyTag = std::numeric_limits<Tag>::max();

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

enum class Kind : std::uint8_t { kPut, kGet, kHead, kDelete };
enum class Outcome : std::uint8_t { kOk, kNotFound, kPreconditionFailed, kUnknown };

// One request of one client, on one key. Moments are microseconds; an operation that returned at
// the moment at which another was invoked may come after it.
struct Operation {
    int client = 0;
    std::int64_t invoked_us = 0;
    std::int64_t returned_us = kNever;
    Kind kind = Kind::kGet;
    Tag tag = kAbsent;           // a put: what it writes; a get or head that is kOk: what it saw
    bool if_none_match = false;  // a put: If-None-Match: *
    std::optional<Tag> if_match = std::nullopt;  // a put or delete; not with if_none_match
    Outcome outcome = Outcome::kUnknown;

    bool operator==(const Operation&) const = default;
};

// One line, for people.
std::string text_of(const Operation& operation);

enum class Verdict : std::uint8_t {
    kLinearizable,
    kViolation,
    kUndecided,  // the search was given up
};

struct Finding {
    Verdict verdict = Verdict::kLinearizable;
    // Of a violation: operations that have no order already, in the order of their invocation. What
    // happened later is left out, and so are answers that add nothing; a write that is cut off by
    // that has no outcome.
    std::vector<Operation> core;
    std::string account;  // of a violation, readable
    std::uint64_t states = 0;
};

// States of one search, 100 bytes each or so.
inline constexpr std::uint64_t kMaxSearchStates = 2'000'000;
// The search goes as deep as the history is long; more is kUndecided.
inline constexpr std::size_t kMaxOperationsPerKey = 4'000;

// The operations of one key, in any order.
Finding check_key(const std::vector<Operation>& operations,
                  std::uint64_t max_states = kMaxSearchStates);

}  // namespace hamster::simulation
