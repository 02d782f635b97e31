// What nodes may be called and where they may be reached. Apply refuses anything else; who builds
// commands asks first, for a better message. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/records.pb.h"

namespace hamster::meta {

// A node's name or a zone: 1 to kMaxLabelBytes of [A-Za-z0-9._-].
bool is_label(std::string_view text);
// host:port: a name, an IPv4 address or an IPv6 address in brackets; the port 1 to 65535; at most
// kMaxAddressBytes. Whether it can be reached is not judged.
bool is_address(std::string_view text);
// What a node says about itself: name, host, zone, addresses, version. nullopt: all of it is well
// formed; else what is not, for people.
std::optional<std::string> flaw_of(const proto::Node& node);

}  // namespace hamster::meta
