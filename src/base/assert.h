// Assertions for our own bugs. On in every build: a node stops rather than serve doubt.
// Data from disk, wire or client is never asserted; it is checked and answered with an Error.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace hamster::base {

// Prints where, what and the values to stderr, then aborts. Any thread.
[[noreturn]] void assertion_failed(std::string_view condition, std::string_view file, int line,
                                   const std::string& values);

template <class... Values>
std::string format_values(std::string_view names, const Values&... values) {
    if constexpr (sizeof...(values) == 0) {
        return {};
    } else {
        std::string text = fmt::format("({}) =", names);
        ((text += fmt::format(" {}", values)), ...);
        return text;
    }
}

}  // namespace hamster::base

// HAMSTER_ASSERT(condition, values...): the values must be formattable by fmt.
#define HAMSTER_ASSERT(condition, ...)                                                    \
    do {                                                                                  \
        if (!(condition)) [[unlikely]] {                                                  \
            ::hamster::base::assertion_failed(                                            \
                #condition, __FILE__, __LINE__,                                           \
                ::hamster::base::format_values(#__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__)); \
        }                                                                                 \
    } while (false)
