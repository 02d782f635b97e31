// Whatever a disk may hold: the record codec, the scan of a segment, extents and index rows must
// take it without a fault, and what they accept must encode back to the same bytes.
#include <algorithm>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "shards/index.h"
#include "shards/scan.h"

namespace hamster::shards {
namespace {

void scan_all(base::Bytes bytes, bool last) {
    // The segment and epoch of the first record that decodes, so that the fuzzer gets past them.
    std::uint32_t segment = 1;
    std::uint64_t epoch = 1;
    if (const auto header = decode_header(bytes)) {
        segment = header->segment;
        epoch = header->epoch;
        std::byte again[kHeaderBytes];
        encode_header(*header, again);
        HAMSTER_ASSERT(std::equal(again, again + kHeaderBytes, bytes.begin()));
    }
    std::uint64_t at = kSegmentStart;
    while (at < kSegmentStart + bytes.size()) {
        const ScanStep step = scan_step(bytes, kSegmentStart, at, last, segment, epoch);
        if (std::holds_alternative<ScanMore>(step)) return;
        const auto* record = std::get_if<ScanRecord>(&step);
        const std::uint64_t next = record != nullptr ? record->next : std::get<ScanSkip>(step).next;
        HAMSTER_ASSERT(next > at, at, next);
        at = next;
    }
}

void decode_rows(std::string_view text) {
    std::string_view in = text;
    if (const auto geometry = decode_geometry(in)) {
        std::uint64_t stripe = 0;
        for (std::size_t i = 0; i < geometry->extents.size(); ++i) {
            HAMSTER_ASSERT(geometry->extent_span(i, stripe) > 0);
            stripe += geometry->extents[i].slices;
        }
    }
    if (const auto row = decode_row(text)) {
        const auto again = decode_row(encode_row(*row));
        HAMSTER_ASSERT(again.has_value() && *again == *row);
    }
    (void)decode_segment_row(text);
}

}  // namespace
}  // namespace hamster::shards

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const hamster::base::Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
    hamster::shards::scan_all(bytes, true);
    hamster::shards::scan_all(bytes, false);
    hamster::shards::decode_rows(hamster::base::as_text(bytes));
    return 0;
}
