#include "cli/question.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <ostream>

namespace hamster::cli {

bool agrees(const std::string& question, std::string_view flag, Console& console) {
    console.err << question;
    if (::isatty(STDIN_FILENO) != 1) {
        console.err << fmt::format(
            "\nhamster: nothing has been changed: there is no terminal to ask at; say {} to "
            "agree\n",
            flag);
        return false;
    }
    console.err << std::flush;
    std::string typed;
    std::getline(std::cin, typed);
    if (typed == "y" || typed == "Y" || typed == "yes") return true;
    console.err << "hamster: nothing has been changed\n";
    return false;
}

}  // namespace hamster::cli
