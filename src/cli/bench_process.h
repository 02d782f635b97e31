// What a process has used, from /proc. Linux.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hamster::cli::bench {

struct ProcessUse {
    std::uint64_t cpu_us = 0;  // user and system, of all threads
    std::uint64_t rss_bytes = 0;
    std::uint64_t peak_bytes = 0;  // of the resident set since the process began
};

// nullopt when there is no such process.
std::optional<ProcessUse> use_of(int pid);
// CPU microseconds of this process so far; finer than /proc.
std::uint64_t own_cpu_us();

// Pure parts. Ticks of utime + stime from /proc/PID/stat; the name in it may hold anything.
std::optional<std::uint64_t> cpu_ticks(std::string_view stat);
// A "Vm...: n kB" line of /proc/PID/status, in bytes.
std::optional<std::uint64_t> status_bytes(std::string_view status, std::string_view name);

}  // namespace hamster::cli::bench
