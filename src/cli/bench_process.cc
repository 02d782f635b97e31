#include "cli/bench_process.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "base/encoding.h"

namespace hamster::cli::bench {

namespace {

std::string read_text(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// Field `index` of space-separated `text`, from 0.
std::string_view field(std::string_view text, unsigned index) {
    for (; index > 0; --index) {
        const std::size_t space = text.find(' ');
        if (space == std::string_view::npos) return {};
        text.remove_prefix(space + 1);
    }
    return text.substr(0, text.find(' '));
}

std::uint64_t microseconds(const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(time.tv_usec);
}

}  // namespace

std::optional<std::uint64_t> cpu_ticks(std::string_view stat) {
    const std::size_t name_end = stat.rfind(") ");
    if (name_end == std::string_view::npos) return std::nullopt;
    const std::string_view rest = stat.substr(name_end + 2);  // starts with field 3, the state
    const auto user = base::parse_u64(field(rest, 11));
    const auto system = base::parse_u64(field(rest, 12));
    if (!user || !system) return std::nullopt;
    return *user + *system;
}

std::optional<std::uint64_t> status_bytes(std::string_view status, std::string_view name) {
    const std::string start = std::string(name) + ":";
    std::size_t at = status.find(start);
    if (at == std::string_view::npos) return std::nullopt;
    at = status.find_first_of("0123456789", at + start.size());
    if (at == std::string_view::npos) return std::nullopt;
    const std::size_t end = status.find(' ', at);
    const auto kilobytes = base::parse_u64(status.substr(at, end - at));
    if (!kilobytes) return std::nullopt;
    return *kilobytes * 1024;
}

std::optional<ProcessUse> use_of(int pid) {
    const auto ticks = cpu_ticks(read_text(fmt::format("/proc/{}/stat", pid)));
    if (!ticks) return std::nullopt;
    const std::string status = read_text(fmt::format("/proc/{}/status", pid));
    ProcessUse use;
    use.cpu_us = *ticks * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    use.rss_bytes = status_bytes(status, "VmRSS").value_or(0);
    use.peak_bytes = status_bytes(status, "VmHWM").value_or(0);
    return use;
}

std::uint64_t own_cpu_us() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
}

}  // namespace hamster::cli::bench
