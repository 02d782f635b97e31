// Errors are values. Expected failures return Result<T>; exceptions come only from third parties
// and are converted where they enter.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace hamster::base {

// A code exists only if some caller reacts to it.
enum class Code : std::uint8_t {
    kNotFound,        // the thing asked for does not exist
    kInvalid,         // the input is wrong; the context says what and what to do
    kAlreadyExists,   // it exists and must not
    kPrecondition,    // a condition of the caller did not hold (If-Match and the like)
    kConflict,        // the state changed under the caller; asking again may succeed
    kCorrupt,         // stored or sent bytes failed verification
    kIo,              // the device or the operating system failed; the file is poisoned
    kNoSpace,         // the disk is full
    kUnavailable,     // not now: overloaded, stopping, no quorum
    kUnknownOutcome,  // it may or may not have happened
    kTimeout,         // a deadline passed
    kClosed,          // the other side, or we, closed the connection
    kTooLarge,        // a named limit was exceeded
    kUnsupported,     // from a newer version, or not implemented
    kDenied,          // not allowed
};

std::string_view to_string(Code code);

struct [[nodiscard]] Error {
    Code code;
    std::string context;  // one short sentence, for people
    bool operator==(const Error&) const = default;
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Code code, std::string context) {
    return std::unexpected<Error>(Error{code, std::move(context)});
}
// Passes an error on, with where it came from in front of its context.
inline std::unexpected<Error> fail(Error error, std::string_view where) {
    error.context = std::string(where) + ": " + error.context;
    return std::unexpected<Error>(std::move(error));
}

}  // namespace hamster::base

namespace hamster {
using base::Code;
using base::Error;
using base::fail;
using base::Result;
}  // namespace hamster

#define HAMSTER_CONCAT_(a, b) a##b
#define HAMSTER_CONCAT(a, b) HAMSTER_CONCAT_(a, b)
#define HAMSTER_TRY_(result, expr, ret) \
    auto&& result = (expr);             \
    if (!result) [[unlikely]]           \
    ret std::unexpected(std::move(result).error())
#define HAMSTER_TRY_ASSIGN_(result, lhs, expr, ret)     \
    auto&& result = (expr);                             \
    if (!result) [[unlikely]]                           \
        ret std::unexpected(std::move(result).error()); \
    lhs = std::move(*result)

// TRY(expr): return its error, if it is one. TRY_ASSIGN(auto x, expr): or bind its value.
// The CO_ twins are for coroutines; their expr must not contain co_await: bind the awaited
// Result to a name first.
#define TRY(expr) HAMSTER_TRY_(HAMSTER_CONCAT(try_, __COUNTER__), expr, return)
#define CO_TRY(expr) HAMSTER_TRY_(HAMSTER_CONCAT(try_, __COUNTER__), expr, co_return)
#define TRY_ASSIGN(lhs, expr) \
    HAMSTER_TRY_ASSIGN_(HAMSTER_CONCAT(try_, __COUNTER__), lhs, expr, return)
#define CO_TRY_ASSIGN(lhs, expr) \
    HAMSTER_TRY_ASSIGN_(HAMSTER_CONCAT(try_, __COUNTER__), lhs, expr, co_return)
