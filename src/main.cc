// The hamster binary.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "cli/run.h"

namespace {
const char* environment(const char* name) {
    return std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread starts
}
}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    hamster::cli::Console console{std::cout, std::cerr, environment};
    return hamster::cli::run(words, console);
}
