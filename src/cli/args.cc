#include "cli/args.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace hamster::cli {

namespace {

const Flag* find_flag(const Verb& verb, std::string_view name) {
    for (const Flag& flag : verb.flags) {
        if (flag.name == name) return &flag;
    }
    return nullptr;
}

std::vector<std::string_view> split_words(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (end > 0) words.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

// Levenshtein distance with neighbours swapped counting as one: the typos people make.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({replace, last[j] + 1, row[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates,
                         std::string_view dashes) {
    const auto guess = closest(word, candidates);
    return guess ? fmt::format(": did you mean {}{}?", dashes, *guess) : std::string();
}

Error unknown_flag(const Verb& verb, std::string_view name) {
    std::vector<std::string_view> names;
    for (const Flag& flag : verb.flags) names.push_back(flag.name);
    return {Code::kInvalid, fmt::format("`hamster {}` has no flag -{}{}", verb.path, name,
                                        did_you_mean(name, names, "-"))};
}

}  // namespace

std::optional<std::string_view> closest(std::string_view word,
                                        std::span<const std::string_view> candidates) {
    std::optional<std::string_view> best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string_view candidate : candidates) {
        const std::size_t d = distance(word, candidate);
        if (d < best_distance) {
            best = candidate;
            best_distance = d;
        }
    }
    return best;
}

std::optional<std::string> Args::value(std::string_view flag) const {
    const Flag* spec = find_flag(*verb_, flag);
    HAMSTER_ASSERT(spec != nullptr, flag);
    const auto given = given_.find(flag);
    if (given != given_.end()) return given->second;
    if (!spec->fallback.empty()) return std::string(spec->fallback);
    return std::nullopt;
}

std::string Args::at(std::string_view flag) const {
    const std::optional<std::string> text = value(flag);
    HAMSTER_ASSERT(text.has_value(), flag);
    return *text;
}

bool Args::is_on(std::string_view flag) const {
    const Flag* spec = find_flag(*verb_, flag);
    HAMSTER_ASSERT(spec != nullptr && spec->value.empty(), flag);
    return given_.contains(flag);
}

Result<Match> find_verb(std::span<const Verb> verbs, std::span<const std::string> words) {
    HAMSTER_ASSERT(!words.empty());
    const std::string& first = words[0];
    const std::string both = words.size() > 1 ? first + " " + words[1] : first;
    std::vector<std::string_view> seconds;
    for (const Verb& verb : verbs) {
        if (verb.path == both && words.size() > 1) return Match{&verb, 2};
        if (verb.path == first) return Match{&verb, 1};
        if (verb.path.starts_with(first + " "))
            seconds.push_back(verb.path.substr(first.size() + 1));
    }
    if (!seconds.empty()) {
        std::string list;
        for (const std::string_view second : seconds) list += fmt::format(" {}", second);
        const std::string guess =
            words.size() > 1 ? did_you_mean(words[1], seconds, "") : std::string();
        return fail(Code::kInvalid,
                    fmt::format("`hamster {}` takes one of:{}{}", first, list, guess));
    }
    std::vector<std::string_view> firsts;
    for (const Verb& verb : verbs) firsts.push_back(split_words(verb.path)[0]);
    return fail(Code::kInvalid,
                fmt::format("there is no `hamster {}`{}", first, did_you_mean(first, firsts, "")));
}

Result<Args> parse(const Verb& verb, std::span<const std::string> words) {
    Args args;
    args.verb_ = &verb;
    bool flags_ended = false;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (flags_ended || !word.starts_with('-') || word == "-") {
            args.operands_.emplace_back(word);
            continue;
        }
        if (word == "--") {
            flags_ended = true;
            continue;
        }
        const std::string_view bare = word.substr(word.starts_with("--") ? 2 : 1);
        const std::size_t equals = bare.find('=');
        const std::string name(bare.substr(0, equals));
        const Flag* flag = find_flag(verb, name);
        if (flag == nullptr) return std::unexpected(unknown_flag(verb, name));
        if (args.given_.contains(name)) {
            return fail(Code::kInvalid, fmt::format("-{} is given twice", name));
        }
        std::string value;
        if (equals != std::string_view::npos) {
            if (flag->value.empty()) {
                return fail(Code::kInvalid,
                            fmt::format("-{} is a switch and takes no value", name));
            }
            value = bare.substr(equals + 1);
        } else if (!flag->value.empty()) {
            if (i + 1 == words.size()) {
                return fail(Code::kInvalid,
                            fmt::format("-{} needs a value: -{} {}", name, name, flag->value));
            }
            value = words[++i];
        }
        if (!flag->value.empty() && value.empty()) {
            return fail(Code::kInvalid, fmt::format("the value of -{} is empty", name));
        }
        args.given_[name] = std::move(value);
    }
    for (const Flag& flag : verb.flags) {
        if (flag.required && !args.given_.contains(flag.name)) {
            return fail(Code::kInvalid, fmt::format("-{} is missing: say -{} {}", flag.name,
                                                    flag.name, flag.value));
        }
    }
    const std::vector<std::string_view> wanted = split_words(verb.operands);
    if (args.operands_.size() < wanted.size()) {
        return fail(Code::kInvalid, fmt::format("{} is missing", wanted[args.operands_.size()]));
    }
    if (args.operands_.size() > wanted.size()) {
        return fail(Code::kInvalid,
                    fmt::format("`{}` is one word too many", args.operands_[wanted.size()]));
    }
    return args;
}

std::string usage_line(const Verb& verb) {
    std::string line = fmt::format("hamster {}", verb.path);
    if (!verb.operands.empty()) line += fmt::format(" {}", verb.operands);
    bool has_optional = false;
    for (const Flag& flag : verb.flags) {
        if (flag.required) line += fmt::format(" -{} {}", flag.name, flag.value);
        has_optional = has_optional || !flag.required;
    }
    return has_optional ? line + " [flags]" : line;
}

}  // namespace hamster::cli
