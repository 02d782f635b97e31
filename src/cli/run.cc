#include "cli/run.h"

#include <fmt/format.h>

#include <ostream>
#include <span>

#include "cli/help.h"
#include "cli/verbs.h"
#include "node/node.h"

namespace hamster::cli {

namespace {

int usage_error(Console& console, const Error& error, std::string_view help) {
    console.err << fmt::format("hamster: {}\nSee `{}`.\n", error.context, help);
    return kExitUsage;
}

bool asks_for_help(std::span<const std::string> words) {
    for (const std::string& word : words) {
        if (word == "--") return false;
        if (word == "-h" || word == "-help" || word == "--help") return true;
    }
    return false;
}

int help(std::span<const std::string> words, Console& console) {
    if (words.empty()) {
        console.out << overview(verbs());
        return kExitOk;
    }
    // Of a group such as `user`: every verb in it.
    bool is_group = false;
    for (const Verb& verb : verbs()) {
        if (words.size() == 1 && verb.path.starts_with(words[0] + " ")) {
            console.out << (is_group ? "\n" : "") << help_of(verb);
            is_group = true;
        }
    }
    if (is_group) return kExitOk;
    const auto match = find_verb(verbs(), words);
    if (!match) return usage_error(console, match.error(), "hamster help");
    console.out << help_of(*match->verb);
    return kExitOk;
}

}  // namespace

int run(const std::vector<std::string>& words, Console& console) {
    const std::span<const std::string> all(words);
    if (words.empty()) {
        console.err << overview(verbs());
        return kExitUsage;
    }
    if (words[0] == "help" || words[0] == "-h" || words[0] == "-help" || words[0] == "--help") {
        return help(all.subspan(1), console);
    }
    if (words[0] == "-version" || words[0] == "--version") {
        return run({"version"}, console);
    }
    const auto match = find_verb(verbs(), all);
    if (!match) return usage_error(console, match.error(), "hamster help");
    const auto rest = all.subspan(match->words);
    if (asks_for_help(rest)) {
        console.out << help_of(*match->verb);
        return kExitOk;
    }
    const auto args = parse(*match->verb, rest);
    if (!args) {
        return usage_error(console, args.error(),
                           fmt::format("hamster help {}", match->verb->path));
    }
    return match->verb->run(*args, console);
}

int run_completion(const Args& args, Console& console) {
    const auto script = completion(verbs(), args.operands()[0]);
    if (!script) {
        console.err << "hamster: there are completions for bash, zsh and fish\n";
        return kExitUsage;
    }
    console.out << *script;
    return kExitOk;
}

int run_version(const Args& args, Console& console) {
    if (args.is_on("json")) {
        console.out << fmt::format("{{\"version\":\"{}\"}}\n", node::version());
    } else {
        console.out << fmt::format("hamster {}\n", node::version());
    }
    return kExitOk;
}

}  // namespace hamster::cli
