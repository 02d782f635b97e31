// The on-disk record of a segment: an 80-byte header and a payload. Pure; any thread.
// Format: docs/formats/segments.md. The header names its own address (segment, epoch, offset) and
// carries the payload's hash, so stale, misdirected and damaged bytes all fail verification.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/encoding.h"
#include "base/ids.h"
#include "base/result.h"
#include "shards/store.h"

namespace hamster::shards {

inline constexpr std::uint32_t kRecordMagic = 0x31524D48;  // "HMR1", little endian
inline constexpr std::uint8_t kRecordVersion = 1;
inline constexpr std::uint32_t kHeaderBytes = 80;
// Where records begin: two copies of the segment's own header, one block each, come first.
inline constexpr std::uint32_t kSegmentStart = 2 * base::kBlock;

// Small: whole shards and seals, packed, header before payload. Large: one slice per record in
// whole blocks, header behind the payload, so that a read lands in the caller's buffer.
enum class Lane : std::uint8_t { kSmall = 1, kLarge = 2 };

enum class Kind : std::uint8_t {
    kSegment = 1,  // the segment's own header; its stripe field is the lane
    kSlice = 2,    // one slice; in the small lane it is its whole shard
    kSeal = 3,     // small lane: the end of a large shard, with the list of its extents
};

inline constexpr std::uint8_t kGroupStart = 1;  // first record of a group write

struct Header {
    Kind kind = Kind::kSlice;
    std::uint8_t flags = 0;
    base::Slot slot;
    std::uint32_t segment = 0;
    std::uint64_t epoch = 0;   // random; new each time the file is put to use
    std::uint32_t offset = 0;  // of the record in its segment, bytes
    std::uint32_t length = 0;  // payload, bytes
    std::uint32_t stripe = 0;
    base::BlobId blob;
    std::uint64_t sequence = 0;   // of two records of one shard the higher one counts
    std::uint64_t sealed_ms = 0;  // this machine's clock when the shard was finished
    std::uint64_t payload_hash = 0;
    bool operator==(const Header&) const = default;
};

// Writes kHeaderBytes bytes.
void encode_header(const Header& header, std::byte* out);
// kCorrupt: not a header, or damaged. kUnsupported: intact, but from a newer version.
Result<Header> decode_header(base::Bytes bytes);

std::uint64_t hash_payload(base::Bytes payload);

// Bytes a record takes in its lane. Small: rounded up to 8. Large: whole blocks, the header in the
// last kHeaderBytes of them.
constexpr std::uint32_t small_span(std::uint32_t length) {
    return static_cast<std::uint32_t>(base::round_up(kHeaderBytes + length, 8));
}
constexpr std::uint32_t large_span(std::uint32_t length) {
    return static_cast<std::uint32_t>(base::round_up(kHeaderBytes + length, base::kBlock));
}
inline constexpr std::uint32_t kMaxSpan = large_span(kSliceBytes);
static_assert(kMaxSpan >= small_span(kSliceBytes));
static_assert(kSliceBytes % base::kBlock == 0);

// Slices of one shard that lie one behind the other in a large segment.
struct Extent {
    std::uint32_t segment = 0;
    std::uint64_t epoch = 0;
    std::uint32_t offset = 0;  // a multiple of kBlock
    std::uint32_t slices = 0;
    bool operator==(const Extent&) const = default;
};

// What a seal says, and the index repeats.
struct Geometry {
    std::uint64_t bytes = 0;        // payload of the shard
    std::uint32_t slice_bytes = 0;  // of every slice but the last
    std::vector<Extent> extents;
    bool operator==(const Geometry&) const = default;

    // Slices of the shard; the payload bytes of one of them.
    [[nodiscard]] std::uint64_t slices() const;
    [[nodiscard]] std::uint32_t slice_length(std::uint64_t stripe) const;
    // Bytes extents[i] takes in its segment; `first_stripe` is its first slice.
    [[nodiscard]] std::uint64_t extent_span(std::size_t i, std::uint64_t first_stripe) const;
    // Sizes fit each other: what decoding accepts.
    [[nodiscard]] bool is_sound() const;
};

inline constexpr std::size_t kMaxExtents = 8192;  // a seal must fit one slice

void encode_geometry(std::string& out, const Geometry& geometry);
// Consumes it from the front of `in`. kCorrupt.
Result<Geometry> decode_geometry(std::string_view& in);

// Little-endian base-128 integers. get_varint consumes; false at a malformed one.
void put_varint(std::string& out, std::uint64_t v);
bool get_varint(std::string_view& in, std::uint64_t& v);

}  // namespace hamster::shards
