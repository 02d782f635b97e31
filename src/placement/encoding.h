// Tables as bytes, for the log: docs/formats/layout.md. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>

#include "base/bytes.h"
#include "placement/table.h"

namespace hamster::placement {

// What decode() takes at most, in bytes: kMaxWidth slots, each place with a node of its own up to
// the largest index.
inline constexpr std::size_t kMaxEncodedTable = std::size_t{1} << 20U;

// A table without flaw, of at most kMaxNodes nodes. Equal tables have equal bytes.
std::string encode(const Table& table);
// kCorrupt: not what encode() writes. kUnsupported: a newer version.
Result<Table> decode(base::Bytes bytes);

}  // namespace hamster::placement
