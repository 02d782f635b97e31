// Finds the records of a small segment in its bytes. Pure; any thread.
// Records are packed inside a group write; group writes start on block boundaries. Whatever does
// not verify (padding, a torn tail, damage, the file's previous use) is passed over, and the scan
// takes up again at the next block boundary. A header counts only with its own address and the
// segment's random epoch in it, so payload bytes and stale bytes are never taken for records.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/bytes.h"
#include "shards/record.h"

namespace hamster::shards {

struct ScanRecord {
    Header header;
    base::Bytes payload;      // a view into the window
    bool payload_ok = false;  // false: torn or damaged
    std::uint64_t next = 0;   // file offset to go on at
};
struct ScanSkip {
    std::uint64_t next = 0;
};
// The window ends inside a record: give a window that starts at the same offset and is at least
// kMaxSpan long, or reaches the end of the file.
struct ScanMore {};

using ScanStep = std::variant<ScanRecord, ScanSkip, ScanMore>;

// One step at file offset `at`. `window` holds the file's bytes from `window_offset`;
// `last` when it reaches the end of the file. at < window_offset + window.size().
ScanStep scan_step(base::Bytes window, std::uint64_t window_offset, std::uint64_t at, bool last,
                   std::uint32_t segment, std::uint64_t epoch);

}  // namespace hamster::shards
