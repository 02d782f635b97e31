// What operators call their nodes and say about them on the command line. Pure; any thread. Errors
// are kInvalid and say what would be right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hamster::cluster {

// -node: 1 to 63 of [A-Za-z0-9._-].
Result<std::string> parse_node_name(std::string_view text);
// -zone: the same; empty: none.
Result<std::string> parse_zone(std::string_view text);
// -capacity, in bytes: a whole number, not 0, and a unit. KB, MB, GB, TB and PB count in thousands,
// KiB to PiB in 1024s; B or nothing: bytes. Case does not matter.
Result<std::uint64_t> parse_capacity(std::string_view text);

// -listen: ip:port or [ip6]:port, of this machine, as other nodes reach it: no name, not 0.0.0.0.
Result<std::string> parse_listen(std::string_view text);

}  // namespace hamster::cluster
