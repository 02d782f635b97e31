// Host names without glibc's resolver, which a static binary does not have. Blocks.
#pragma once

#include <string>

#include "base/result.h"

namespace hamster::cli::bench {

// An address of `host` (which may be one already) in the form ip:port or [ip6]:port.
Result<std::string> resolve(const std::string& host, std::uint16_t port);

}  // namespace hamster::cli::bench
