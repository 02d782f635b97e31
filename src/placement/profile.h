// Storage profiles: an object is k data shards and m parity shards. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "erasure/codec.h"

namespace hamster::placement {

using erasure::Profile;

// The tested ones, the narrowest first: 1+0, 1+1, 2+1, 3+2, 4+2.
std::span<const Profile> supported_profiles();
bool is_supported(Profile profile);

// The ladder: the widest supported profile for so many active nodes, at least 1. 1+0 for 1, 1+1
// for 2, 2+1 for 3 and 4, 3+2 for 5, 4+2 from 6 on.
Profile profile_for(std::size_t active_nodes);
// What small blobs have instead: whole copies that bear the same losses.
Profile small_copies(Profile profile);

std::string to_string(Profile profile);  // "4+2"
// Exactly as to_string writes it. kInvalid: not of this form, or not supported; says which are.
Result<Profile> parse_profile(std::string_view text);

// Of the raw capacity, the part that objects get, in percent, rounded: 67 for 4+2.
std::uint32_t efficiency_percent(Profile profile);
// "any 2 nodes", "any 1 node", "no node".
std::string losses_text(Profile profile);
// For people: "4+2: 67 % of the capacity is usable; objects survive the loss of any 2 nodes".
std::string describe(Profile profile);

}  // namespace hamster::placement
