// Where a verb writes, and the environment it reads: replaced in tests.
#pragma once

#include <iosfwd>

namespace hamster::cli {

struct Console {
    std::ostream& out;
    std::ostream& err;
    const char* (*env)(const char* name);
};

// Exit codes of every verb; printed by `hamster help`.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;       // the command line or the environment is wrong
inline constexpr int kExitNotRunning = 3;  // the verb needs the running node, and there is none

}  // namespace hamster::cli
