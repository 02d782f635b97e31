// Logging to stderr: one line per event, for people by default, JSON with
// HAMSTER_LOG_FORMAT=json. Secrets never reach it. Any thread.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace hamster::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };
enum class LogFormat { kHuman, kJson };

// Once, before threads start. Without it: info, human.
void configure_log(LogLevel level, LogFormat format);
// Redirects every line (the simulator's trace, tests). nullptr restores stderr.
using LogSink = void (*)(LogLevel level, std::string_view room, std::string_view message);
void set_log_sink(LogSink sink);
bool log_enabled(LogLevel level);
// `room` is the namespace that speaks: "s3", "shards".
void log_line(LogLevel level, std::string_view room, std::string_view message);
// The line, with its final newline, as it is written. Control characters are escaped in both
// formats, so a message cannot forge a second line; JSON also replaces invalid UTF-8.
std::string format_log_line(LogFormat format, std::uint64_t unix_ms, LogLevel level,
                            std::string_view room, std::string_view message);

template <class... Args>
void log(LogLevel level, std::string_view room, fmt::format_string<Args...> format,
         Args&&... args) {
    if (log_enabled(level)) {
        log_line(level, room, fmt::format(format, std::forward<Args>(args)...));
    }
}

}  // namespace hamster::base

#define HAMSTER_LOG_(level, room, ...) \
    ::hamster::base::log(::hamster::base::LogLevel::level, room, __VA_ARGS__)
#define LOG_DEBUG(room, ...) HAMSTER_LOG_(kDebug, room, __VA_ARGS__)
#define LOG_INFO(room, ...) HAMSTER_LOG_(kInfo, room, __VA_ARGS__)
#define LOG_WARN(room, ...) HAMSTER_LOG_(kWarn, room, __VA_ARGS__)
#define LOG_ERROR(room, ...) HAMSTER_LOG_(kError, room, __VA_ARGS__)
