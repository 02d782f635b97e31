#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "cli/console.h"

namespace hamster::cli {

namespace {

// First words in table order, each with its second words.
std::vector<std::pair<std::string, std::vector<std::string>>> tree(std::span<const Verb> verbs) {
    std::vector<std::pair<std::string, std::vector<std::string>>> words;
    for (const Verb& verb : verbs) {
        const std::size_t space = verb.path.find(' ');
        const std::string first(verb.path.substr(0, space));
        if (words.empty() || words.back().first != first) words.push_back({first, {}});
        if (space != std::string_view::npos) {
            words.back().second.emplace_back(verb.path.substr(space + 1));
        }
    }
    return words;
}

std::string join(const std::vector<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

std::vector<std::string> dashed(const Verb& verb) {
    std::vector<std::string> flags;
    for (const Flag& flag : verb.flags) flags.push_back(fmt::format("-{}", flag.name));
    return flags;
}

std::vector<std::string> first_words(std::span<const Verb> verbs) {
    std::vector<std::string> firsts;
    for (const auto& [first, seconds] : tree(verbs)) firsts.push_back(first);
    firsts.emplace_back("help");
    return firsts;
}

std::string bash(std::span<const Verb> verbs) {
    std::string text =
        "_hamster() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
        "    case $before in\n"
        "        -data-dir|--data-dir) COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n"
        "        -tls-cert|-tls-key|--tls-cert|--tls-key)\n"
        "            COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
        "    esac\n"
        "    local words=\n"
        "    case ${COMP_WORDS[1]}:$COMP_CWORD in\n";
    text += fmt::format("        *:1) words='{}' ;;\n", join(first_words(verbs)));
    for (const auto& [first, seconds] : tree(verbs)) {
        if (!seconds.empty())
            text += fmt::format("        {}:2) words='{}' ;;\n", first, join(seconds));
    }
    text += "        *) case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n";
    for (const Verb& verb : verbs) {
        const bool has_second = verb.path.find(' ') != std::string_view::npos;
        text += fmt::format(
            "            {}) words='{}' ;;\n",
            has_second ? fmt::format("'{}'", verb.path) : fmt::format("'{} '*", verb.path),
            join(dashed(verb)));
    }
    text +=
        "        esac ;;\n"
        "    esac\n"
        "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
        "}\n"
        "complete -F _hamster hamster\n";
    return text;
}

std::string fish(std::span<const Verb> verbs) {
    std::string text = "complete -c hamster -f\n";
    text += fmt::format("complete -c hamster -n __fish_use_subcommand -a '{}'\n",
                        join(first_words(verbs)));
    for (const auto& [first, seconds] : tree(verbs)) {
        if (seconds.empty()) continue;
        text += fmt::format(
            "complete -c hamster -n '__fish_seen_subcommand_from {0}; and not "
            "__fish_seen_subcommand_from {1}' -a '{1}'\n",
            first, join(seconds));
    }
    for (const Verb& verb : verbs) {
        const std::string first(verb.path.substr(0, verb.path.find(' ')));
        for (const Flag& flag : verb.flags) {
            text += fmt::format(
                "complete -c hamster -n '__fish_seen_subcommand_from {}' -o {} -d '{}'{}\n", first,
                flag.name, flag.help, flag.value.empty() ? "" : " -r -F");
        }
    }
    return text;
}

}  // namespace

std::string overview(std::span<const Verb> verbs) {
    std::string text =
        "Hamster: a durable, S3-compatible object store in one binary.\n\n"
        "Quick start:\n"
        "  export HAMSTER_ACCESS_KEY_ID=hamster\n"
        "  export HAMSTER_SECRET_ACCESS_KEY=keep-this-one-secret\n"
        "  hamster init -data-dir ./data\n"
        "  hamster serve -data-dir ./data\n\n"
        "Verbs:\n";
    for (const Verb& verb : verbs) {
        const std::string left = fmt::format("{} {}", verb.path, verb.operands);
        text += fmt::format("  {:<26} {}\n", left, verb.summary);
    }
    text += fmt::format("  {:<26} {}\n\n", "help [VERB]", "Show this, or the flags of a verb");
    text +=
        "Flags may be written -flag value, -flag=value, --flag value or --flag=value.\n\n"
        "Environment:\n"
        "  HAMSTER_ACCESS_KEY_ID, HAMSTER_SECRET_ACCESS_KEY   the key pair of root, for serve\n"
        "  HAMSTER_LOG_FORMAT=json                            log in JSON\n\n";
    text += fmt::format(
        "Exit codes: {} done, {} failed, {} wrong command line or environment, {} the node is not "
        "running.\n",
        kExitOk, kExitFailed, kExitUsage, kExitNotRunning);
    return text;
}

std::string help_of(const Verb& verb) {
    std::string text = fmt::format("{}\n\nUsage: {}\n", verb.summary, usage_line(verb));
    if (!verb.flags.empty()) text += "\nFlags:\n";
    for (const Flag& flag : verb.flags) {
        const std::string left = flag.value.empty() ? fmt::format("-{}", flag.name)
                                                    : fmt::format("-{} {}", flag.name, flag.value);
        std::string note;
        if (flag.required) note = " (required)";
        if (!flag.fallback.empty()) note = fmt::format(" (default {})", flag.fallback);
        text += fmt::format("  {:<20} {}{}\n", left, flag.help, note);
    }
    if (!verb.lesson.empty()) text += fmt::format("\n{}", verb.lesson);
    return text;
}

std::optional<std::string> completion(std::span<const Verb> verbs, std::string_view shell) {
    if (shell == "bash") return bash(verbs);
    if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + bash(verbs);
    if (shell == "fish") return fish(verbs);
    return std::nullopt;
}

}  // namespace hamster::cli
