// Asks before something that cannot be taken back.
#pragma once

#include <string>
#include <string_view>

#include "cli/console.h"

namespace hamster::cli {

// `question` ends with "[y/N] ". No without a terminal, and then says which flag agrees.
bool agrees(const std::string& question, std::string_view flag, Console& console);

}  // namespace hamster::cli
