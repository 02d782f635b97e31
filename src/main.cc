// The hamster binary.
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "cli/run.h"

// jemalloc reads this before main. Freed memory goes back to the system within seconds, also when
// nobody allocates any more: by itself jemalloc only tidies up on later calls.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:3000,muzzy_decay_ms:0";
}

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
