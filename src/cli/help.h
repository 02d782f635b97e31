// Texts made from the table of verbs. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/args.h"

namespace hamster::cli {

std::string overview(std::span<const Verb> verbs);
std::string help_of(const Verb& verb);
// The completion script of a shell; nullopt for one we do not know.
std::optional<std::string> completion(std::span<const Verb> verbs, std::string_view shell);

}  // namespace hamster::cli
