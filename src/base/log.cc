#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>

#include "base/encoding.h"

namespace hamster::base {
namespace {

// The process has one stderr, so its settings are the one piece of global state.
std::atomic<LogLevel> g_level{LogLevel::kInfo};
std::atomic<LogFormat> g_format{LogFormat::kHuman};
std::atomic<LogSink> g_sink{nullptr};

std::string_view level_name(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return "DEBUG";
        case LogLevel::kInfo:
            return "INFO";
        case LogLevel::kWarn:
            return "WARN";
        case LogLevel::kError:
            return "ERROR";
        case LogLevel::kOff:
            break;
    }
    return "OFF";
}

std::string_view json_level_name(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return "debug";
        case LogLevel::kInfo:
            return "info";
        case LogLevel::kWarn:
            return "warn";
        case LogLevel::kError:
            return "error";
        case LogLevel::kOff:
            break;
    }
    return "off";
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

void append_control_escaped(std::string* out, char c) {
    switch (c) {
        case '\n':
            *out += "\\n";
            return;
        case '\r':
            *out += "\\r";
            return;
        case '\t':
            *out += "\\t";
            return;
        default:
            fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<unsigned>(c));
    }
}

void append_human(std::string* out, std::string_view text) {
    for (const char c : text) {
        if (is_control(c)) {
            append_control_escaped(out, c);
        } else {
            out->push_back(c);
        }
    }
}

// Length of the longest valid UTF-8 character at the start of `text`, 0 when there is none.
std::size_t utf8_prefix(std::string_view text) {
    for (std::size_t length = 1; length <= 4 && length <= text.size(); ++length) {
        if (is_valid_utf8(text.substr(0, length))) return length;
    }
    return 0;
}

void append_json_string(std::string* out, std::string_view text) {
    out->push_back('"');
    while (!text.empty()) {
        const char c = text[0];
        std::size_t length = 1;
        if (is_control(c)) {
            append_control_escaped(out, c);
        } else if (c == '"' || c == '\\') {
            out->push_back('\\');
            out->push_back(c);
        } else if ((length = utf8_prefix(text)) != 0) {
            *out += text.substr(0, length);
        } else {
            *out += "\\ufffd";
            length = 1;
        }
        text.remove_prefix(length);
    }
    out->push_back('"');
}

std::uint64_t wall_clock_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// One write(2) per line keeps lines of several threads apart. A failure has nowhere to be told.
void write_stderr(std::string_view line) {
    while (!line.empty()) {
        const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        line.remove_prefix(static_cast<std::size_t>(n));
    }
}

}  // namespace

void configure_log(LogLevel level, LogFormat format) {
    g_level.store(level, std::memory_order_relaxed);
    g_format.store(format, std::memory_order_relaxed);
}

void set_log_sink(LogSink sink) { g_sink.store(sink, std::memory_order_release); }

bool log_enabled(LogLevel level) {
    return level != LogLevel::kOff && level >= g_level.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, std::string_view room, std::string_view message) {
    if (!log_enabled(level)) return;
    if (const LogSink sink = g_sink.load(std::memory_order_acquire); sink != nullptr) {
        sink(level, room, message);
        return;
    }
    const LogFormat format = g_format.load(std::memory_order_relaxed);
    write_stderr(format_log_line(format, wall_clock_ms(), level, room, message));
}

std::string format_log_line(LogFormat format, std::uint64_t unix_ms, LogLevel level,
                            std::string_view room, std::string_view message) {
    if (format == LogFormat::kHuman) {
        std::string out = fmt::format("{} {:<5} {}  ", iso8601(unix_ms), level_name(level), room);
        append_human(&out, message);
        out.push_back('\n');
        return out;
    }
    std::string out = fmt::format(R"({{"time":"{}","level":"{}","room":)", iso8601(unix_ms),
                                  json_level_name(level));
    append_json_string(&out, room);
    out += R"(,"message":)";
    append_json_string(&out, message);
    out += "}\n";
    return out;
}

}  // namespace hamster::base
