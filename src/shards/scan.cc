#include "shards/scan.h"

#include "base/assert.h"

namespace hamster::shards {

ScanStep scan_step(base::Bytes window, std::uint64_t window_offset, std::uint64_t at, bool last,
                   std::uint32_t segment, std::uint64_t epoch) {
    HAMSTER_ASSERT(at >= window_offset && at - window_offset < window.size(), at, window_offset);
    const ScanSkip skip{(at / base::kBlock + 1) * base::kBlock};
    const base::Bytes rest = window.subspan(at - window_offset);
    if (rest.size() < kHeaderBytes) {
        if (last) return skip;
        return ScanMore{};
    }
    auto header = decode_header(rest.first(kHeaderBytes));
    if (!header || header->kind == Kind::kSegment) return skip;
    if (header->segment != segment || header->epoch != epoch || header->offset != at) return skip;
    if (rest.size() < kHeaderBytes + std::size_t{header->length}) {
        if (last) return skip;
        return ScanMore{};
    }
    ScanRecord found;
    found.header = *header;
    found.payload = rest.subspan(kHeaderBytes, header->length);
    found.payload_ok = hash_payload(found.payload) == header->payload_hash;
    found.next = at + small_span(header->length);
    return found;
}

}  // namespace hamster::shards
