// Entry point of the hamster command.
#pragma once

#include <string>
#include <vector>

#include "cli/console.h"

namespace hamster::cli {

// `words` are those after the program's name; answers the exit code.
int run(const std::vector<std::string>& words, Console& console);

}  // namespace hamster::cli
