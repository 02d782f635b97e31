// The command line, table-driven: one row per verb gives dispatch, help, completion and docs.
// `-flag value`, `-flag=value`, `--flag value` and `--flag=value` mean the same; flags and operands
// may be mixed; everything after a bare `--` is an operand. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace hamster::cli {

struct Flag {
    std::string_view name;   // without dashes
    std::string_view value;  // placeholder in the help; empty: a switch without a value
    std::string_view help;
    std::string_view fallback;  // used when not given; empty: none
    bool required = false;
};

class Args;
struct Console;
using Run = int (*)(const Args& args, Console& console);

struct Verb {
    std::string_view path;      // "init", "user create"
    std::string_view operands;  // "NAME", space separated; all are required
    std::string_view summary;   // one line
    std::span<const Flag> flags;
    Run run;
    std::string_view lesson = {};  // shown below the flags: examples, explanations
};

// What one invocation was given.
class Args {
  public:
    // The value, or the flag's fallback; nullopt when neither is there.
    [[nodiscard]] std::optional<std::string> value(std::string_view flag) const;
    // The value of a flag that is required or has a fallback.
    [[nodiscard]] std::string at(std::string_view flag) const;
    [[nodiscard]] bool is_on(std::string_view flag) const;  // switches
    [[nodiscard]] bool was_given(std::string_view flag) const { return given_.contains(flag); }
    [[nodiscard]] const std::vector<std::string>& operands() const { return operands_; }

  private:
    friend Result<Args> parse(const Verb& verb, std::span<const std::string> words);
    const Verb* verb_ = nullptr;
    std::map<std::string, std::string, std::less<>> given_;
    std::vector<std::string> operands_;
};

struct Match {
    const Verb* verb = nullptr;
    std::size_t words = 0;  // of the command line, that named it
};

// The verb that `words` start with; the error says what was meant, if that can be guessed.
Result<Match> find_verb(std::span<const Verb> verbs, std::span<const std::string> words);

// `words` are those after the verb. Errors are kInvalid and say what to type instead.
Result<Args> parse(const Verb& verb, std::span<const std::string> words);

// The candidate closest to `word`, if any is close enough to be what was meant.
std::optional<std::string_view> closest(std::string_view word,
                                        std::span<const std::string_view> candidates);

std::string usage_line(const Verb& verb);  // hamster user create NAME -data-dir DIR [flags]

}  // namespace hamster::cli
